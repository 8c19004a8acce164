"""The host is killed under a .NET worker, and everything goes on: what was acknowledged completes, events arrive once.

The worker is Dapr's .NET SDK, unmodified; nobody tells it what happens. At the
end its program runs whole against the daemon that has been through all that.
Takes the program as its argument.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import httpx
from host import Host  # type: ignore[import-not-found]  # beside this file, which is no package
from report import Report  # type: ignore[import-not-found]
from sdk_dotnet import run  # type: ignore[import-not-found]

from perdure.actors.store.contract import Stored
from perdure.actors.store.sqlite.store import SqliteStore
from perdure.runtime.history.event import EventRaised, EventSent, TaskCompleted, TaskScheduled
from perdure.runtime.history.row import unpack_row
from perdure.runtime.history.timeline import Timeline
from perdure.runtime.instance.message import workflow_address

KILLS = 3
SEED = 20_261_126
WITHIN_S = 120.0
READY_S = 30.0

# What is started again and again: the workflow, its input, and its output.
KINDS: Mapping[str, tuple[str, str]] = {
    "Chain": ("4", "4"),
    "FanOut": ("5", "30"),
    "Parent": ("3", "6"),
    "Timeout": ("50", '"timed out"'),
}


class Load:
    """What has been started, and whether the daemon has said so."""

    def __init__(self) -> None:
        self.started: dict[str, str] = {}  # the ids, and the output of each
        self.acknowledged: set[str] = set()

    async def run(self, url: str) -> None:
        """Start instances of all kinds, and pairs of which one sends the other an event, until the daemon is dead."""
        async with httpx.AsyncClient(base_url=f"{url}/v1.0/workflows/dapr") as http:
            while True:
                number = len(self.started)
                for name, (given, output) in KINDS.items():
                    if not await self._start(http, name, f"{name}-{number}", given, output):
                        return
                receiver, sender = f"Forever-{number}", f"Sender-{number}"
                if not await self._start(http, "Forever", receiver, '""', "true"):
                    return
                if not await self._start(http, "Sender", sender, f'"{receiver}"', '"sent"'):
                    return

    async def _start(self, http: httpx.AsyncClient, name: str, instance_id: str, given: str, output: str) -> bool:
        self.started[instance_id] = output
        try:
            answer = await http.post(f"/{name}/start", params={"instanceID": instance_id}, content=given)
        except httpx.TransportError:
            return False  # whether it was started, nobody knows
        assert answer.status_code == 202, answer.text
        self.acknowledged.add(instance_id)
        await asyncio.sleep(0.005)
        return True


async def kill_under_load(host: Host, load: Load, after_s: float) -> None:
    running = asyncio.ensure_future(load.run(host.url))
    await asyncio.sleep(after_s)
    host.kill()
    await running


def wait_for_worker(host: Host) -> None:
    deadline = time.monotonic() + READY_S
    while "workflows" not in httpx.get(f"{host.url}/v1.0/metadata").json():
        assert time.monotonic() < deadline, f"no worker after {READY_S:g} s"
        time.sleep(0.1)


def wait_until_finished(host: Host, load: Load) -> None:
    deadline = time.monotonic() + WITHIN_S
    with httpx.Client(base_url=f"{host.url}/v1.0/workflows/dapr") as http:
        for instance_id, output in load.started.items():
            if instance_id.startswith("Forever") and instance_id.replace("Forever", "Sender") not in load.acknowledged:
                continue  # it waits for an event that was perhaps never sent
            while True:
                answer = http.get(f"/{instance_id}")
                if answer.status_code == 404:
                    assert instance_id not in load.acknowledged, f"{instance_id} was acknowledged and is lost"
                    break
                state = answer.json()
                if state["runtimeStatus"] == "COMPLETED":
                    assert state["properties"]["dapr.workflow.output"] == output, state
                    break
                assert state["runtimeStatus"] in ("PENDING", "RUNNING"), state
                assert time.monotonic() < deadline, f"after {WITHIN_S:g} s: {state}"
                time.sleep(0.05)


async def check_histories(data: Path, load: Load) -> None:
    """Each step is in the history once, and each event that was sent has arrived once."""
    store = SqliteStore(data)
    await store.open()
    try:
        found = await store.load([workflow_address(each) for each in load.started])
    finally:
        await store.close()
    for instance_id, stored in zip(load.started, found, strict=True):
        if stored is None:
            assert instance_id not in load.acknowledged, f"{instance_id} is not there"
            continue
        assert isinstance(stored, Stored), stored
        events: list[Any] = [timed.event for timed in Timeline.of(map(unpack_row, stored.entries)).events]
        kinds = Counter(type(event) for event in events)
        if instance_id in load.acknowledged:
            assert kinds[TaskScheduled] == kinds[TaskCompleted], (instance_id, kinds)
        sender = instance_id.replace("Forever", "Sender")
        if instance_id.startswith("Forever") and sender in load.acknowledged:
            assert kinds[EventRaised] == 1, (instance_id, events)
        if instance_id.startswith("Sender") and instance_id in load.acknowledged:
            assert kinds[EventSent] == 1, (instance_id, events)


def prove(program: str, folder: Path, report: Report) -> None:
    data, load, moments = folder / "perdure.db", Load(), Random(SEED)
    with ExitStack() as stack:
        # Given a daemon with a .NET worker,
        host = Host(data)
        stack.callback(host.stop)
        ports = host.ports
        with (folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen([program, "--serve"], env=host.env(), stdout=log, stderr=log)
        stack.callback(worker.kill)
        wait_for_worker(host)
        # when the daemon is killed at random moments under load,
        for _ in range(KILLS):
            asyncio.run(kill_under_load(host, load, moments.uniform(0.3, 1.5)))
            host = Host(data, ports=ports)
            stack.callback(host.stop)
        # then what was acknowledged completes by itself,
        with report.method(f"{len(load.acknowledged)} acknowledged instances complete after {KILLS} kills"):
            assert len(load.acknowledged) > 10 * KILLS, len(load.acknowledged)
            wait_until_finished(host, load)
        with report.method("the worker connects again by itself"):
            assert worker.poll() is None, "the worker ended"
        # and the whole program runs against that daemon, with a worker of its own.
        worker.terminate()
        worker.wait(timeout=30)
        os.environ.update(host.env())
        run(report, [program], prefix="afterwards: ")
        run(report, [program, "--guide"], prefix="afterwards, the guide: ")
        assert host.stop() == 0
    with report.method("each step is in the history once, and each event that was sent has arrived once"):
        asyncio.run(check_histories(data, load))


def main() -> int:
    report = Report("Dapr.Workflow 1.19 (.NET), host killed")
    with tempfile.TemporaryDirectory(prefix="perdure-dotnet-", ignore_cleanup_errors=True) as folder:
        keep = os.environ.get("PERDURE_CRASH_FOLDER")  # to look at what a failure left
        with report.method("the story runs"):
            prove(sys.argv[1], Path(keep or folder), report)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
