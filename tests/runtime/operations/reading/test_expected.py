"""The timers and the mark that an instance expects are those that its engine has written, in every state."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from perdure import App, Engine, RetryPolicy, Settings, WorkflowContext
from perdure.actors.address import Address
from perdure.actors.store.contract import Stored
from perdure.actors.store.sqlite.maintenance import check
from perdure.actors.store.tables.expected import Expected
from perdure.runtime.operations.reading.expected import timers_and_work

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # SQLite's


def expect(address: Address, stored: Stored) -> Expected | None:
    found = timers_and_work(address, stored)
    return Expected(*found) if found is not None else None


def make_app() -> App:
    app = App("test")

    @app.activity
    async def hangs(ctx: Any) -> None:
        await anyio.sleep_forever()

    @app.activity
    async def fails(ctx: Any) -> None:
        raise ValueError

    @app.workflow
    async def sleeps(ctx: WorkflowContext) -> None:
        await ctx.when_any([ctx.create_timer(timedelta(days=days)) for days in (1, 2, 3)])

    @app.workflow
    async def works(ctx: WorkflowContext) -> None:
        await ctx.when_all([ctx.call_activity(hangs), ctx.create_timer(timedelta(days=1))])

    @app.workflow
    async def retries(ctx: WorkflowContext) -> None:
        policy = RetryPolicy(first_retry_interval=timedelta(days=1), max_number_of_attempts=2)
        await ctx.call_activity(fails, retry_policy=policy)

    @app.workflow
    async def waits(ctx: WorkflowContext) -> None:
        await ctx.wait_for_external_event("e", timeout=timedelta(days=1))
        await ctx.wait_for_external_event("e", timeout=timedelta(days=1))

    @app.workflow
    async def parent(ctx: WorkflowContext) -> None:
        await ctx.call_child_workflow("waits", instance_id="child")

    @app.workflow
    def done(ctx: WorkflowContext) -> None:
        return None

    return app


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    """A store with an instance at each place."""
    path = tmp_path / "perdure.db"
    async with Engine(make_app(), data=path, settings=Settings(stop_grace_s=0)) as engine:
        for name in make_app().workflows:
            await engine.client.start(name, instance_id=name)
        await engine.client.raise_event("waits", "e")
        await engine.client.suspend("sleeps")
        await engine.client.start("sleeps", instance_id="terminated")
        await engine.client.terminate("terminated")
        await engine.client.wait("done")
        await anyio.sleep(0.1)  # the activity fails
    return path


async def test_what_an_engine_writes_is_as_expected(store: Path) -> None:
    assert check(str(store), expect) == []
    with closing(sqlite3.connect(store)) as connection:
        (timers,) = connection.execute("SELECT count(*) FROM reminders").fetchone()
    assert timers >= 6


DAMAGES: dict[str, tuple[str, Callable[[str], bool]]] = {
    "a later time": (
        "UPDATE reminders SET due_us = due_us + 4096 WHERE name = '2'",
        lambda said: "timer 2 is due" in said,
    ),
    "another name": ("UPDATE reminders SET name = '9' WHERE name = '3'", lambda said: "timer 3 is due" in said),
    "another actor": (
        "UPDATE reminders SET key = (SELECT key FROM actors WHERE id = 'done') WHERE name = '3'",
        lambda said: "workflow/sleeps" in said,
    ),
    "none": ("DELETE FROM reminders", lambda said: "has no such reminder" in said),
    "no mark": ("DELETE FROM active", lambda said: "workflow/works: it has something in flight" in said),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_what_has_changed_is_told(store: Path, damage: str) -> None:
    statement, fits = DAMAGES[damage]
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute(statement)
    faults = check(str(store), expect)
    assert faults
    assert any(fits(fault) for fault in faults), faults
    # Without a look at the histories, such a file is sound.
    assert check(str(store)) == []


def test_nothing_is_expected_of_what_is_no_instance_or_cannot_be_read() -> None:
    stored = Stored(key=1, record=b"no record", entries=[], active=False)
    assert timers_and_work(Address("workflow", "i"), stored) is None
    assert timers_and_work(Address("workflow@2", "i"), stored) is None
    assert timers_and_work(Address("worker-mark", "connected"), stored) is None
