"""Rows that are read belong together, and an actor that cannot be read does not hold up the others."""

from collections.abc import Sequence
from typing import Any

import pytest

from perdure.actors.address import Address
from perdure.actors.store.contract import Stored
from perdure.actors.store.errors import StoreDamaged, StoreFailed
from perdure.actors.store.postgres.driver import Lost, Refused, Row, Statement
from perdure.actors.store.postgres.store import PostgresStore

from ....support.actors.store_bench import Bench, write

pytestmark = pytest.mark.anyio

A, B = Address("wf", "a"), Address("wf", "b")


async def broken(bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception, *, address: Address) -> None:
    """Let the server fail to read one actor."""
    store = bench.store
    assert isinstance(store, PostgresStore)
    assert store._open is not None
    session = await store._open.reader._ready()
    run = session.run

    async def failing(statement: Statement, arguments: Sequence[Any] = ()) -> Sequence[Row]:
        if statement.name == "load" and address.id in arguments[1]:
            raise error
        return await run(statement, arguments)

    monkeypatch.setattr(session, "run", failing)
    monkeypatch.setattr(session, "terminate", lambda: None)


async def test_a_page_of_the_server_that_is_damaged_costs_its_actors_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = bench.store.new_key(), bench.store.new_key()
    await bench.commit(write(a, A, record=b"a"), write(b, B, record=b"b"))
    await broken(bench, monkeypatch, Refused("XX001", "invalid page"), address=A)
    damaged, sound = await bench.store.load([A, B])
    assert isinstance(damaged, StoreDamaged)
    assert damaged.key == a
    assert isinstance(sound, Stored)


async def test_a_lost_session_is_replaced(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.commit(write(bench.store.new_key(), A, record=b"a"))
    await broken(bench, monkeypatch, Refused("57014", "canceled"), address=A)
    with pytest.raises(StoreFailed, match="loading failed"):
        await bench.load(A)
    monkeypatch.undo()
    await broken(bench, monkeypatch, Lost("cut"), address=A)
    store = bench.store
    assert isinstance(store, PostgresStore)
    assert store._open is not None
    session = store._open.reader._session
    assert session is not None
    monkeypatch.undo()
    session.terminate()
    assert await bench.load(A) is not None
