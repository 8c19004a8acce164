"""The stores that keep the contract, by name: what runs on one of them runs on every other."""

from collections.abc import Callable, Sequence
from pathlib import Path

from perdure.actors.store.contract import Store
from perdure.actors.store.memory import MemoryStore
from perdure.actors.store.part import WHOLE, Part
from perdure.actors.store.postgres.store import PostgresStore
from perdure.actors.store.sqlite.store import SqliteStore

from ..postgres import PostgresServer, installed

Variant = tuple[str, str]  # which store, and on which of anyio's backends

POSTGRES: Sequence[Variant] = [(f"postgres {release}", "asyncio") for release in installed()]
# Stores that are whole. SQLite and PostgreSQL need asyncio; the memory store must not.
WHOLE_STORES: Sequence[Variant] = [("memory", "trio"), ("sqlite", "asyncio"), *POSTGRES]
ALL_STORES: Sequence[Variant] = [
    ("memory", "asyncio"), ("memory", "trio"), ("sqlite", "asyncio"), *POSTGRES,
    ("memory part", "asyncio"), ("sqlite part", "asyncio"),
]  # fmt: skip

ServerOf = Callable[[int], PostgresServer]


def make_store(
    variant: Variant, folder: Path, server_of: ServerOf, *, shards: int, part: Part = WHOLE
) -> Store:
    """Make a store of a variant, which nobody else has.

    Args:
        server_of: Gives the server of a release of PostgreSQL.
    """
    match variant[0].split():
        case "postgres", release:
            return PostgresStore(server_of(int(release)).url(), shards=shards)
        case "sqlite", *_:
            return SqliteStore(folder / "store.db", shards=shards, part=part)
    return MemoryStore(shards=shards, part=part)
