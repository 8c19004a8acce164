"""Damaged bytes at any place of the disk are never returned, and every other actor can still be read."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from perdure.actors.address import Address
from perdure.actors.store.contract import Stored
from perdure.actors.store.errors import StoreDamaged, StoreError, StoreFailed
from perdure.actors.store.sqlite import reading
from perdure.actors.store.sqlite.damage import is_damage
from perdure.actors.store.sqlite.maintenance import check
from perdure.actors.store.tables.checksums import Damaged

from ....support.actors.sqlite_file import A, change, opened, write

B = Address("wf", "b")


@pytest.mark.parametrize(
    ("code", "is_so"),
    [
        (sqlite3.SQLITE_CORRUPT, True),
        (sqlite3.SQLITE_CORRUPT_INDEX, True),
        (sqlite3.SQLITE_NOTADB, True),
        (sqlite3.SQLITE_IOERR_READ, False),
        (sqlite3.SQLITE_BUSY, False),
    ],
)
def test_an_error_is_damage_if_it_would_come_again_each_time(code: int, is_so: bool) -> None:
    error = sqlite3.OperationalError("it did not work")
    error.sqlite_errorcode = code
    assert is_damage(error) is is_so


# In a store.

CHANGES = {
    "a bit of the record": "UPDATE actors SET record = flip(record) WHERE id = 'a'",
    "the record's type": "UPDATE actors SET record = 'text' WHERE id = 'a'",
    "a bit of the first entry": "UPDATE log SET entry = flip(entry) WHERE position = 1",
    "a bit of the last entry": "UPDATE log SET entry = flip(entry) WHERE position = 3",
    "the time of the last entry": "UPDATE log SET at_us = at_us + 1 WHERE position = 3",
    "the place of an entry": "UPDATE log SET position = position + 50 WHERE position = 3",
    "the owner of an entry": "UPDATE log SET key = 1 WHERE position = 4",
    "an entry of before": "UPDATE log SET entry = (SELECT entry FROM log WHERE position = 1) WHERE position = 3",
}


async def filled(path: Path, what: str | None = None) -> None:
    """Two actors, A with entries 1 and 3, B with entries 2 and 4; and a change while no process has the file."""
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        a, b = store.new_key(), store.new_key()
        await store.commit([write(a, record=b"ra", entry=b"1a"), write(b, B, record=b"rb", entry=b"1b")], fences)
        await store.commit([write(a, entry=b"2a"), write(b, B, entry=b"2b")], fences)
    if what is not None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.create_function("flip", 1, lambda blob: blob[:-1] + bytes([blob[-1] ^ 1]))
            assert connection.execute(CHANGES[what]).rowcount == 1


@pytest.mark.anyio
@pytest.mark.parametrize("what", CHANGES)
async def test_an_actor_that_changed_on_the_disk_has_an_error_in_its_place(path: Path, what: str) -> None:
    await filled(path, what)
    # When both are read, then the damaged one is an error with its name, and the other is whole,
    async with opened(path) as store:
        for read in (store.load, store.inspect):
            damaged, sound = await read([A, B])
            assert isinstance(damaged, StoreDamaged)
            assert (damaged.address, damaged.key) == (A, 1)
            assert "wf/a is damaged" in str(damaged)
            assert sound is not None
            assert not isinstance(sound, StoreError)
        # and the damaged actor can be deleted, and begun again.
        fences = await store.claim("host", now_us=1)
        await store.commit([write(1, delete=True)], fences)
        assert (await store.load([A]))[0] is None
        await store.commit([write(store.new_key(), record=b"new")], fences)
        (stored,) = await store.load([A])
        assert isinstance(stored, Stored)


@pytest.mark.anyio
@pytest.mark.parametrize("what", CHANGES)
async def test_the_check_finds_it(path: Path, what: str) -> None:
    sound = path.with_name("sound.db")
    await filled(sound)
    assert check(sound) == []
    await filled(path, what)
    assert any("wf/a: " in fault for fault in check(path))


@pytest.mark.anyio
async def test_the_check_does_not_list_thousands(path: Path) -> None:
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        addresses = [Address("wf", str(i)) for i in range(30)]
        await store.commit([write(store.new_key(), address, record=b"r") for address in addresses], fences)
    change(path, "UPDATE actors SET record = x'00'")
    found = check(path)
    assert len(found) == 11
    assert found[-1] == "20 more rows do not match their checksums"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("code", "kind"), [(sqlite3.SQLITE_CORRUPT, StoreDamaged), (sqlite3.SQLITE_IOERR_READ, StoreFailed)]
)
async def test_a_batch_that_cannot_be_read_is_read_one_by_one(
    path: Path, code: int, kind: type[StoreError], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given one actor whose page SQLite cannot read,
    await filled(path)
    original: Callable[..., list[Any]] = reading.asked

    def asked(connection: sqlite3.Connection, addresses: list[Address], select: str) -> list[Any]:
        if A in addresses:
            error = sqlite3.OperationalError("cannot be read")
            error.sqlite_errorcode = code
            raise error
        return original(connection, addresses, select)

    async with opened(path) as store:
        monkeypatch.setattr(reading, "asked", asked)
        # when it is read with others, then they are read, and it alone is an error.
        for read in (store.load, store.inspect):
            sound, damaged, missing = await read([B, A, Address("wf", "nobody")])
            assert not isinstance(sound, StoreError)
            assert sound is not None
            assert type(damaged) is kind
            assert missing is None


@pytest.mark.anyio
async def test_a_page_that_is_gone_costs_its_own_actors_and_no_others(path: Path) -> None:
    # Given a store of many pages, of which one in the middle of the log is overwritten,
    addresses = [Address("wf", str(i)) for i in range(60)]
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        for address in addresses:
            await store.commit([write(store.new_key(), address, record=b"r", entry=b"e" * 1000)], fences)
    overwrite_a_page(path, b"e" * 1000)
    # when all are read together,
    async with opened(path) as store:
        found = await store.load(addresses)
    # then a few are damaged, and the others are whole.
    damaged = [each for each in found if isinstance(each, StoreDamaged)]
    assert 1 <= len(damaged) <= 4
    assert all(isinstance(each, Stored | StoreDamaged) for each in found)


def overwrite_a_page(path: Path, content: bytes) -> None:
    """Overwrite the middle one of the pages that have `content`."""
    pages = bytearray(path.read_bytes())
    those = [at for at in range(0, len(pages), 4096) if content in pages[at : at + 4096]]
    at = those[len(those) // 2]
    pages[at : at + 4096] = b"\x5a" * 4096
    path.write_bytes(pages)


def test_a_row_that_differs_and_a_text_that_is_none_are_damage() -> None:
    assert is_damage(Damaged("the log of wf/a has another entry 1"))
    with closing(sqlite3.connect(":memory:")) as database, pytest.raises(sqlite3.OperationalError) as error:
        database.execute("SELECT CAST(x'ff' AS TEXT)").fetchone()
    assert is_damage(error.value)
    assert not is_damage(sqlite3.OperationalError("another error of Python's own"))
    assert not is_damage(OSError("the disk is away"))
