"""Stores of one or several parts with rows in them, and their visible content."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import NamedTuple

import anyio

from perdure.actors.address import Address, shard_of
from perdure.actors.store.contract import Inspection, Reminder, Stored, Write
from perdure.actors.store.part import WHOLE, Part
from perdure.actors.store.sqlite.layout import make_ready
from perdure.actors.store.sqlite.store import SqliteStore

SHARDS = 64
IDS = [f"order-{i}" for i in range(100)]


@asynccontextmanager
async def opened(data: Path, part: Part = WHOLE) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(part.path(str(data)), part=part)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def make(data: Path, parts: int, ids: Sequence[str] = IDS, *, entry_bytes: int = 2) -> None:
    """Lay out a new store and give each actor a record, a log, a reminder or two, and every third the active mark.

    Logs are written in rounds, so that those of different actors lie mixed. Of each part one actor is deleted.
    """
    make_ready(data, parts=parts)
    for index in range(parts):
        anyio.run(fill, data, Part(index, parts), ids, entry_bytes)


async def fill(data: Path, part: Part, ids: Sequence[str], entry_bytes: int) -> None:
    async with opened(data, part) as store:
        fences = await store.claim("host", now_us=1)
        here = [id_ for id_ in ids if part.holds(shard_of(id_, SHARDS))]
        keys = {id_: store.new_key() for id_ in here}
        gone = Address("wf", next(f"gone-{i}" for i in range(9999) if part.holds(shard_of(f"gone-{i}", SHARDS))))
        await store.commit([write(store.new_key(), gone, record=b"r")], fences)
        await store.commit(
            [
                write(key, Address("wf", id_), record=b"r-" + id_.encode(), active=key % 3 == 0)
                for id_, key in keys.items()
            ],
            fences,
        )
        for turn in range(3):
            entry = b"%d" % turn
            await store.commit(
                [
                    write(
                        key,
                        Address("wf", id_),
                        entry=entry.ljust(entry_bytes, b" "),
                        at_us=turn,
                        reminders_set=[("due", 1000 - key)] if turn == 2 else [(f"t{turn}", 5)] if turn else [],
                    )
                    for id_, key in keys.items()
                ],
                fences,
            )
        (found,) = await store.load([gone])
        assert isinstance(found, Stored), found
        await store.commit([write(found.key, gone, delete=True)], fences)


def write(key: int, address: Address, *, at_us: int = 1, **fields: object) -> Write:
    return Write(key=key, address=address, shard=shard_of(address.id, SHARDS), at_us=at_us, **fields)  # type: ignore[arg-type]


class Seen(NamedTuple):
    """All of an actor except its key, which another layout need not keep."""

    record: bytes
    entries: Sequence[bytes]
    updated_us: int
    is_active: bool
    reminders: Sequence[tuple[int, str]]


def seen(data: Path, parts: int) -> dict[str, Seen]:
    """Everything in a store, read by its hosts."""
    found: dict[str, Seen] = {}
    for index in range(parts):
        here = anyio.run(seen_in, data, Part(index, parts))
        assert not found.keys() & here.keys()
        found |= here
    return found


async def seen_in(data: Path, part: Part) -> dict[str, Seen]:
    async with opened(data, part) as store:
        ids = await store.ids("wf", after=None, limit=1_000_000)
        addresses = [Address("wf", id_) for id_ in ids]
        reminders: Sequence[Reminder] = await store.reminders(after=None, limit=1_000_000)
        active = set(await store.active())
        found = zip(addresses, await store.load(addresses), await store.inspect(addresses), strict=True)
        return {
            address.id: Seen(
                stored.record,
                stored.entries,
                outside.updated_us,
                stored.active and address in active,
                [(each.due_us, each.name) for each in reminders if each.address == address],
            )
            for address, stored, outside in found
            if isinstance(stored, Stored) and isinstance(outside, Inspection)
        }


def change(path: Path | str, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


def column(path: Path | str, select: str) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [value for (value,) in connection.execute(select).fetchall()]


def files(folder: Path) -> dict[str, bytes]:
    """The contents of a folder, apart from files that are only there to be locked."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".lock"}
