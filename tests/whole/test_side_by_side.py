"""Hosts with old and with new code side by side, over real connections: a rolling deploy fails no workflow."""

import threading
import time
from itertools import count
from pathlib import Path

import anyio
import httpx
import pytest

from perdure import App, Engine
from perdure.actors.cluster.membership import FixedMembership
from perdure.actors.store.memory import MemoryStore
from perdure.actors.store.part import Part
from perdure.runtime.instance.message import workflow_address

from ..support.actors.several_hosts import socket_directory
from ..support.postgres import PostgresServer, installed
from ..support.processes.daemon import Daemon
from ..support.workflows.two_codes import TwoCodes

APP = """
import os

import perdure

app = perdure.App("shop")
new = os.environ["CODE"] == "new"


@app.activity(name="new_step" if new else "old_step")
async def step(ctx: perdure.ActivityContext, n: int) -> int:
    return n


@app.activity
async def both(ctx: perdure.ActivityContext, n: int) -> int:
    return n


@app.workflow
async def calls(ctx: perdure.WorkflowContext, activity: str) -> str:
    for n in range(3):
        assert await ctx.call_activity(activity, input=n) == n
    return activity


if new:

    @app.workflow
    async def new_flow(ctx: perdure.WorkflowContext, activity: str) -> str:
        return await ctx.call_child_workflow(calls, input=activity)
"""
EACH_S = 0.08  # the pause between two starts


class Load:
    """Begins instances through any daemon that takes requests, until it is told to stop."""

    def __init__(self) -> None:
        self.daemons: list[Daemon] = []
        self.begun: list[str] = []  # the ids of the instances
        self.kinds = [("calls", "both")]
        self.refused: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(timeout=30) as http:
            for number in count():
                if self._stop.wait(EACH_S):
                    return
                workflow, activity = self.kinds[number % len(self.kinds)]
                daemon = self.daemons[number % len(self.daemons)]
                url = f"{daemon.url}/v1.0/workflows/dapr/{workflow}/start?instanceID=i{number}"
                answer = http.post(url, json=activity)
                if answer.is_success:
                    self.begun.append(f"i{number}")
                else:
                    self.refused.append(answer.text)


@pytest.mark.skipif(not installed(), reason="no PostgreSQL is installed")
def test_a_rolling_deploy_of_new_names_fails_no_workflow(tmp_path: Path, own_server: PostgresServer) -> None:
    app = tmp_path / "shop.py"
    app.write_text(APP)
    url = own_server.url(schema="side_by_side")

    def daemon(name: str, code: str) -> Daemon:
        return Daemon(app, tmp_path / f"{name}.db", "--data", url, "--drain", "1", env={"CODE": code})

    # Given two daemons with the old code, under load,
    one, two = daemon("one", "old"), daemon("two", "old")
    try:
        with Load() as load:
            load.daemons = [one, two]
            load.kinds = [("calls", "both"), ("calls", "old_step")]
            time.sleep(1)
            # when one of them is restarted with the new code, which clients use at once, at both daemons,
            load.daemons = [one]
            assert two.stop() == 0
            two = daemon("two", "new")
            load.daemons = [one, two]
            load.kinds = [("calls", "both"), ("calls", "old_step"), ("calls", "new_step"), ("new_flow", "new_step")]
            time.sleep(2)
            # and then the other one, once clients no longer ask for the activity that only the old code has,
            load.kinds = [("calls", "both"), ("calls", "new_step"), ("new_flow", "new_step")]
            time.sleep(1)
            load.daemons = [two]
            assert one.stop() == 0
            one = daemon("one", "new")
            load.daemons = [one, two]
            time.sleep(1)
        # then every workflow completes, also those that only one of the daemons had.
        assert load.refused == []
        assert len(load.begun) > 50
        with httpx.Client(base_url=f"{one.url}/api/v1/", timeout=60) as http:
            for instance_id in load.begun:
                found = http.get(f"instances/{instance_id}/wait", params={"timeout": "60s"}).json()
                assert found["status"] == "COMPLETED", found
        log = (tmp_path / "one.log").read_text()
        assert "activity 'new_step' is not registered at this host" in log
        assert "instances of workflow 'new_flow' wait" in log
    finally:
        one.stop()
        two.stop()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_hosts_of_a_fixed_number_perform_for_each_other_also_after_a_restart_with_other_code() -> None:
    two = TwoCodes()
    two.lasts_s = 0.2
    stores = [MemoryStore(part=Part(index, 2)) for index in range(2)]
    with socket_directory() as directory, anyio.fail_after(60):

        def engine(index: int, app: App) -> Engine:
            return Engine(app, data=stores[index], membership=FixedMembership(part=Part(index, 2), directory=directory))

        async def outputs(through: Engine, name: str) -> set[str | None]:
            # Instances of both hosts, because made-up ids are spread over them.
            ids = [await through.facade.start("calls", input=f'"{name}"') for _ in range(8)]
            return {(await through.facade.wait(each)).output for each in ids}

        # Given two hosts, one of which has the old code and one the new,
        async with engine(0, two.old) as first:
            async with engine(1, two.new):
                # then each performs for the other one the activities that only its own code has,
                assert await outputs(first, "new_step") == {'"1 by new"'}
                assert await outputs(first, "old_step") == {'"1 by old"'}
                (failed,) = await outputs(first, "nobody")
                assert failed is not None
                assert "Nor has its other host." in failed
            # and while the host of the new code is away, or back with the old code, instances wait for its activities,
            owns = first._host.placement.owns
            instance_id = next(each for each in map(str, range(100)) if owns(workflow_address(each)))
            await first.facade.start("calls", instance_id=instance_id, input='"new_step"')
            async with engine(1, two.old):
                await anyio.sleep(0.5)
            # until that host has the new code again.
            async with engine(1, two.new):
                assert (await first.facade.wait(instance_id)).output == '"1 by new"'
