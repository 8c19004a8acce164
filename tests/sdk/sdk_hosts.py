"""Workers of an SDK work for several hosts, which end one after the other under load, gates and owners alike.

The workers are unmodified, and each is connected to one host; nobody tells them what happens. Takes the kind of hosts
(`processes`: one daemon of two on SQLite, whose processes are killed; `postgres`: three daemons on one database, which
are killed; `rolling`: the same, which are told to stop and started again; `native`: the first ones, which have the
workflows themselves, and only the activity is with the workers), the name of the SDK, and the command of a
worker that has the workflows of `sdk_crash_worker.py`, or is the program with Dapr's .NET SDK, with `--serve`.
"""

import asyncio
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple, Protocol

import httpx
import psutil
from host import Host  # type: ignore[import-not-found]  # beside this file, which is no package
from report import Report  # type: ignore[import-not-found]

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))
from tests.support.postgres import PostgresServer, installed  # noqa: E402  the tests are no package

KILLS = int(os.environ.get("SDK_KILLS", "6"))
CLIENTS = 3
SEED = 20_261_127
WITHIN_S = 180.0  # SDKs wait up to 15 s before they connect again


class Work(NamedTuple):
    """What clients start again and again."""

    workflow: str
    given: str
    result: str
    steps: int | None  # of an instance with its children; None: the worker does not note its bodies


# 0 and three steps, and 10 + 1 from each of two children.
CRASH = Work("crash", "0", "25", 5)
JAVA_CRASH = CRASH._replace(workflow="Crash.Whole")  # Java's SDK knows a workflow by the name of its class
# The program with Dapr's .NET SDK has workflows of its own: a chain of so many activities.
DOTNET_CHAIN = Work("Chain", "4", "4", None)


def work_of(command: Sequence[str]) -> Work:
    """Return the workflows and activities of a command's worker."""
    if "--serve" in command:
        return DOTNET_CHAIN
    return JAVA_CRASH if command[0] == "java" else CRASH


class Hosts(Protocol):
    """The hosts of a run, which are killed."""

    def url(self) -> str:
        """The address of a host that is alive."""
        ...

    def workers_env(self) -> Sequence[dict[str, str]]:
        """For each worker, where it connects."""
        ...

    def end(self) -> None:
        """End one of them, which comes back at its address."""
        ...


class Processes:
    """One daemon of two processes; its parent starts one again that is killed."""

    def __init__(self, folder: Path, chance: random.Random, stack: ExitStack) -> None:
        self._chance = chance
        self._host = Host(folder / "perdure.db", options=("--processes", "2"))
        stack.callback(self._host.stop)

    def url(self) -> str:
        return str(self._host.url)

    def workers_env(self) -> Sequence[dict[str, str]]:
        return [self._host.env()] * 2

    def end(self) -> None:
        children = [each for each in psutil.Process(self._host.process.pid).children() if each.is_running()]
        hosts = sorted(children, key=lambda each: each.memory_info().rss)[-2:]  # a helper of Python's is smaller
        self._chance.choice(hosts).kill()


class Machines:
    """Three daemons on one database. One that is killed is started again on its ports."""

    APP: Path | None = None  # what they host themselves

    def __init__(self, folder: Path, chance: random.Random, stack: ExitStack) -> None:
        self._chance = chance
        server = PostgresServer(installed()[max(installed())])
        stack.callback(server.close)
        server.start()
        self._begin: Callable[[int, tuple[int, int]], Host] = lambda number, ports: Host(
            folder / f"host{number}.db", app=self.APP, database=server.url(schema="hosts"), ports=ports
        )
        self._hosts: list[Host] = []
        stack.callback(lambda: [each.stop() for each in self._hosts])
        for number in range(3):
            self._hosts.append(self._begin(number, (0, 0)))
        self._turn = itertools.count()

    def url(self) -> str:
        while True:
            url: str = self._hosts[next(self._turn) % 3].url
            with suppress(httpx.TransportError):
                if httpx.get(f"{url}/healthz/ready", timeout=5).is_success:
                    return url
            time.sleep(0.05)

    def workers_env(self) -> Sequence[dict[str, str]]:
        return [each.env() for each in self._hosts[:2]]

    def end(self) -> None:
        self._begin_again(self._chance.randrange(3), Host.kill)

    def _begin_again(self, number: int, end: Callable[[Host], object]) -> None:
        host = self._hosts[number]
        end(host)
        self._hosts[number] = self._begin(number, host.ports)


class Rolling(Machines):
    """The same, which are told to stop, one after the other, as for an upgrade."""

    def __init__(self, folder: Path, chance: random.Random, stack: ExitStack) -> None:
        super().__init__(folder, chance, stack)
        self._next = itertools.count()

    def end(self) -> None:
        self._begin_again(next(self._next) % 3, Host.stop)


class Native(Machines):
    """Three daemons with the workflows in their own process; the activity is with the workers."""

    APP = HERE / "sdk_native_crash_app.py"


KINDS: dict[str, Callable[[Path, random.Random, ExitStack], Hosts]] = {
    "processes": Processes,
    "postgres": Machines,
    "rolling": Rolling,
    "native": Native,
}


class Load:
    """Clients that start instances through any host, and remember which were acknowledged."""

    def __init__(self, hosts: Hosts, work: Work) -> None:
        self._hosts = hosts
        self.work = work
        self.asked: list[str] = []
        self.acknowledged: list[str] = []
        self.failed: list[str] = []

    async def run(self, over: asyncio.Event) -> None:
        async def client() -> None:
            while not over.is_set():
                instance_id = f"i{len(self.asked)}"
                self.asked.append(instance_id)
                host = await asyncio.to_thread(self._hosts.url)
                url = f"{host}/v1.0/workflows/dapr/{self.work.workflow}/start?instanceID={instance_id}"
                try:
                    async with httpx.AsyncClient(timeout=30) as http:
                        answer = await http.post(url, content=self.work.given)
                except httpx.TransportError as error:
                    # That host is dead; whether it took this one, nobody knows.
                    self.failed.append(f"{instance_id}: {error!r}")
                    continue
                if answer.status_code == 202:
                    self.acknowledged.append(instance_id)
                else:
                    self.failed.append(f"{instance_id}: {answer.status_code} {answer.text}")
                await asyncio.sleep(0.1)  # a pace that the workers can follow on a small machine

        await asyncio.gather(*(client() for _ in range(CLIENTS)))


class Crew:
    """Workers, which are started again if they end, as whatever runs them would do."""

    def __init__(self, command: Sequence[str], envs: Sequence[dict[str, str]], folder: Path, stack: ExitStack) -> None:
        self._command = command
        self._envs = envs
        self._logs = [stack.enter_context((folder / f"worker{n}.log").open("ab")) for n in range(len(envs))]
        self._workers = [self._start(number) for number in range(len(envs))]
        self.started_again = 0
        stack.callback(self._kill)

    def keep(self) -> None:
        """Start those again that have ended."""
        for number, worker in enumerate(self._workers):
            if worker.poll() is not None:
                self._workers[number] = self._start(number)
                self.started_again += 1

    def _kill(self) -> None:
        for worker in self._workers:
            worker.kill()

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        log = self._logs[number]
        return subprocess.Popen(self._command, env=self._envs[number], stdout=log, stderr=log, cwd=HERE)


async def end_under_load(hosts: Hosts, load: Load, crew: Crew, chance: random.Random) -> None:
    """End a host several times, while clients start instances."""
    over = asyncio.Event()
    running = asyncio.ensure_future(load.run(over))
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(1.0, 5.0))
        await asyncio.to_thread(hosts.end)
        crew.keep()
    await asyncio.sleep(2)
    over.set()
    await running


def wait_until_finished(hosts: Hosts, load: Load, crew: Crew) -> None:
    deadline = time.monotonic() + WITHIN_S
    for instance_id in load.acknowledged:
        while (state := state_of(hosts, instance_id)).get("runtimeStatus") != "COMPLETED":
            assert state.get("runtimeStatus", "PENDING") in ("PENDING", "RUNNING"), state
            assert time.monotonic() < deadline, f"after {WITHIN_S:g} s: {instance_id} is {state}"
            crew.keep()
            time.sleep(0.1)
        assert state["properties"]["dapr.workflow.output"] == load.work.result, state


def state_of(hosts: Hosts, instance_id: str) -> dict[str, dict[str, str]]:
    try:
        answer = httpx.get(f"{hosts.url()}/v1.0/workflows/dapr/{instance_id}", timeout=30)
    except httpx.TransportError:
        return {}
    if answer.status_code == 503:
        return {}
    assert answer.status_code == 200, f"{instance_id} was acknowledged: {answer.text}"
    state: dict[str, dict[str, str]] = answer.json()
    return state


def count_bodies(bodies: Path, load: Load) -> tuple[int, int]:
    """Count the steps of acknowledged instances: how many there are, and how many bodies ran for one again."""
    ran = Counter(bodies.read_text().splitlines())
    of = Counter(line.split()[0].partition(":")[0] for line in ran)
    for instance_id in load.acknowledged:
        assert of[instance_id] == load.work.steps, (instance_id, of[instance_id])
    return len(ran), ran.total() - len(ran)


def prove(kind: str, command: Sequence[str], folder: Path, report: Report) -> None:
    chance, bodies = random.Random(SEED), folder / "bodies.txt"
    with ExitStack() as stack:
        # Given hosts, and two workers at two of them,
        hosts = KINDS[kind](folder, chance, stack)
        work = work_of(command)
        load = Load(hosts, work)
        notes = [str(bodies)] if work.steps is not None else []
        crew = Crew([*command, *notes], hosts.workers_env(), folder, stack)
        time.sleep(3)  # SDKs import
        # when the hosts end one after the other under load,
        asyncio.run(end_under_load(hosts, load, crew, chance))
        # then what was acknowledged completes by itself, with each result counted once,
        with report.method(f"{len(load.acknowledged)} acknowledged instances complete after {KILLS} ends of hosts"):
            assert len(load.acknowledged) > 3 * KILLS, len(load.acknowledged)
            wait_until_finished(hosts, load, crew)
        if kind == "rolling":
            with report.method("no client met an error"):
                assert load.failed == [], load.failed
        if command[0] != "node":  # JavaScript's SDK ends a worker whose first stream ends
            with report.method("workers connect again by themselves"):
                assert crew.started_again == 0, "a worker ended"
    if work.steps is None:
        return
    # and every step has run, most of them once.
    with report.method("every step has run"):
        steps, again = count_bodies(bodies, load)
        told = f"{len(load.acknowledged)} instances, {steps} steps, {again} bodies ran again, {len(load.failed)} errors"
        print(f"{kind}: {told}", file=sys.stderr)
        assert again < 0.25 * steps, (steps, again)


def main() -> int:
    kind, sdk, *command = sys.argv[1:]
    report = Report(f"{sdk} workers, {kind}")
    with tempfile.TemporaryDirectory(prefix="perdure-hosts-", ignore_cleanup_errors=True) as folder:
        keep = os.environ.get("PERDURE_CRASH_FOLDER")  # to look at what a failure left
        with report.method("the story runs"):
            prove(kind, command, Path(keep or folder), report)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
