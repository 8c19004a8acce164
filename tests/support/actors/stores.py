"""The stores that keep the contract, by name: code for one of them works with each of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from perdure.actors.store.contract import Store
from perdure.actors.store.memory import MemoryStore
from perdure.actors.store.part import WHOLE, Part
from perdure.actors.store.postgres.driver import AsyncpgDriver
from perdure.actors.store.postgres.store import PostgresStore
from perdure.actors.store.postgres.url import parse_url
from perdure.actors.store.sqlite.store import SqliteStore
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.machines.database.machine import URL, SimDatabase

from ..postgres import PostgresServer, installed

Variant = tuple[str, str]  # which store, and on which of anyio's backends

NEWEST = max(installed(), default=0)
POSTGRES: Sequence[Any] = [
    pytest.param((f"postgres {release}", "asyncio"), marks=[pytest.mark.slow] if release < NEWEST else [])
    for release in installed()
]  # each a variant; releases before the newest only in `make test-slow`
SIMULATED: Variant = ("simulated postgres", "asyncio")  # the imitation of a server in simulated worlds
# Stores of one part. SQLite and PostgreSQL need asyncio; the memory store must not.
WHOLE_STORES: Sequence[Any] = [("memory", "trio"), ("sqlite", "asyncio"), *POSTGRES, SIMULATED]
ALL_STORES: Sequence[Any] = [
    ("memory", "asyncio"), ("memory", "trio"), ("sqlite", "asyncio"), *POSTGRES, SIMULATED,
    ("memory part", "asyncio"), ("sqlite part", "asyncio"),
]  # fmt: skip

ServerOf = Callable[[int], PostgresServer]


async def make_store(variant: Variant, folder: Path, server_of: ServerOf, *, shards: int, part: Part = WHOLE) -> Store:
    """Make a new store of a variant.

    Args:
        server_of: Returns the server of a release of PostgreSQL.
    """
    match variant[0].split():
        case "postgres", release:
            url = await emptied(server_of(int(release)), schema=f"conformance_{shards}")
            return PostgresStore(url, shards=shards)
        case "simulated", "postgres":
            database = SimDatabase(Choices(), trip_s=0.0)
            return PostgresStore(URL, shards=shards, driver=database.link())
        case "sqlite", *_:
            return SqliteStore(folder / "store.db", shards=shards, part=part)
    return MemoryStore(shards=shards, part=part)


# The content of a store's tables. The tables stay, because making them takes a hundred times longer.
EMPTY = """
DO $$ BEGIN
    IF EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = '{schema}') THEN
        SET LOCAL search_path = {schema};
        DELETE FROM hosts; DELETE FROM beats; DELETE FROM cuts; DELETE FROM flights; DELETE FROM secrets;
        DELETE FROM kinds; DELETE FROM tallies; DELETE FROM actors;
        DELETE FROM log; DELETE FROM reminders; DELETE FROM tags; DELETE FROM audit; DELETE FROM items;
        UPDATE shards SET host = NULL, epoch = 0;
        UPDATE meta SET value = 1 WHERE name IN ('next_key', 'format', 'oldest');
    END IF;
END $$
"""


async def emptied(server: PostgresServer, *, schema: str) -> str:
    """The address of an empty store that is not in use. Its tables may exist."""
    url = server.url(schema=schema)
    session = await AsyncpgDriver(parse_url(url)).connect({"application_name": "tests"})
    await session.run_together([EMPTY.format(schema=schema)])
    await session.close()
    return url
