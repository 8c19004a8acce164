"""An SQLite store in its own file, and changes of the file that a test makes without the store."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from perdure.actors.address import Address, shard_of
from perdure.actors.store.contract import Stored, Write
from perdure.actors.store.sqlite.store import SqliteStore

A = Address("wf", "a")


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def write(key: int, address: Address = A, **fields: Any) -> Write:
    return Write(key=key, address=address, shard=shard_of(address.id, 64), at_us=1, **fields)


async def log(store: SqliteStore, address: Address = A) -> list[bytes] | None:
    (stored,) = await store.load([address])
    return list(stored.entries) if isinstance(stored, Stored) else None


async def on_writer(store: SqliteStore, function: Callable[[sqlite3.Connection], Any]) -> Any:
    assert store._writer is not None
    return await store._writer.call(function)


async def open_and_close(path: Path, **options: Any) -> None:
    async with opened(path, **options):
        pass


def change(path: Path, *statements: str) -> None:
    """Execute statements that the store itself never executes."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


# Remove the additions of versions 4 and 5.
TO_VERSION_3 = (
    *(f"DROP TABLE {table}" for table in ("items", "audit", "tags", "facets", "kinds")),
    "DELETE FROM meta WHERE name IN ('unlisted_key', 'listed_key')",
    "UPDATE meta SET value = 3 WHERE name = 'schema'",
)


def contents(path: Path) -> bytes:
    return path.read_bytes()


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def full_write(key: int, address: Address) -> Write:
    return write(
        key, address, record=b"r", entry=b"e", active=True,
        reminders_set=[("s", key)], reminders_cleared=[("c", key)],
    )  # fmt: skip
