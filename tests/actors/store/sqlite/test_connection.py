"""A connection runs a whole function in one trip to its thread, and the event loop pauses for the thread."""

import asyncio
import inspect
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiosqlite
import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.store.sqlite.connection import Connection

from ....support.actors.sqlite_file import full_write, on_writer, opened

pytestmark = pytest.mark.anyio


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    calls: list[object] = []
    original = Connection.call

    async def call(self: Connection, function: Callable[[sqlite3.Connection], Any]) -> Any:
        calls.append(function)
        return await original(self, function)

    monkeypatch.setattr(Connection, "call", call)
    return calls


async def test_a_batch_and_a_read_are_one_trip_to_their_thread(path: Path, calls: list[object]) -> None:
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        addresses = [Address("wf", str(i)) for i in range(300)]
        calls.clear()
        await store.commit([full_write(store.new_key(), address) for address in addresses], fences)
        assert len(calls) == 1
        await store.load(addresses)
        await store.inspect(addresses)
        assert len(calls) == 3


def test_aiosqlite_has_what_the_connection_builds_on() -> None:
    # Both are protected; if one is gone, `Connection.call` needs another way to run a function on the thread.
    execute = inspect.signature(aiosqlite.Connection._execute)
    assert [parameter.kind.name for parameter in execute.parameters.values()] == [
        "POSITIONAL_OR_KEYWORD", "POSITIONAL_OR_KEYWORD", "VAR_POSITIONAL", "VAR_KEYWORD",
    ]  # fmt: skip
    assert inspect.iscoroutinefunction(aiosqlite.Connection._execute)
    assert isinstance(aiosqlite.Connection._conn, property)


async def test_the_loop_rests_for_the_thread_and_only_while_it_works(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    rested = threading.Event()

    def rest(seconds: float) -> None:
        rests.append(seconds)
        rested.set()

    async with opened(path) as store:
        monkeypatch.setattr(time, "sleep", rest)
        # While something is under way on the thread, the loop rests,
        assert await on_writer(store, lambda _: rested.wait(5))
        assert set(rests) == {Connection.REST_S}
        # once, for any number of waiters,
        assert isinstance(store._writer, Connection)
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(on_writer, store, lambda _: None)
            await anyio.wait_all_tasks_blocked()
        # and not after the work is done.
        assert store._writer._next_rest is not None
        assert store._writer._next_rest.cancelled()
        assert len(rest_timers()) == 0


def rest_timers() -> list[asyncio.TimerHandle]:
    timers: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return [timer for timer in timers if not timer.cancelled() and "_rest" in repr(timer)]
