"""Every store keeps the audit alike: written with the change, kept when its actor goes, newest first, thinned."""

from itertools import product

import pytest

from perdure.actors.address import Address
from perdure.actors.errors import CursorInvalid
from perdure.actors.store.audit import Audited, AuditFilter, AuditRow

from ...support.actors.store_bench import Bench, write
from ...support.actors.stores import WHOLE_STORES

# A part of a store has lists like a store of one part.
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("variant", WHOLE_STORES, ids="-".join),
]

A, B = Address("wf", "a"), Address("wf", "b")


@pytest.fixture
def anyio_backend(variant: tuple[str, str]) -> str:
    return variant[1]


@pytest.fixture
async def audited(bench: Bench) -> Bench:
    """A store with an audit of two actors, one of which is gone."""
    a, b = bench.store.new_key(), bench.store.new_key()
    await bench.commit(
        write(a, A, record=b"", at_us=10, audit=[AuditRow("suspend", "ann", b"1")]),
        write(b, B, record=b"", at_us=20, audit=[AuditRow("suspend", "bob", b"2"), AuditRow("resume", "ann", b"3")]),
    )
    await bench.commit(write(a, A, delete=True, at_us=30, audit=[AuditRow("purge", "ann", b"4")]))
    # The clock was set back.
    await bench.commit(write(b, B, at_us=15, audit=[AuditRow("purge", "ann", b"5")]))
    return bench


async def bodies(bench: Bench, *, limit: int = 100, **wanted: object) -> list[bytes]:
    found: list[Audited] = []
    cursor: str | None = None
    while True:
        page = await bench.store.audit(AuditFilter(**wanted), cursor=cursor, limit=limit)  # type: ignore[arg-type]
        assert len(page.rows) <= limit
        found += page.rows
        cursor = page.cursor
        if cursor is None:
            return [row.body for row in found]


FILTERS: list[tuple[dict[str, object], bytes]] = [
    ({}, b"43251"),
    ({"id": "a"}, b"41"),
    ({"id": "nobody"}, b""),
    ({"author": "ann"}, b"4351"),
    ({"action": "purge"}, b"45"),
    ({"action": "purge", "author": "bob"}, b""),
    ({"since_us": 20}, b"432"),
    ({"until_us": 20}, b"51"),
    ({"id": "b", "since_us": 15, "until_us": 20, "author": "ann", "action": "purge"}, b"5"),
]


async def test_the_audit_is_listed_newest_first(audited: Bench) -> None:
    for _ in range(2):
        for (wanted, expected), limit in product(FILTERS, (1, 2, 5, 100)):
            assert b"".join(await bodies(audited, limit=limit, **wanted)) == expected, wanted
        await audited.reopen()


async def test_a_row_says_when_what_who_and_on_which_actor(audited: Bench) -> None:
    (row,) = (await audited.store.audit(AuditFilter(id="b", author="bob"), cursor=None, limit=5)).rows
    assert row[:-1] == (20, "b", "suspend", "bob", b"2")


async def test_a_row_is_not_there_without_its_commit(audited: Bench) -> None:
    old = audited.fences
    await audited.claim()
    with pytest.raises(Exception, match="shard"):
        await audited.store.commit([write(2, B, audit=[AuditRow("resume", "ann", b"6")])], old)
    assert b"".join(await bodies(audited)) == b"43251"


async def test_the_audit_is_thinned_by_age(audited: Bench) -> None:
    assert await audited.store.thin_audit(20) == 2
    assert b"".join(await bodies(audited)) == b"432"
    assert await audited.store.thin_audit(20) == 0
    assert await audited.store.thin_audit(99) == 3
    await audited.reopen()
    assert await bodies(audited) == []


async def test_a_cursor_survives_what_is_written_and_thinned_meanwhile(audited: Bench) -> None:
    page = await audited.store.audit(AuditFilter(), cursor=None, limit=2)
    await audited.commit(write(2, B, at_us=40, audit=[AuditRow("resume", "ann", b"6")]))
    await audited.store.thin_audit(15)
    page = await audited.store.audit(AuditFilter(), cursor=page.cursor, limit=9)
    assert [row.body for row in page.rows] == [b"2", b"5"]


async def test_anything_but_a_cursor_is_refused(audited: Bench) -> None:
    with pytest.raises(CursorInvalid):
        await audited.store.audit(AuditFilter(), cursor="x", limit=1)
