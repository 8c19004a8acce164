"""A page of lists that cannot be read loses nothing: lists are made again from the actors, and the audit stays."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from perdure.actors.address import Address
from perdure.actors.store.audit import AuditFilter, AuditRow
from perdure.actors.store.contract import Stored, Write
from perdure.actors.store.errors import ListsUnfinished
from perdure.actors.store.listing import Facets, ListFilter, Order
from perdure.actors.store.sqlite.maintenance import check

from .....support.actors.sqlite_file import opened, write

pytestmark = pytest.mark.anyio

PAGE = 4096
ACTORS = 600


def facets(n: int) -> Facets:
    parent = f"parent-{n // 3}" * 5 if n % 3 else None
    return Facets(f"N{n % 3}", "RUNNING", n, n, parent=parent, tags=(("name" * 5, f"value-{n}" * 5),))


def shown(key: int, n: int) -> Write:
    return write(key, Address("wf", f"{n:03}"), record=b"r", facets=facets(n))


@pytest.fixture
async def filled(path: Path) -> Path:
    """A store at rest, whose tables of lists have several pages each."""
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        await store.commit([shown(store.new_key(), n) for n in range(ACTORS)], fences)
        await store.commit([write(1, Address("wf", "000"), audit=[AuditRow("suspend", "ann", b"1")])], fences)
    return path


def pages_of(path: Path, name: str) -> list[int]:
    """The pages of a table or an index, its root first."""
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    content = path.read_bytes()
    page = content[(root - 1) * PAGE : root * PAGE]
    if page[0] in (0x0D, 0x0A):
        return [root]
    cells = int.from_bytes(page[3:5], "big")
    pointers = [int.from_bytes(page[12 + 2 * i : 14 + 2 * i], "big") for i in range(cells)]
    children = [int.from_bytes(page[at : at + 4], "big") for at in pointers]
    return [root, *children, int.from_bytes(page[8:12], "big")]


NAMES = ("kinds", "facets", "facets_created", "facets_updated", "facets_parent", "tags")


@pytest.mark.parametrize("which", [1, -1], ids=["first", "last"])
@pytest.mark.parametrize("name", NAMES)
async def test_lists_are_made_again(filled: Path, name: str, which: int) -> None:
    # Given a page that was overwritten while no process had the store,
    page = pages_of(filled, name)[min(which, len(pages_of(filled, name)) - 1)]
    with filled.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\x5a" * PAGE)
    # when a host opens it,
    async with opened(filled) as store:
        fences = await store.claim("host", now_us=1)
        # then actors are read and written,
        addresses = [Address("wf", f"{n:03}") for n in range(ACTORS)]
        assert all(isinstance(each, Stored) for each in await store.load(addresses))
        await store.commit([shown(n + 1, n) for n in range(0, ACTORS, 50)], fences)
        # lists are refused until they are complete, and are whole then.
        with pytest.raises(ListsUnfinished):
            await store.count("wf", ListFilter(), by=())
        while found := await store.unlisted(limit=400):
            await store.enlist([(each, facets(int(each.address.id))) for each in found])
        page_ = await store.list("wf", ListFilter(), order=Order.CREATED, cursor=None, limit=ACTORS)
        assert [each.facets for each in page_.listed] == [facets(n) for n in range(ACTORS)]
        assert (await store.count("wf", ListFilter(), by=())).groups[0].total == ACTORS
        assert [row.body for row in (await store.audit(AuditFilter(), cursor=None, limit=9)).rows] == [b"1"]
    assert check(filled) == []


async def test_a_page_that_is_damaged_while_a_host_works_costs_no_actor(filled: Path) -> None:
    async with opened(filled) as store:
        page = pages_of(filled, "facets")[1]
        with filled.open("r+b") as file:
            file.seek((page - 1) * PAGE)
            file.write(b"\x5a" * PAGE)
        addresses = [Address("wf", f"{n:03}") for n in range(ACTORS)]
        found = await store.load(addresses)
        assert all(isinstance(each, Stored) and each.record == b"r" for each in found)
        outsides = await store.inspect(addresses)
        assert all(getattr(each, "record", None) == b"r" for each in outsides)
