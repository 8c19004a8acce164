"""An offline engine opens a store that no daemon has, all its parts, and begins nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from perdure import ActivityContext, App, Engine, Status, WorkflowContext
from perdure.actors.store.errors import StoreFailed, StoreLocked
from perdure.actors.store.part import Part
from perdure.actors.store.sqlite.layout import make_ready
from perdure.actors.store.sqlite.store import SqliteStore
from perdure.cli.offline import offline

performed: list[str] = []


def make_app() -> App:
    app = App("shop")

    @app.activity
    async def charge(ctx: ActivityContext) -> None:
        performed.append("charge")

    @app.workflow
    async def order(ctx: WorkflowContext) -> None:
        await ctx.wait_for_external_event("paid")
        await ctx.call_activity(charge)

    return app


@asynccontextmanager
async def daemon(data: Path) -> AsyncIterator[Engine]:
    async with Engine(make_app(), data=data) as engine:
        yield engine


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A store with an instance that waits for an event."""

    async def fill() -> None:
        async with daemon(tmp_path / "p.db") as engine:
            await engine.facade.start("order", instance_id="o1")
            await engine.facade.wait("o1", lambda status: status is Status.RUNNING)

    performed.clear()
    anyio.run(fill)
    return tmp_path / "p.db"


def test_what_is_asked_for_is_done_and_nothing_else_begins(data: Path) -> None:
    async def steer() -> None:
        async with offline(str(data)) as facade:
            await facade.raise_event("o1", "paid")
            await anyio.sleep(0.05)
            state = await facade.inspect("o1")
            assert state is not None
            assert state.status is Status.RUNNING

    anyio.run(steer)
    assert performed == []

    async def go_on() -> None:
        async with daemon(data) as engine:
            await engine.facade.wait("o1")

    anyio.run(go_on)
    assert performed == ["charge"]


def test_a_store_that_a_daemon_has_is_left_alone(data: Path) -> None:
    async def steer() -> None:
        async with daemon(data):
            with pytest.raises(StoreLocked):
                async with offline(str(data)):
                    pass

    anyio.run(steer)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    async def steer() -> None:
        with pytest.raises(StoreFailed, match="there is no store"):
            async with offline(str(tmp_path / "missing.db")):
                pass

    anyio.run(steer)
    assert list(tmp_path.iterdir()) == []


def test_all_parts_of_a_store_are_one(tmp_path: Path) -> None:
    data = str(tmp_path / "p.db")
    make_ready(data, parts=3)
    ids = [f"o{i}" for i in range(12)]

    async def steer() -> None:
        async with offline(data) as facade:
            for instance_id in ids:
                await facade.start("order", instance_id=instance_id)
        async with offline(data) as facade:
            assert list((await facade.list_ids()).ids) == sorted(ids)
            for instance_id in ids:
                await facade.terminate(instance_id)
                await facade.purge(instance_id)
            assert (await facade.list_ids()).ids == []

    anyio.run(steer)


def test_a_part_that_a_daemon_has_is_said_in_one_error(tmp_path: Path) -> None:
    data = str(tmp_path / "p.db")
    make_ready(data, parts=2)

    async def steer() -> None:
        store = SqliteStore(f"{data}.1", part=Part(1, 2))
        await store.open()
        try:
            with pytest.raises(StoreLocked, match=r"p\.db\.1 is in use"):
                async with offline(data):
                    pass
        finally:
            await store.close()

    anyio.run(steer)
