"""Each call of the store fails in turn while an engine starts and recovers: it says so or goes on, and loses nothing.

Each kind of store, and each of its calls from the opening to the end: it fails once, or from then on. Afterwards an
engine with a sound store finds all instances.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from shutil import copytree
from typing import Any

import anyio
import pytest

from perdure import App, Engine, PerdureError, Status, WorkflowContext
from perdure.actors.hosting.committer import Committer
from perdure.actors.hosting.failures import Failures
from perdure.actors.reminders.loop import ReminderLoop
from perdure.actors.store.contract import Store
from perdure.actors.store.errors import StoreError
from perdure.actors.store.sqlite.store import SqliteStore
from perdure.runtime.operations import child_starter
from perdure.runtime.settings import Settings
from perdure.testing.faulty_store import FaultyStore

pytestmark = pytest.mark.anyio
SETTINGS = Settings(stop_grace_s=0)
INSTANCES = ("in an activity", "with a child", "asleep", "with an event", "waiting", "done")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"  # the SQLite store needs it


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name, value in (
        (Failures, "RETRY_MIN_S", 0.001),
        (Failures, "FAILED_S", 0.001),
        (Committer, "FAILING_S", 0.05),
        (ReminderLoop, "RETRY_S", 0.001),
        (child_starter, "RETRY_S", 0.001),
    ):
        monkeypatch.setattr(owner, name, value)


def make_app(*, ends: bool) -> App:
    """An app whose instances are in each state that a start finds.

    Args:
        ends: Whether activities end; otherwise they are under way for ever.
    """
    app = App("shop")

    @app.activity
    async def step(ctx: object) -> str:
        if not ends:
            await anyio.sleep_forever()
        return "done"

    @app.workflow
    async def works(ctx: WorkflowContext) -> str:
        return await ctx.call_activity(step)

    @app.workflow
    async def has_a_child(ctx: WorkflowContext) -> str:
        return await ctx.call_child_workflow(works, instance_id="child")

    @app.workflow
    async def sleeps(ctx: WorkflowContext) -> str:
        await ctx.create_timer(timedelta(milliseconds=1 if ends else 200))
        return "done"

    @app.workflow
    async def waits(ctx: WorkflowContext) -> Any:
        return await ctx.wait_for_external_event("go")

    @app.workflow
    async def is_done(ctx: WorkflowContext) -> str:
        return "done"

    return app


@pytest.fixture(scope="module")
async def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store whose engine has ended with work in flight."""
    folder = tmp_path_factory.mktemp("filled")
    async with Engine(make_app(ends=False), data=folder / "p.db", settings=SETTINGS) as engine:
        for workflow, instance_id in zip(
            ("works", "has_a_child", "sleeps", "waits", "waits", "is_done"), INSTANCES, strict=True
        ):
            await engine.client.start(workflow, instance_id=instance_id)
        await engine.client.suspend("with an event")
        await engine.client.raise_event("with an event", "go", "done")
        await engine.client.wait("done")
        with anyio.fail_after(5):
            while await status_of(engine, "child") is None:
                await anyio.sleep(0.001)
    return folder


async def start_under(store: Store, *, seconds: float) -> list[str]:
    """Start an engine on a store that fails, and use it for a while; return the ids of the acknowledged instances."""
    acknowledged: list[str] = []
    try:
        with anyio.fail_after(20):
            async with Engine(make_app(ends=True), data=store, settings=SETTINGS) as engine:
                with anyio.move_on_after(seconds):
                    for number in range(3):
                        try:
                            await engine.client.start("is_done", instance_id=f"new-{number}")
                        except PerdureError:
                            continue
                        acknowledged.append(f"new-{number}")
                    while not all([await completed(engine, each) for each in INSTANCES[:3]]):
                        await anyio.sleep(0.005)
    except StoreError:
        pass  # the engine reports the fault; any other error is a bug of ours
    return acknowledged


async def status_of(engine: Engine, instance_id: str) -> Status | None:
    with suppress(PerdureError):
        state = await engine.client.get(instance_id)
        return state.status if state is not None else None
    return None


async def completed(engine: Engine, instance_id: str) -> bool:
    return await status_of(engine, instance_id) is Status.COMPLETED


async def finish(data: Path, acknowledged: list[str]) -> None:
    """Start an engine on the store without faults: all acknowledged instances complete."""
    with anyio.fail_after(20):
        async with Engine(make_app(ends=True), data=data, settings=SETTINGS) as engine:
            await engine.client.raise_event("waiting", "go", "done")
            await engine.client.resume("with an event")
            for instance_id in (*INSTANCES, *acknowledged):
                state = await engine.client.wait(instance_id)
                assert (state.status, state.output) == (Status.COMPLETED, "done"), instance_id


async def calls_of_a_start(filled: Path, folder: Path) -> list[str]:
    store = FaultyStore(SqliteStore(copied(filled, folder)))
    await start_under(store, seconds=10)
    return store.calls


def copied(filled: Path, folder: Path) -> Path:
    copytree(filled, folder)
    return folder / "p.db"


FAULTS: dict[str, Callable[[FaultyStore, int], None]] = {
    "once": lambda store, nth: store.fail_any(nth),
    "from then on": lambda store, nth: store.fail_any(nth, last=True),
}


@pytest.mark.parametrize("how", FAULTS)
@pytest.mark.parametrize("stride", [4, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"])
async def test_each_call_that_fails_in_a_start_loses_nothing(
    filled: Path, tmp_path: Path, how: str, stride: int
) -> None:
    # Given a store with work in flight, and the calls of a start that recovers it,
    calls = await calls_of_a_start(filled, tmp_path / "sound")
    assert set(calls) >= {"open", "claim", "active", "reminders", "load", "commit", "inspect", "close"}
    for nth, name in [*enumerate(calls, 1)][::stride]:
        # when one of them fails,
        data = copied(filled, tmp_path / str(nth))
        store = FaultyStore(SqliteStore(data))
        FAULTS[how](store, nth)
        acknowledged = await start_under(store, seconds=5 if how == "once" else 0.05)
        # then the next start finds all instances, with those that the first start has acknowledged.
        try:
            await finish(data, acknowledged)
        except BaseException as error:
            error.add_note(f"call {nth} of {len(calls)}, {name}, failed {how}")
            raise


@pytest.mark.parametrize("name", ["open", "claim", "active"])
async def test_a_start_that_cannot_read_the_store_says_so_and_holds_nothing(
    filled: Path, tmp_path: Path, name: str
) -> None:
    data = copied(filled, tmp_path / "copy")
    store = FaultyStore(SqliteStore(data))
    store.fail(name)
    with pytest.raises(StoreError, match=f"this {name} was made to fail"):
        async with Engine(make_app(ends=True), data=store, settings=SETTINGS):
            pass
    await finish(data, [])


@pytest.mark.parametrize("name", ["load", "reminders", "commit"])
async def test_a_start_outlives_a_call_that_fails_for_a_while(filled: Path, tmp_path: Path, name: str) -> None:
    store = FaultyStore(SqliteStore(copied(filled, tmp_path / "copy")))
    for nth in range(1, 6):
        store.fail(name, nth)
    with anyio.fail_after(20):
        async with Engine(make_app(ends=True), data=store, settings=SETTINGS) as engine:
            for instance_id in INSTANCES[:3]:
                while not await completed(engine, instance_id):
                    await anyio.sleep(0.005)
