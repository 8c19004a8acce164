"""An embedded engine's client has all methods; `tests/client/test_management_client.py` tests each."""

import subprocess
import sys

import anyio
import pytest

import perdure
from perdure.client.management_client import ManagementClient

pytestmark = pytest.mark.anyio


def shop() -> perdure.App:
    app = perdure.App("shop")

    @app.workflow
    async def waits(ctx: perdure.WorkflowContext) -> str:
        return str(await ctx.wait_for_external_event("go"))

    return app


async def test_instances_are_seen_and_steered_without_a_server() -> None:
    async with perdure.Engine(shop(), data=":memory:") as engine:
        for number in range(3):
            await engine.client.start("waits", instance_id=f"i-{number}", tags={"n": str(number)})
        assert [item.id async for item in engine.client.instances(order="created")] == ["i-0", "i-1", "i-2"]
        assert (await engine.client.count(by="status")).counts[0].count == 3
        planned = await engine.client.plan_bulk("terminate", name="waits")
        begun = await engine.client.bulk("terminate", planned.plan)
        with anyio.fail_after(20):
            await engine.client.wait("i-2")
        assert begun.action == "terminate"
        assert (await engine.client.report("system")).app_id == "shop"


async def test_changes_are_followed_and_the_engine_stops_behind_them() -> None:
    engine = perdure.Engine(shop(), data=":memory:")
    async with engine, engine.client.events() as changes:
        seen = aiter(changes)
        assert (await anext(seen)).kind == "ready"
        await engine.client.start("waits", instance_id="i")
        assert (await anext(seen)).data["id"] == "i"


async def test_an_engine_that_does_not_run_says_so() -> None:
    engine = perdure.Engine(shop(), data=":memory:")
    assert isinstance(engine.client, ManagementClient)
    with pytest.raises(perdure.PerdureError):
        await engine.client.list()


def test_the_web_framework_is_loaded_by_the_first_method_that_needs_it() -> None:
    program = """
import sys, anyio, perdure
async def main():
    async with perdure.Engine(perdure.App("a"), data=":memory:") as engine:
        assert await engine.client.get("i") is None
        print("starlette" in sys.modules, "httpx2" in sys.modules)
        await engine.client.list()
        print("starlette" in sys.modules, "httpx2" in sys.modules)
anyio.run(main)
"""
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert ran.stdout.split() == ["False", "False", "True", "False"]
