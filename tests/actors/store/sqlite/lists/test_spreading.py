"""A spread store has the lists and the audit of the old one, and continues an unfinished fill."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import anyio
import pytest

from perdure.actors.address import Address, shard_of
from perdure.actors.store.audit import AuditFilter, AuditRow
from perdure.actors.store.errors import ListsUnfinished
from perdure.actors.store.listing import Facets, ListFilter, Order
from perdure.actors.store.part import Part
from perdure.actors.store.sqlite.layout import make_ready, spread
from perdure.actors.store.sqlite.maintenance import check

from .....support.actors.sqlite_file import TO_VERSION_3
from .....support.actors.store_parts import SHARDS, change, opened, write

IDS = [f"order-{n}" for n in range(40)]


def facets(n: int) -> Facets:
    return Facets(
        f"N{n % 3}",
        "FAILED" if n % 5 == 0 else "RUNNING",
        created_us=n,
        updated_us=n * 7,
        ended_us=n * 7 if n % 5 == 0 else None,
        parent=IDS[n - 1] if n % 4 == 1 else None,
        tags=(("k", "v"), ("n", str(n))) if n % 6 == 0 else (),
    )


async def fill(data: Path, part: Part) -> None:
    async with opened(data, part) as store:
        fences = await store.claim("host", now_us=1)
        here = [(n, id_) for n, id_ in enumerate(IDS) if part.holds(shard_of(id_, SHARDS))]
        await store.commit(
            [
                write(
                    store.new_key(),
                    Address("wf", id_),
                    at_us=n,
                    record=b"r",
                    facets=facets(n),
                    audit=[AuditRow("suspend", "ann", b"%d" % n)],
                )
                for n, id_ in here
            ],
            fences,
        )


def seen(data: Path, parts: int) -> dict[str, object]:
    """All lists, counts and audits of a store, over all of its parts."""

    async def look(part: Part) -> tuple[Sequence[object], Sequence[object], Sequence[object]]:
        async with opened(data, part) as store:
            counted = await store.count("wf", ListFilter(), by=("status", "name", "root"))
            tagged = await store.list("wf", ListFilter(tags={"k": "v"}), order=Order.ID, cursor=None, limit=99)
            page = await store.list("wf", ListFilter(), order=Order.CREATED, cursor=None, limit=99)
            assert sum(group.total for group in counted.groups) == len(page.listed)
            audit = await store.audit(AuditFilter(), cursor=None, limit=99)
            return (
                [(each.id, each.facets) for each in page.listed],
                [each.id for each in tagged.listed],
                [row[:-1] for row in audit.rows],
            )

    found = [anyio.run(look, Part(index, parts)) for index in range(parts)]
    names = ("listed", "tagged", "audited")
    return {name: sorted(chain(*rows)) for name, rows in zip(names, zip(*found, strict=True), strict=True)}


@pytest.mark.parametrize(("old", "new"), [(1, 3), (3, 1), (2, 3)])
def test_lists_and_audit_come_along(tmp_path: Path, old: int, new: int) -> None:
    data, target = tmp_path / "old.db", tmp_path / "new.db"
    make_ready(data, parts=old)
    for index in range(old):
        anyio.run(fill, data, Part(index, old))
    spread(data, target, parts=new)
    assert check(target) == []
    found = seen(target, new)
    assert found == seen(data, old)
    assert found["listed"] == sorted((id_, facets(n)) for n, id_ in enumerate(IDS))
    assert len(found["tagged"]) == 7  # type: ignore[arg-type]
    assert len(found["audited"]) == 40  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["an earlier release", "a fill that is not finished"])
def test_what_was_not_filled_is_filled_in_the_new_files(tmp_path: Path, how: str) -> None:
    data, target = tmp_path / "old.db", tmp_path / "new.db"
    make_ready(data, parts=1)
    anyio.run(fill, data, Part(0, 1))
    if how == "an earlier release":
        for statement in TO_VERSION_3:
            change(data, statement)
    else:
        change(data, "UPDATE meta SET value = 40 WHERE name = 'unlisted_key'")
        change(data, "DELETE FROM facets WHERE key > 20")
        change(data, "DELETE FROM tags WHERE key > 20")
    spread(data, target, parts=2)

    async def finish(part: Part) -> None:
        async with opened(target, part) as store:
            with pytest.raises(ListsUnfinished):
                await store.count("wf", ListFilter(), by=())
            found = await store.unlisted(limit=99)
            await store.enlist([(each, facets(IDS.index(each.address.id))) for each in found])

    for index in (0, 1):
        anyio.run(finish, Part(index, 2))
    assert seen(target, 2)["listed"] == sorted((id_, facets(n)) for n, id_ in enumerate(IDS))
    assert check(target) == []
