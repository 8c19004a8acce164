"""Hosts behind a pooler in transaction mode work as without one, and outlive it."""

import asyncio

import anyio
import pytest

from perdure import App, Engine, Settings, WorkflowContext
from perdure.actors.errors import PerdureError
from perdure.runtime.errors import InstanceExists
from perdure.runtime.history.status import Status

from ..support.pooler import pooler, pooler_installed
from ..support.postgres import PostgresServer

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(pooler_installed() is None, reason="there is no pgbouncer here"),
]

INSTANCES = 60


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def make_app() -> App:
    app = App("pooled")

    @app.activity
    async def add(ctx: object, n: int) -> int:
        await anyio.sleep(0.02)
        return n + 1

    @app.workflow
    async def climb(ctx: WorkflowContext, steps: int) -> int:
        n = 0
        for _ in range(steps):
            n = await ctx.call_activity(add, input=n)
        return n

    return app


async def test_hosts_share_a_database_behind_a_pooler_which_is_killed_and_comes_back(
    own_server: PostgresServer,
) -> None:
    with pooler(own_server, schema="pooled") as front, anyio.fail_after(180):
        engines = [Engine(make_app(), data=front.url, settings=Settings()) for _ in range(2)]
        for engine in engines:
            await engine.start()
        try:

            async def climb(number: int) -> None:
                engine, id_ = engines[number % 2], f"c{number}"
                while True:
                    try:
                        await engine.facade.start("climb", instance_id=id_, input="10")
                    except InstanceExists:
                        break
                    except PerdureError:
                        await anyio.sleep(0.1)
                    else:
                        break
                state = None
                while state is None:
                    try:
                        state = await engine.facade.wait(id_)
                    except PerdureError:
                        await anyio.sleep(0.1)
                assert (state.status, state.output) == (Status.COMPLETED, "10")

            async with anyio.create_task_group() as tasks:
                for number in range(INSTANCES):
                    tasks.start_soon(climb, number)
                for _ in range(2):
                    await anyio.sleep(1)
                    await asyncio.to_thread(front.kill)
                    await anyio.sleep(0.5)
                    await asyncio.to_thread(front.start)
            assert not any(engine.alone for engine in engines)
        finally:
            for engine in engines:
                await engine.stop()
