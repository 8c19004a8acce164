"""Instances wait for the same things after their daemon was killed: the store has all of their waits."""

import time
from pathlib import Path
from typing import Any

import httpx

from ..support.processes.daemon import Daemon

APP = """
import asyncio
from datetime import timedelta
import perdure

app = perdure.App("shop")
DAY = timedelta(days=1)

@app.activity
async def hang(ctx: perdure.ActivityContext) -> None:
    await asyncio.sleep(3600)

@app.activity
async def fail(ctx: perdure.ActivityContext) -> None:
    raise ValueError("no")

@app.workflow
async def activity(ctx: perdure.WorkflowContext) -> None:
    await ctx.call_activity(hang)

@app.workflow
async def retry(ctx: perdure.WorkflowContext) -> None:
    policy = perdure.RetryPolicy(first_retry_interval=DAY, max_number_of_attempts=3)
    await ctx.call_activity(fail, retry_policy=policy)

@app.workflow
async def events(ctx: perdure.WorkflowContext) -> None:
    first = ctx.wait_for_external_event("Approve")
    second = ctx.wait_for_external_event("Approve", timeout=DAY)
    third = ctx.wait_for_external_event("Cancel")
    await perdure.when_all([first, second, third])

@app.workflow
async def family(ctx: perdure.WorkflowContext) -> None:
    await perdure.when_any([ctx.call_child_workflow(events), ctx.create_timer(DAY)])
"""
NAMES = ("activity", "retry", "events", "family")
EXPECTED = {
    "activity": [("activity", "hang", "running", 1, 1)],
    "retry": [("activity", "fail", "queued", 2, 2)],
    # One "Approve" has arrived, and has ended the older wait.
    "events": [("event", "Approve", None, None, 1), ("event", "Cancel", None, None, None)],
    "family": [("child", "events", None, 1, 1), ("timer", None, None, None, 2)],
}


def waits(daemon: Daemon) -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    for name in NAMES:
        answer = httpx.get(f"{daemon.url}/api/v1/instances/{name}", timeout=20).json()
        fields = ("kind", "name", "state", "attempt", "event_id")
        found[name] = [tuple(each[field] for field in fields) for each in answer["waiting_for"]]
    return found


def settled(daemon: Daemon) -> None:
    until_s = time.monotonic() + 10
    while (found := waits(daemon)) != EXPECTED and time.monotonic() < until_s:
        time.sleep(0.05)
    assert found == EXPECTED


def test_what_instances_wait_for_outlives_the_daemon(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    with Daemon(tmp_path / "shop.py", tmp_path / "p.db") as daemon:
        for name in NAMES:
            answer = httpx.post(f"{daemon.url}/api/v1/workflows/{name}/instances", params={"id": name}, timeout=20)
            assert answer.status_code == 201, answer.text
        raised = httpx.post(f"{daemon.url}/api/v1/instances/events/events/approve", content="1", timeout=20)
        assert raised.status_code == 202, raised.text
        settled(daemon)
        daemon.kill()
    with Daemon(tmp_path / "shop.py", tmp_path / "p.db") as daemon:
        settled(daemon)
