"""An instance that breaks by a fault of ours is STALLED with the reason, in each API, and loses nothing."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from perdure import ActivityContext, App, Engine, Status, WorkflowContext
from perdure.actors.errors import ActorStalled
from perdure.actors.hosting.failures import Failures
from perdure.actors.hosting.mailroom import Mailroom
from perdure.actors.store.errors import StoreDamaged
from perdure.runtime.errors import InstanceStalled
from perdure.runtime.history.instance_state import InstanceState
from perdure.runtime.instance import receiving
from perdure.runtime.instance.message import ActivityDone
from perdure.runtime.settings import Opening, Settings

pytestmark = pytest.mark.anyio
SETTINGS = Settings(stop_grace_s=0)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the SQLite store needs it


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Failures, "FAILED_S", 0.01)


def make_app(*, ends: bool = True) -> App:
    """An app with an order, whose activity ends if `ends` is set."""
    app = App("shop")

    @app.activity
    async def charge(ctx: ActivityContext) -> str:
        if not ends:
            await anyio.sleep_forever()
        return "charged"

    @app.workflow
    async def order(ctx: WorkflowContext) -> list[Any]:
        return [await ctx.call_activity(charge), await ctx.wait_for_external_event("sent")]

    return app


def engine(data: Path, *, ends: bool = True) -> Engine:
    return Engine(make_app(ends=ends), data=data, settings=SETTINGS)


async def stalled(engine: Engine, instance_id: str) -> InstanceState:
    with anyio.fail_after(10):
        return await engine.facade.wait(instance_id, lambda status: status is Status.STALLED)


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A store with an order whose activity is under way."""
    async with engine(tmp_path / "p.db", ends=False) as first:
        await first.facade.start("order", instance_id="o1")
        await first.facade.wait("o1", lambda status: status is Status.RUNNING)
    return tmp_path / "p.db"


def rows(data: Path) -> list[Any]:
    with closing(sqlite3.connect(data)) as database:
        return [database.execute(f"SELECT * FROM {table}").fetchall() for table in ("actors", "log", "active")]


# Turns that break.


def break_turns(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Let each turn break that takes the result of an activity; return how many have."""
    broken = 0

    def breaks(sheet: object, envelope: object) -> None:
        nonlocal broken
        broken += 1
        raise LookupError("a bug of ours")

    receivers: dict[Any, Any] = receiving.RECEIVERS
    monkeypatch.setitem(receivers, ActivityDone, breaks)
    return lambda: broken


async def test_an_instance_whose_turn_breaks_is_stalled_after_three_tries(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as bug:
        tries = break_turns(bug)
        async with engine(data) as broken:
            state = await stalled(broken, "o1")
            assert tries() == 3
            assert state.set_aside
            assert state.stall is not None
            assert "its turn broke 3 times in a row" in state.stall
            assert "LookupError: a bug of ours" in state.stall
            # Events that arrive are kept.
            await broken.facade.raise_event("o1", "sent", '"today"')
    # After a restart without the bug the instance goes on, and nothing is lost.
    async with engine(data) as mended:
        assert (await mended.facade.wait("o1")).output == '["charged","today"]'


async def test_after_a_restart_it_is_tried_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_turns(monkeypatch)
    async with engine(data) as broken:
        await stalled(broken, "o1")
    tries = break_turns(monkeypatch)
    async with engine(data) as again:
        with anyio.fail_after(10):
            while tries() < 1:
                await anyio.sleep(0.01)
        await stalled(again, "o1")


async def test_it_can_be_terminated_purged_and_released(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as bug:
        break_turns(bug)
        async with engine(data) as broken:
            await stalled(broken, "o1")
            with pytest.raises(InstanceStalled):
                await broken.facade.suspend("o1")
    async with engine(data) as mended:
        await mended.facade.terminate("o1")
        assert (await mended.facade.wait("o1")).status is Status.TERMINATED
        assert await mended.facade.purge("o1") == 1


# Rows that cannot be read.


DAMAGES = {
    "the record": "UPDATE actors SET record = x'99' WHERE id = 'o1'",
    "the history": "UPDATE log SET entry = x'99' WHERE key = (SELECT key FROM actors WHERE id = 'o1')",
}


@pytest.mark.parametrize("statement", DAMAGES.values(), ids=DAMAGES)
async def test_an_instance_that_cannot_be_read_is_stalled_and_nothing_is_written_to_it(
    data: Path, statement: str
) -> None:
    with closing(sqlite3.connect(data)) as database, database:
        database.execute(statement)
    before = rows(data)
    async with engine(data) as hosting:
        state = await stalled(hosting, "o1")
        assert state.stall is not None
        assert "cannot be read" in state.stall
        inspected = await hosting.facade.inspect("o1")
        assert inspected == state
        for asked in (
            hosting.facade.raise_event("o1", "sent"),
            hosting.facade.terminate("o1"),
            hosting.facade.suspend("o1"),
            hosting.facade.start("order", instance_id="o1"),
        ):
            with pytest.raises((ActorStalled, StoreDamaged), match=r"cannot be read|is damaged in the store"):
                await asked
        # Other instances go on.
        await hosting.facade.start("order", instance_id="o2")
        await hosting.facade.raise_event("o2", "sent", "1")
        assert (await hosting.facade.wait("o2")).status is Status.COMPLETED
        await hosting.facade.purge("o2")
    assert [each[: len(kept)] for each, kept in zip(rows(data), before, strict=True)] == before
    # After a restart the instance is found again, and can be purged; then its id is free.
    async with engine(data) as hosting:
        await stalled(hosting, "o1")
        assert await hosting.facade.purge("o1") == 1
        assert await hosting.facade.inspect("o1") is None
        await hosting.facade.start("order", instance_id="o1")
        await hosting.facade.raise_event("o1", "sent", "1")
        assert (await hosting.facade.wait("o1")).status is Status.COMPLETED


@pytest.mark.parametrize("statement", DAMAGES.values(), ids=DAMAGES)
async def test_one_that_cannot_be_read_is_tried_once_after_a_restart(
    data: Path, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(data)) as database, database:
        database.execute(statement)
    tried = 0
    not_loaded, stall = Failures.not_loaded, Mailroom.stall

    def counted(failures: Failures, *failed: Any) -> None:
        nonlocal tried
        tried += 1
        not_loaded(failures, *failed)

    def told(mailroom: Mailroom, *stalled: Any) -> None:
        stall(mailroom, *stalled)
        is_stalled.set()

    monkeypatch.setattr(Failures, "not_loaded", counted)
    monkeypatch.setattr(Mailroom, "stall", told)
    # Given an engine that has tried the instance three times, when later engines start, then each tries it once.
    for tries in (3, 1, 1):
        is_stalled = anyio.Event()
        opening = Opening(flight_record=True)
        async with Engine(make_app(), data=data, settings=SETTINGS, opening=opening):
            with anyio.fail_after(10):
                await is_stalled.wait()
        assert tried == tries
        tried = 0
