"""A deploy of new code to two daemons on a PostgreSQL server, one after the other, under load: no workflow fails."""

import threading
import time
from itertools import count
from pathlib import Path

import httpx
import pytest

from ..support.postgres import PostgresServer, installed
from ..support.processes.daemon import Daemon

pytestmark = pytest.mark.skipif(not installed(), reason="no PostgreSQL is installed")

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
EACH_S = 0.03  # between two starts


class Load:
    """Begins instances through any daemon that takes requests, until it is told to stop."""

    def __init__(self) -> None:
        self.daemons: list[Daemon] = []
        self.begun: list[str] = []  # ids
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
            # when one of them is restarted with the new code, which is used at once, at both,
            load.daemons = [one]
            assert two.stop() == 0
            two = daemon("two", "new")
            load.daemons = [one, two]
            load.kinds = [("calls", "both"), ("calls", "old_step"), ("calls", "new_step"), ("new_flow", "new_step")]
            time.sleep(2)
            # and then the other one, once what only the old code has is not asked for any more,
            load.kinds = [("calls", "both"), ("calls", "new_step"), ("new_flow", "new_step")]
            time.sleep(1)
            load.daemons = [two]
            assert one.stop() == 0
            one = daemon("one", "new")
            load.daemons = [one, two]
            time.sleep(1)
        # then every workflow completes, those that only one of them had too.
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
