"""Each tool that makes another store out of one copies the values too, and none of them is forgotten."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from perdure import App, Settings, WorkflowContext
from perdure.actors.store.sqlite import layout
from perdure.actors.store.sqlite.maintenance import backup, check
from perdure.actors.store.sqlite.offline.restoring import restore
from perdure.runtime.engine import Engine
from perdure.runtime.operations.retention.policy import Retention
from perdure.runtime.state.errors import EtagMismatch
from perdure.runtime.state.state import StateChange, StateValue
from perdure.testing.virtual_time import LoopClock, run_virtually

S = "statestore"
KEYS = [f"k{number}" for number in range(50)]


async def save(path: Path, text: bytes) -> None:
    async with Engine(data=path, settings=Settings(app_id="app")) as engine:
        await engine.states.change(S, [StateChange(key, text) for key in KEYS], whole=True)


async def saved(path: Path) -> list[StateValue | None]:
    async with Engine(data=path, settings=Settings(app_id="app")) as engine:
        return [read.value for read in await engine.states.get_many(S, KEYS)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "p.db"


def backed_up(path: Path) -> Path:
    backup(path, path.with_name("copy.db"))
    return path.with_name("copy.db")


def spread(path: Path) -> Path:
    layout.spread(path, path.with_name("new.db"), parts=1)
    return path.with_name("new.db")


@pytest.mark.parametrize("tool", [backed_up, spread])
def test_a_store_that_is_made_of_another_has_its_values_with_their_etags(
    path: Path, tool: Callable[[Path], Path]
) -> None:
    anyio.run(save, path, b"1")
    before = anyio.run(saved, path)
    assert all(before)
    made = tool(path)
    assert check(made) == []
    assert anyio.run(saved, made) == before


def test_a_backup_that_is_restored_has_the_values_of_its_time_and_takes_their_etags(path: Path) -> None:
    anyio.run(save, path, b"1")
    before = anyio.run(saved, path)
    copy = backed_up(path)
    anyio.run(save, path, b"2")
    restore(copy, path)
    assert anyio.run(saved, path) == before

    async def go_on() -> None:
        async with Engine(data=path, settings=Settings(app_id="app")) as engine:
            seen = await engine.states.get(S, "k0")
            assert seen is not None
            await engine.states.change(S, [StateChange("k0", b"3", seen.etag)])
            with pytest.raises(EtagMismatch):
                await engine.states.change(S, [StateChange("k0", b"4", seen.etag)])

    anyio.run(go_on)


def test_retention_forgets_instances_and_no_value() -> None:
    app = App("app")

    @app.workflow
    async def done(ctx: WorkflowContext) -> None:
        pass

    async def story() -> None:
        settings = Settings(retention=Retention(any_terminal_us=1_000_000))
        async with Engine(app, data=":memory:", settings=settings, clock=LoopClock()) as engine:
            await engine.states.change(S, [StateChange("k", b"1")])
            await engine.facade.start("done", instance_id="i")
            await engine.facade.wait("i")
            await anyio.sleep(3_600)
            assert await engine.facade.inspect("i") is None
            assert await engine.states.get(S, "k") is not None

    run_virtually(story)
