"""The host is killed under connected workers, again and again under load: nothing is lost, nothing happens twice.

The workers are Dapr's Python SDK, unmodified; nobody tells them what happens.
Takes the Python with the SDK as its argument.
"""

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx
from host import Host  # type: ignore[import-not-found]  # beside this file, which is no package
from report import Report  # type: ignore[import-not-found]

from perdure.actors.store.contract import Stored
from perdure.actors.store.sqlite.store import SqliteStore
from perdure.runtime.history.event import ExecutionCompleted, TaskCompleted, TaskScheduled
from perdure.runtime.history.row import unpack_row
from perdure.runtime.history.timeline import Timeline
from perdure.runtime.instance.message import workflow_address

HERE = Path(__file__).parent
KILLS = 6
WORKERS = 2
CLIENTS = 4
SEED = 20_261_123
WITHIN_S = 180.0  # the SDK waits up to 15 s before it connects again

RESULT = "25"  # 0 and three steps, and 10 + 1 from each of two children


class Load:
    """Clients that start instances as fast as they are answered, and remember which were acknowledged."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.acknowledged: set[str] = set()

    async def run(self, url: str) -> None:
        async def client(http: httpx.AsyncClient) -> None:
            while True:
                instance_id = f"i{len(self.asked)}"
                self.asked.append(instance_id)
                try:
                    answer = await http.post(
                        f"{url}/v1.0/workflows/dapr/crash/start", params={"instanceID": instance_id}, content="0"
                    )
                except httpx.TransportError:
                    return  # the daemon is dead; whether it took this one, nobody knows
                assert answer.status_code == 202, answer.text
                self.acknowledged.add(instance_id)
                await asyncio.sleep(0.02)  # a pace that the workers can follow on a small machine

        async with httpx.AsyncClient() as http:
            await asyncio.gather(*(client(http) for _ in range(CLIENTS)))


async def kill_under_load(host: Host, load: Load, after_s: float) -> None:
    running = asyncio.ensure_future(load.run(host.url))
    await asyncio.sleep(after_s)
    host.kill()
    await running


def wait_until_finished(host: Host, load: Load) -> None:
    """Wait for all that was taken; of what was not acknowledged, for what is there."""
    deadline = time.monotonic() + WITHIN_S
    with httpx.Client(base_url=f"{host.url}/v1.0/workflows/dapr") as http:
        for instance_id in load.asked:
            while True:
                answer = http.get(f"/{instance_id}")
                if answer.status_code == 404:
                    assert instance_id not in load.acknowledged, f"{instance_id} was acknowledged and is lost"
                    break
                state = answer.json()
                if state["runtimeStatus"] == "COMPLETED":
                    assert state["properties"]["dapr.workflow.output"] == RESULT, state
                    break
                assert state["runtimeStatus"] in ("PENDING", "RUNNING"), state
                assert time.monotonic() < deadline, f"after {WITHIN_S:g} s: {state}"
                time.sleep(0.05)


async def check_histories(data: Path, load: Load) -> None:
    """Each step is recorded once in an instance's history, and in its children's."""
    store = SqliteStore(data)
    await store.open()
    try:
        assert await store.active() == [], "there is work left in the store"
        family = [*load.asked, *(f"{each}:{n:04x}" for each in load.asked for n in (5, 6))]
        found = await store.load([workflow_address(each) for each in family])
        for instance_id, stored in zip(family, found, strict=True):
            if stored is None:
                assert instance_id.partition(":")[0] not in load.acknowledged, f"{instance_id} is not there"
                continue
            assert isinstance(stored, Stored), stored
            events = [timed.event for timed in Timeline.of(map(unpack_row, stored.entries)).events]
            scheduled = Counter(event.event_id for event in events if isinstance(event, TaskScheduled))
            completed = Counter(event.task_id for event in events if isinstance(event, TaskCompleted))
            steps = 1 if ":" in instance_id else 3
            assert scheduled == completed, (instance_id, scheduled, completed)
            assert len(scheduled) == steps, (instance_id, scheduled)
            assert set(scheduled.values()) == {1}, (instance_id, scheduled)
            assert len([event for event in events if isinstance(event, ExecutionCompleted)]) == 1, instance_id
    finally:
        await store.close()


def check_bodies(bodies: Path, load: Load) -> None:
    """Bodies may run more than once, but only for what was asked, and under the same key."""
    keys: dict[str, set[str]] = {}
    for line in bodies.read_text().splitlines():
        instance_id, key = line.split()
        assert instance_id.partition(":")[0] in load.asked, instance_id
        keys.setdefault(instance_id, set()).add(key)
    for instance_id in load.acknowledged:
        assert len(keys[instance_id]) == 3, (instance_id, keys[instance_id])


def start_worker(python: str, host: Host, bodies: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen(
            [python, str(HERE / "sdk_crash_worker.py"), str(bodies)], env=host.env(), stdout=file, stderr=file
        )


def prove(python: str, folder: Path, report: Report) -> None:
    data, bodies = folder / "perdure.db", folder / "bodies.txt"
    moments, load = random.Random(SEED), Load()
    with ExitStack() as stack:
        # Given a daemon with two workers,
        host = Host(data)
        workers = [start_worker(python, host, bodies, folder / f"worker{n}.log") for n in range(WORKERS)]
        for worker in workers:
            stack.callback(worker.kill)
        ports = host.ports
        time.sleep(2)  # the SDK imports; instances may come before workers do, but here both are to be there
        # when it is killed at random moments under load,
        for _ in range(KILLS):
            asyncio.run(kill_under_load(host, load, moments.uniform(0.2, 1.5)))
            host = Host(data, ports=ports)
            stack.callback(host.stop)
            time.sleep(moments.uniform(0.0, 4.0))
        # then what was acknowledged completes by itself,
        with report.method(f"{len(load.acknowledged)} acknowledged instances complete after {KILLS} kills"):
            assert len(load.acknowledged) > 5 * KILLS, len(load.acknowledged)
            wait_until_finished(host, load)
        with report.method("workers connect again by themselves"):
            assert all(worker.poll() is None for worker in workers), "a worker ended"
        assert host.stop() == 0
    # and every step is recorded once.
    with report.method("each step is in the history once"):
        asyncio.run(check_histories(data, load))
    with report.method("a step that runs again has the same key"):
        check_bodies(bodies, load)


def main() -> int:
    report = Report("Python dapr 1.19 workers, host killed")
    with tempfile.TemporaryDirectory(prefix="perdure-crash-", ignore_cleanup_errors=True) as folder:
        keep = os.environ.get("PERDURE_CRASH_FOLDER")  # to look at what a failure left
        with report.method("the story runs"):
            prove(sys.argv[1], Path(keep or folder), report)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
