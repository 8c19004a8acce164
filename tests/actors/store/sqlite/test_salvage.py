"""A store that has lost a page which it needs still opens: only the actors of that page are lost."""

import os
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from perdure.actors.address import Address
from perdure.actors.store.contract import FoundItems, Item, Stored
from perdure.actors.store.errors import StoreDamaged, StoreFailed
from perdure.actors.store.sqlite.maintenance import check
from perdure.actors.store.sqlite.salvage import highest_position

from ....support.actors.sqlite_file import contents, open_and_close, opened, write

pytestmark = pytest.mark.anyio

ACTORS = [Address("wf", f"a{number}") for number in range(30)]
PAGE = 4096


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def filled(path: Path) -> Path:
    """A store at rest, whose log has many pages; each actor has two entries."""
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        for address in ACTORS:
            key = store.new_key()
            for entry in (b"first", b"e" * 1000):
                await store.commit([write(key, address, record=b"r" * 100, entry=entry)], fences)
    return path


def root_of(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    assert isinstance(root, int)
    return root


def last_page(path: Path, table: str = "log") -> int:
    """The page of the last rows: the rightmost child of the root."""
    root = root_of(path, table)
    page = path.read_bytes()[(root - 1) * PAGE : root * PAGE]
    if page[0] in (0x0D, 0x0A):
        return root  # it has no other
    (number,) = struct.unpack(">I", page[8:12])
    assert isinstance(number, int)
    return number


def overwrite(path: Path, page: int, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE + offset)
        file.write(content)


def schema_of(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute("SELECT name, sql FROM sqlite_master").fetchall())


DAMAGES: dict[str, Callable[[Path, int], None]] = {
    "another kind of page": lambda path, page: overwrite(path, page, 0, b"\xff"),
    "a number of cells that cannot be": lambda path, page: overwrite(path, page, 3, b"\xff\xff"),
    "zeros": lambda path, page: overwrite(path, page, 0, bytes(PAGE)),
    "random": lambda path, page: overwrite(path, page, 0, os.urandom(PAGE)),
    "the page of another table": lambda path, page: overwrite(
        path, page, 0, path.read_bytes()[(root_of(path, "reminders") - 1) * PAGE :][:PAGE]
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_the_others_are_served_and_new_ones_are_taken(
    filled: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a store whose log has lost its last page,
    schema = schema_of(filled)
    DAMAGES[damage](filled, last_page(filled))
    before = contents(filled)
    # when it is opened,
    async with opened(filled) as store:
        fences = await store.claim("host", now_us=1)
        found = await store.load(ACTORS)
        lost = [address for address, each in zip(ACTORS, found, strict=True) if isinstance(each, StoreDamaged)]
        # then the actors of that page are damaged, and all others are unchanged;
        assert ACTORS[-1] in lost
        assert len(lost) < 5
        for address, each in zip(ACTORS, found, strict=True):
            if address not in lost:
                assert isinstance(each, Stored)
                assert each.entries == (b"first", b"e" * 1000)
        # new entries are accepted, behind all others.
        key, new = store.new_key(), Address("wf", "new")
        await store.commit([write(key, new, record=b"r", entry=b"e")], fences)
        [stored] = await store.load([new])
        assert isinstance(stored, Stored)
        assert stored.entries == (b"e",)
    assert [each for each in caplog.messages if "cannot be read any more" in each]
    # The former file is kept, readable by its user only,
    copy = filled.with_name(f"{filled.name}.damaged-1")
    assert copy.read_bytes() == before
    assert copy.stat().st_mode & 0o777 == 0o600
    # and the new one has the same tables, and only the faults of those actors, also at the next start.
    assert schema_of(filled) == schema
    for _ in range(2):
        faults = check(filled)
        assert {fault.split(":")[0] for fault in faults} == {str(address) for address in lost}
        await open_and_close(filled)
    assert not filled.with_name(f"{filled.name}.damaged-2").exists()


@pytest.fixture
async def wide(path: Path) -> Path:
    """A store at rest, each of whose tables and indexes has more than one page."""
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        writes = []
        for number in range(900):
            address = Address("wf", f"{number * 7919 % 900:0100}")
            reminders = [("1", 10**9 + number), ("name" * 10, 10**9 + number)]
            fields = {"record": b"r" * 10, "entry": b"e", "reminders_set": reminders, "active": True}
            writes.append(write(store.new_key(), address, **fields))
        await store.commit(writes, fences)
    return path


def page_of(path: Path, table: str, which: int) -> int:
    """A page of a table or an index; 0 is its root."""
    with closing(sqlite3.connect(path)) as connection:
        pages: list[int] = [
            page for (page,) in connection.execute("SELECT pageno FROM dbstat WHERE name = ?", (table,))
        ]
    return [root_of(path, table), *sorted({*pages} - {root_of(path, table)})][which]


async def readable(path: Path, new: str) -> tuple[int, int, int, int]:
    """Open a store, write to it, and count the actors that can be read, those that are marked, and the reminders."""
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        await store.commit([write(store.new_key(), Address("wf", new), record=b"r", entry=b"e")], fences)
        addresses = [Address("wf", f"{number:0100}") for number in range(900)]
        found = await store.load(addresses)
        damaged = sum(isinstance(each, StoreDamaged) for each in found)
        reminders = await store.reminders(after=None, limit=10_000)
        return sum(isinstance(each, Stored) for each in found), damaged, len(await store.active()), len(reminders)


@pytest.mark.parametrize("which", [0, 1, -1])
@pytest.mark.parametrize("table", ["log", "log_key", "actors", "sqlite_autoindex_actors_1", "active", "reminders"])
async def test_each_page_of_a_table_or_an_index_costs_what_it_held(wide: Path, table: str, which: int) -> None:
    DAMAGES["zeros"](wide, page_of(wide, table, which))
    sound, damaged, active, reminders = await readable(wide, "one")
    # No actor counts as missing.
    assert sound + damaged == 900
    if table in ("log", "actors"):
        assert (active, reminders) == (900, 1_800)
        assert damaged < 450 or which == 0
    elif (table, which) == ("log_key", 1):
        # To read the whole index at each start would cost more than its actors are worth.
        assert 0 < damaged < 450
    else:
        assert damaged == 0
        assert 900 <= active <= 901
    if table == "reminders" and which != 0:
        # The actors set the unreadable reminders again: all actors are marked.
        assert 1_200 < reminders < 1_800
    # At the next start the store is unchanged.
    again = await readable(wide, "two")
    assert again[:2] == (sound, damaged)
    assert again[3] == reminders


async def test_positions_go_on_behind_those_that_were_lost(filled: Path) -> None:
    with closing(sqlite3.connect(filled)) as connection:
        highest = highest_position(connection)
    DAMAGES["zeros"](filled, last_page(filled))
    with closing(sqlite3.connect(filled)) as connection:
        assert highest_position(connection) == highest
    await open_and_close(filled)
    with closing(sqlite3.connect(filled)) as connection:
        assert highest_position(connection) == highest


async def test_a_damaged_actor_can_be_purged_and_nothing_stays_of_it(filled: Path) -> None:
    DAMAGES["zeros"](filled, last_page(filled))
    async with opened(filled) as store:
        fences = await store.claim("host", now_us=1)
        for address, each in zip(ACTORS, await store.load(ACTORS), strict=True):
            if isinstance(each, StoreDamaged):
                assert each.key is not None
                await store.commit([write(each.key, address, delete=True)], fences)
    assert check(filled) == []


async def test_without_room_for_the_copy_nothing_is_changed(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    DAMAGES["zeros"](filled, last_page(filled))
    before = contents(filled)

    def full(descriptor: int, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("perdure.actors.store.sqlite.salvage.os.write", full)
    with pytest.raises(StoreFailed, match=r"No space left on device\. Make room, or restore a backup"):
        await open_and_close(filled)
    monkeypatch.undo()
    assert contents(filled) == before
    assert not list(filled.parent.glob("*.damaged-*"))
    await open_and_close(filled)


async def test_a_log_whose_index_is_lost_too_is_refused(filled: Path) -> None:
    DAMAGES["zeros"](filled, last_page(filled))
    DAMAGES["zeros"](filled, root_of(filled, "log_key"))
    for _ in range(2):
        with pytest.raises(StoreFailed, match="malformed"):
            await open_and_close(filled)
    assert not list(filled.parent.glob("*.damaged-*"))


NAMES = [f"shop||{number:060}" for number in range(300)]


@pytest.mark.parametrize("which", [0, 1, -1])
@pytest.mark.parametrize("table", ["items", "items_name", "items_expires"])
async def test_a_lost_page_of_values_costs_the_values_that_it_held(path: Path, table: str, which: int) -> None:
    # Given values of an actor, in several pages of the table and of each index,
    owner = Address("state", "cars")
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        saved = [(name, Item(b"v" * 100, version, 10**15 + version)) for version, name in enumerate(NAMES, 1)]
        await store.commit([write(key, owner, record=b"r", items=saved)], fences)
    # when one of the pages is gone,
    DAMAGES["zeros"](path, page_of(path, table, which))
    lost: list[str] = []
    for start in ("one", "two"):
        async with opened(path) as store:
            fences = await store.claim("host", now_us=1)
            found = await store.items(owner, NAMES)
            # then each value is the saved one, or reported as damaged: none counts as missing,
            assert found is not None
            assert sorted([*found.items, *found.damaged]) == NAMES
            lost = [*found.damaged]
            assert all(item.value == b"v" * 100 for item in found.items.values())
            if table != "items":
                assert not found.damaged
            elif which != 0:
                assert 0 < len(found.damaged) < 150
            # and other values are saved, and saved again.
            again = [(name, Item(b"v" * 100, 1_000)) for name in found.items]
            await store.commit([write(key, owner, items=[(start, Item(b"w", 1)), *again])], fences)
            assert await store.items(owner, [start]) == FoundItems(b"r", {start: Item(b"w", 1)}, {})
    # Exactly the lost values are named.
    assert bool(check(path)) == bool(lost)
