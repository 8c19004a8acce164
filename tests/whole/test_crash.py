"""A daemon that is killed at random moments under load loses no acknowledged instance, and has no invented one.

This is the proof of the promises in ARCHITECTURE.md, from outside: a real
process, a real file, real HTTP, SIGKILL.
"""

import asyncio
import contextlib
import random
import textwrap
from collections import Counter
from pathlib import Path

import anyio
import httpx
import psutil
import pytest

from perdure.actors.store.contract import Stored
from perdure.actors.store.part import Part
from perdure.actors.store.sqlite.store import SqliteStore
from perdure.runtime.history.event import ExecutionCompleted, TaskCompleted, TaskScheduled
from perdure.runtime.history.row import unpack_row
from perdure.runtime.instance.message import workflow_address

from ..support.processes.daemon import Daemon

CLIENTS = 8
HOSTS = 3
AWAY = (500, 503)  # the host of the instance was not there, or ended before it answered
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
    """Clients that start one instance after the other without a pause, and note which were acknowledged."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.acknowledged: set[str] = set()

    async def run(self, url: str, *, stop: asyncio.Event, hosts: int = 1) -> None:
        """Start instances until told to stop. A daemon of one host is dead when it is killed; one of several is not."""

        async def client(http: httpx.AsyncClient) -> None:
            while not stop.is_set():
                instance_id = f"i{len(self.asked)}"
                self.asked.add(instance_id)
                try:
                    response = await http.post(
                        f"{url}/v1.0/workflows/dapr/crash/start", params={"instanceID": instance_id}, content="0"
                    )
                except httpx.TransportError:
                    # Whether the daemon took this start is unknown.
                    if hosts == 1:
                        return
                    continue
                if hosts > 1 and response.status_code in AWAY:
                    await asyncio.sleep(0.01)
                    continue
                assert response.status_code == 202, response.text
                self.acknowledged.add(instance_id)

        async with httpx.AsyncClient() as http:
            await asyncio.gather(*(client(http) for _ in range(CLIENTS)))

    async def until_acknowledged(self, more: int) -> None:
        """Wait until this number of further starts has been acknowledged."""
        enough = len(self.acknowledged) + more
        with anyio.fail_after(60):
            while len(self.acknowledged) < enough:
                await asyncio.sleep(0.001)


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_under_load_lose_nothing_and_invent_nothing(tmp_path: Path, kills: int) -> None:
    # Given a daemon under load,
    app = tmp_path / "crash_app.py"
    app.write_text(APP)
    data = tmp_path / "crash.db"
    moments = random.Random(SEED)
    load = Load()
    # when it is killed at random moments,
    for _ in range(kills):
        with Daemon(app, data) as daemon:

            async def story(daemon: Daemon = daemon) -> None:
                stop = asyncio.Event()
                running = asyncio.ensure_future(load.run(daemon.url, stop=stop))
                await load.until_acknowledged(moments.randrange(15, 60))
                await asyncio.sleep(moments.uniform(0.0, 0.02))
                daemon.kill()
                stop.set()
                await running

            anyio.run(story)
    # and started once more,
    with Daemon(app, data) as daemon:
        # then every instance that was acknowledged completes, by itself,
        _check_ends(daemon, load)
    # and the store holds each step once.
    anyio.run(_check_histories, data, load, 1)
    _check_bodies(tmp_path / "bodies.txt", load)


@pytest.mark.parametrize("kills", [2, pytest.param(15, marks=pytest.mark.slow)])
def test_hosts_of_one_daemon_killed_one_by_one_under_load_lose_nothing_and_invent_nothing(
    tmp_path: Path, kills: int
) -> None:
    # Given a daemon of several hosts, with children on all of them,
    app = tmp_path / "crash_app.py"
    app.write_text(APP)
    data = tmp_path / "crash.db"
    moments = random.Random(SEED)
    load = Load()

    async def story(daemon: Daemon) -> None:
        stop = asyncio.Event()
        running = asyncio.ensure_future(load.run(daemon.url, stop=stop, hosts=HOSTS))
        for _ in range(kills):
            await load.until_acknowledged(moments.randrange(15, 60))
            await asyncio.sleep(moments.uniform(0.0, 0.3))
            if alive := daemon.hosts():
                moments.choice(alive).kill()
        stop.set()
        await running

    # when one of them after the other is killed,
    with Daemon(app, data, "--processes", str(HOSTS)) as daemon:
        anyio.run(story, daemon)
        # and in the end all of them, and the supervisor that would start them again,
        hosts = daemon.hosts()
        daemon.kill()
        for host in hosts:
            with contextlib.suppress(psutil.NoSuchProcess):
                host.kill()
    # then every instance that was acknowledged completes after a start,
    with Daemon(app, data, "--processes", str(HOSTS)) as daemon:
        _check_ends(daemon, load)
    # and the files hold each step once.
    anyio.run(_check_histories, data, load, HOSTS)
    _check_bodies(tmp_path / "bodies.txt", load)


def _check_ends(daemon: Daemon, load: Load) -> None:
    assert len(load.acknowledged) >= 30
    for instance_id in load.acknowledged:
        state = daemon.wait_for(instance_id, "COMPLETED", within_s=120)
        assert state["properties"]["dapr.workflow.output"] == "5"
    for instance_id in load.asked - load.acknowledged:
        if "errorCode" not in daemon.get(instance_id):
            daemon.wait_for(instance_id, "COMPLETED", within_s=120)
    assert daemon.stop() == 0


async def _check_histories(data: Path, load: Load, hosts: int) -> None:
    """Every step is recorded once, and every instance was asked for by a client or is a child of such a one."""
    ids = sorted(load.asked)
    family = [*ids, *(f"{each}:{n:04x}" for each in ids for n in (5, 6))]
    addresses = [workflow_address(each) for each in family]
    loaded = []
    for index in range(hosts):
        part = Part(index, hosts)
        store = SqliteStore(part.path(str(data)), part=part)
        await store.open()
        try:
            assert await store.active() == []
            loaded.append(await store.load(addresses))
        finally:
            await store.close()
    for instance_id, *found in zip(family, *loaded, strict=True):
        _check_history(instance_id, [stored for stored in found if stored is not None], load)


def _check_history(instance_id: str, found: list[Stored], load: Load) -> None:
    if not found:
        assert instance_id.partition(":")[0] not in load.acknowledged
        return
    [stored] = found
    events = [event for entry in stored.entries for event in unpack_row(entry).turn or ()]
    scheduled = Counter(event.event_id for event in events if isinstance(event, TaskScheduled))
    completed = Counter(event.task_id for event in events if isinstance(event, TaskCompleted))
    assert scheduled == completed
    assert set(scheduled.values()) == {1}
    assert len([event for event in events if isinstance(event, ExecutionCompleted)]) == 1


def _check_bodies(bodies: Path, load: Load) -> None:
    """Bodies may run more than once, but only for instances that a client asked for, and a call keeps its key."""
    calls: dict[str, set[str]] = {}
    for line in bodies.read_text().splitlines():
        instance_id, key = line.split()
        assert instance_id.partition(":")[0] in load.asked
        calls.setdefault(instance_id, set()).add(key)
    for instance_id in load.acknowledged:
        assert len(calls[instance_id]) == 3


@pytest.mark.parametrize("instances", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_daemon_with_many_instances_is_ready_again_after_two_seconds_of_work(tmp_path: Path, instances: int) -> None:
    # Given many instances on a timer,
    app = tmp_path / "crash_app.py"
    app.write_text(APP)
    data = tmp_path / "many.db"
    with Daemon(app, data) as daemon:

        async def start_all(url: str) -> None:
            numbers = iter(range(instances))

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
        # then it is ready after two seconds of its own work at most, and takes work at once.
        worked = psutil.Process(daemon.process.pid).cpu_times()
        assert worked.user + worked.system < 2.0
        assert daemon.start("half", "new", 1).status_code == 202
        daemon.wait_for("new", "COMPLETED")
        assert daemon.get(f"s{instances - 1}")["runtimeStatus"] == "RUNNING"
