"""A daemon that is killed at random moments under load loses nothing that it acknowledged, and invents nothing.

This is the proof of the promises in ARCHITECTURE.md, from outside: a real
process, a real file, real HTTP, SIGKILL.
"""

import asyncio
import random
import textwrap
import time
from collections import Counter
from pathlib import Path

import anyio
import httpx

from perdure.actors.store.sqlite import SqliteStore
from perdure.runtime.event import ExecutionCompleted, TaskCompleted, TaskScheduled
from perdure.runtime.history import unpack_row
from perdure.runtime.message import workflow_address

from .daemon import Daemon

KILLS = 20
CLIENTS = 8
SEED = 20_261_123

APP = textwrap.dedent('''
    """Instances that leave a line in a file for every activity body that runs."""

    import os
    from datetime import timedelta
    from pathlib import Path

    import anyio
    import perdure

    app = perdure.App("crash")
    BODIES = Path(__file__).with_name("bodies.txt")


    @app.activity
    async def step(ctx: perdure.ActivityContext, n: int) -> int:
        line = f"{ctx.workflow_id} {ctx.task_execution_id}\\n".encode()
        file = os.open(BODIES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, line)
        finally:
            os.close(file)
        await anyio.sleep(0.005)
        return n + 1


    @app.workflow
    async def half(ctx: perdure.WorkflowContext, n: int) -> int:
        return await ctx.call_activity(step, input=n)


    @app.workflow
    async def crash(ctx: perdure.WorkflowContext, n: int) -> int:
        for _ in range(3):
            n = await ctx.call_activity(step, input=n)
        await ctx.create_timer(timedelta(milliseconds=20))
        return n + sum(await ctx.when_all([ctx.call_child_workflow(half, input=0) for _ in range(2)]))


    @app.workflow
    async def asleep(ctx: perdure.WorkflowContext) -> None:
        await ctx.create_timer(timedelta(days=1))
''')


class Load:
    """Clients that start instances as fast as they are answered, and remember which were acknowledged."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.acknowledged: set[str] = set()

    async def run(self, url: str, *, for_s: float) -> None:
        deadline = time.monotonic() + for_s

        async def client(http: httpx.AsyncClient) -> None:
            while time.monotonic() < deadline:
                instance_id = f"i{len(self.asked)}"
                self.asked.add(instance_id)
                try:
                    response = await http.post(
                        f"{url}/v1.0/workflows/dapr/crash/start", params={"instanceID": instance_id}, content="0"
                    )
                except httpx.TransportError:
                    return  # the daemon is dead; whether it took this one, nobody knows
                assert response.status_code == 202, response.text
                self.acknowledged.add(instance_id)

        async with httpx.AsyncClient() as http:
            await asyncio.gather(*(client(http) for _ in range(CLIENTS)))


def test_twenty_kills_under_load_lose_nothing_and_invent_nothing(tmp_path: Path) -> None:
    # Given a daemon under load,
    app = tmp_path / "crash_app.py"
    app.write_text(APP)
    data = tmp_path / "crash.db"
    moments = random.Random(SEED)
    load = Load()
    # when it is killed at twenty random moments,
    for _ in range(KILLS):
        with Daemon(app, data) as daemon:
            kill_after_s = moments.uniform(0.02, 0.6)

            async def story(daemon: Daemon = daemon, kill_after_s: float = kill_after_s) -> None:
                running = asyncio.ensure_future(load.run(daemon.url, for_s=kill_after_s + 1))
                await asyncio.sleep(kill_after_s)
                daemon.kill()
                await running

            anyio.run(story)
    # and started once more,
    with Daemon(app, data) as daemon:
        # then every instance that was acknowledged completes, by itself,
        assert len(load.acknowledged) > 5 * KILLS
        for instance_id in load.acknowledged:
            state = daemon.wait_for(instance_id, "COMPLETED", within_s=120)
            assert state["properties"]["dapr.workflow.output"] == "5"
        for instance_id in load.asked - load.acknowledged:
            if "errorCode" not in daemon.get(instance_id):
                daemon.wait_for(instance_id, "COMPLETED", within_s=120)
        assert daemon.stop() == 0
    anyio.run(_check_histories, data, load)
    _check_bodies(tmp_path / "bodies.txt", load)


async def _check_histories(data: Path, load: Load) -> None:
    """Every step is recorded once, and there is nobody whom nobody asked for."""
    store = SqliteStore(data)
    await store.open()
    try:
        assert await store.active() == []
        ids = sorted(load.asked)
        family = [*ids, *(f"{each}:{n:04x}" for each in ids for n in (5, 6))]
        found = await store.load([workflow_address(each) for each in family])
        for instance_id, stored in zip(family, found, strict=True):
            if stored is None:
                assert instance_id.partition(":")[0] not in load.acknowledged
                continue
            events = [event for entry in stored.entries for event in unpack_row(entry).turn or ()]
            scheduled = Counter(event.event_id for event in events if isinstance(event, TaskScheduled))
            completed = Counter(event.task_id for event in events if isinstance(event, TaskCompleted))
            assert scheduled == completed
            assert set(scheduled.values()) == {1}
            assert len([event for event in events if isinstance(event, ExecutionCompleted)]) == 1
    finally:
        await store.close()


def _check_bodies(bodies: Path, load: Load) -> None:
    """Bodies may run more than once, but only for what was asked, and a call keeps its key."""
    calls: dict[str, set[str]] = {}
    for line in bodies.read_text().splitlines():
        instance_id, key = line.split()
        assert instance_id.partition(":")[0] in load.asked
        calls.setdefault(instance_id, set()).add(key)
    for instance_id in load.acknowledged:
        assert len(calls[instance_id]) == 3


def test_a_daemon_with_ten_thousand_instances_is_ready_again_within_two_seconds(tmp_path: Path) -> None:
    # Given ten thousand instances on a timer,
    app = tmp_path / "crash_app.py"
    app.write_text(APP)
    data = tmp_path / "many.db"
    with Daemon(app, data) as daemon:

        async def start_all(url: str) -> None:
            numbers = iter(range(10_000))

            async def client(http: httpx.AsyncClient) -> None:
                for number in numbers:
                    response = await http.post(
                        f"{url}/v1.0/workflows/dapr/asleep/start", params={"instanceID": f"s{number}"}
                    )
                    assert response.status_code == 202

            async with httpx.AsyncClient() as http:
                await asyncio.gather(*(client(http) for _ in range(50)))

        anyio.run(start_all, daemon.url)
        # when the daemon is killed and started again,
        daemon.kill()
    with Daemon(app, data) as daemon:
        # then it is ready within two seconds, and takes work at once.
        assert daemon.ready_s < 2.0
        assert daemon.start("half", "new", 1).status_code == 202
        daemon.wait_for("new", "COMPLETED")
        assert daemon.get("s9999")["runtimeStatus"] == "RUNNING"
