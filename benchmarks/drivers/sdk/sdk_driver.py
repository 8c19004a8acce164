"""Workers on Dapr's Python SDK: Perdure beside a server that stores nothing.

The SDK is the bound of this, whatever stands behind it. So what counts is how
much of the stub's rate Perdure comes to, in pairs of runs that follow one
another at once: the machine's other work hits both alike.

The law of the second part: what the host does in a turn must not grow with the
instance's history, for workers that keep it. The SDK itself runs all of the
history through the workflow's code again at every turn, so its share does grow;
the two are told apart.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO, Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ...machine import Machine
from ..measure import distribution, usage_of, usage_of_trees
from . import sdk_worker

STUB, PERDURE = "stub", "Perdure"
HOSTS = (STUB, PERDURE)
IN_FLIGHT = {"W1": 50, "W2": 10}
HISTORY = "history"
WORKLOADS = (*IN_FLIGHT, HISTORY)
ENDS_TURNS = 100  # so many turns at either end of a long history are compared
PATIENCE_S = 20.0  # for an orderly end

SHARE_AT_LEAST = 0.9  # of the stub's rate
HOST_CPU_MS_AT_MOST = 1.6  # for a step: grpc.aio takes 1.2 to 1.4 of it for two calls and two messages of a stream
GROWTH_AT_MOST = 1.5  # times: a turn whose cost grows with the history would be many times this, noise is less

FORMAT = 1  # of the document of results

READY = re.compile(r"(?:Stub|Perdure) ready: .*grpc=\S+:(?P<port>\d+)\n")


class SdkRunFailed(Exception):
    """A process did not do what it should; its standard error is shown above."""


class WorkerReport(msgspec.Struct):
    """The last line of the worker's process: its measurements."""

    steps: int
    elapsed_s: float
    worker_cpu_s: float
    latencies_us: list[int]
    turns: list[tuple[float, float, int]]  # sdk_worker.TurnTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkSetup:
    """The options of a measurement."""

    sdk_python: Path
    seconds: float
    repeat: int = 1
    in_flight: int | None = None  # None: each workload's own
    durability: str = "full"  # this and the next hold for Perdure only
    always_replay: bool = False
    folder: Path | None = None  # where the stores are; None: the system's temporary one
    quick: bool = False
    processes: int = 1  # of the daemon that one of one process is compared with, and as many workers with as much load

    @property
    def marked(self) -> bool:
        """Whether the marks hold for a measurement with these options."""
        return self.durability == "full" and not self.always_replay and self.in_flight is None and not self.quick

    def load(self, workload: str) -> tuple[str, ...]:
        """The arguments that tell the worker's process its load in `workload`, one of `WORKLOADS`."""
        if workload == HISTORY:
            return ()
        in_flight = self.in_flight or IN_FLIGHT[workload]
        return ("--in-flight", str(in_flight), "--seconds", str(self.seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkRun:
    """One run, with all that was measured."""

    workload: str
    host: str
    worker_options: tuple[str, ...]  # of `sdk_worker.py`
    told: WorkerReport
    host_cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkResults:
    """A document of runs, in their order: each stub's is followed by Perdure's that it is compared with."""

    format: int = FORMAT
    machine: Machine
    began_at: str  # ISO 8601, UTC
    durability: str
    always_replay: bool
    runs: list[SdkRun] = field(default_factory=list)

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The figures of two runs that followed one another."""

    stub: dict[str, float]
    perdure: dict[str, float]

    @property
    def share(self) -> float:
        """How much of the stub's rate Perdure came to."""
        return self.perdure["steps_per_s"] / self.stub["steps_per_s"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What turns of one long instance took: medians of the first ones and of the last."""

    turns: int
    host_first_ms: float
    host_last_ms: float
    worker_first_ms: float
    worker_last_ms: float
    bytes_first: float  # of a turn's item
    bytes_last: float


def figures(run: SdkRun) -> dict[str, float]:
    told = run.told
    return {
        "steps_per_s": told.steps / told.elapsed_s,
        "host_cpu_ms": run.host_cpu_s * 1000 / told.steps,
        "worker_cpu_ms": told.worker_cpu_s * 1000 / told.steps,
        **distribution(told.latencies_us),
    }


def growth(turns: Sequence[tuple[float, float, int]]) -> Growth:
    """Compare the first turns of an instance with its last ones.

    Args:
        turns: As `sdk_worker.TurnTimes`, at least twice as many as are compared.
    """
    assert len(turns) >= 2 * ENDS_TURNS, len(turns)
    first, last = ([median(values) for values in zip(*part, strict=True)] for part in ends(turns))
    return Growth(
        turns=len(turns),
        host_first_ms=first[0],
        host_last_ms=last[0],
        worker_first_ms=first[1],
        worker_last_ms=last[1],
        bytes_first=first[2],
        bytes_last=last[2],
    )


def engine_ms(perdure: Growth, stub: Growth) -> tuple[float, float]:
    """What the engine adds to a turn, at first and in the end.

    The host's part holds what the SDK does between two messages too, such as
    measuring the history it keeps, which grows. The stub's has the same.
    """
    return perdure.host_first_ms - stub.host_first_ms, perdure.host_last_ms - stub.host_last_ms


def ends(turns: Sequence[tuple[float, float, int]]) -> tuple[Sequence[tuple[float, float, int]], ...]:
    return turns[:ENDS_TURNS], turns[-ENDS_TURNS:]


def command_of(host: str, setup: SdkSetup, folder: Path) -> list[str]:
    """How a host is started."""
    if host == STUB:
        return [sys.executable, "-m", f"{__package__}.stub_hub"]
    return [
        *(sys.executable, "-m", __package__.partition(".")[0], "run"),
        *("--http-port", "0", "--grpc-port", "0", "--log-level", "warning"),
        *("--data", str(folder / "perdure.db"), "--durability", setup.durability),
        *(["--always-replay"] if setup.always_replay else []),
    ]


@contextmanager
def started(command: Sequence[str], folder: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process, and end it with the context.

    Args:
        options: More of `subprocess.Popen`'s, or others than these.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PERDURE_", "DAPR_"))}
    how: dict[str, Any] = {"stdout": subprocess.PIPE, "cwd": folder, "env": ours, "text": True} | options
    with subprocess.Popen(command, **how) as process:  # noqa: S603  ours
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


def line_of(process: subprocess.Popen[str], wanted: str) -> str:
    """Read the next line.

    Raises:
        SdkRunFailed: The process has ended.
    """
    output: IO[str] | None = process.stdout
    assert output is not None
    line = output.readline()
    if not line:
        raise SdkRunFailed(f"no {wanted} came from {process.args!r}; why stands above")
    return line


def measured(host: str, setup: SdkSetup, workload: str, *more: str) -> SdkRun:
    """Carry out one run, with a host and a store of its own.

    Args:
        more: Options of the worker, beside those of its load.

    Raises:
        SdkRunFailed: It did not come to its end.
    """
    options = (*setup.load(workload), *more)
    with tempfile.TemporaryDirectory(prefix="perdure-sdk-", dir=setup.folder) as name:
        folder = Path(name).absolute()
        with started(command_of(host, setup, folder), folder) as server:
            ready = READY.fullmatch(line_of(server, "ready line"))
            if ready is None:
                raise SdkRunFailed(f"{host} did not say on which port it is")
            # Isolated: the script's folder has modules whose names are others' too.
            script = [str(setup.sdk_python), "-I", str(Path(sdk_worker.__file__)), ready["port"], workload, *options]
            with started(script, folder) as worker:
                line_of(worker, "sign of a beginning")
                before_s = usage_of(server.pid).cpu_s
                told = msgspec.json.decode(line_of(worker, "outcome"), type=WorkerReport)
                return SdkRun(
                    workload=workload,
                    host=host,
                    worker_options=options,
                    told=told,
                    host_cpu_s=usage_of(server.pid).cpu_s - before_s,
                )


def beside_one(setup: SdkSetup, workload: str) -> list[SdkRun]:
    """Carry out pairs of runs: one worker of a daemon of one process, and several of one of several processes.

    Raises:
        SdkRunFailed: A run did not come to its end.
    """
    return [together(setup, workload, count) for _ in range(setup.repeat) for count in (1, setup.processes)]


def together(setup: SdkSetup, workload: str, count: int) -> SdkRun:
    """Carry out a run with so many processes, and a worker for each, which connects to any of them."""
    with tempfile.TemporaryDirectory(prefix="perdure-sdk-", dir=setup.folder) as name, ExitStack() as stack:
        folder = Path(name).absolute()
        command = [*command_of(PERDURE, setup, folder), "--processes", str(count)]
        server = stack.enter_context(started(command, folder))
        ready = READY.fullmatch(line_of(server, "ready line"))
        if ready is None:
            raise SdkRunFailed(f"{PERDURE} did not say on which port it is")
        script = [str(setup.sdk_python), "-I", str(Path(sdk_worker.__file__)), ready["port"], workload]
        workers = [stack.enter_context(started([*script, *setup.load(workload)], folder)) for _ in range(count)]
        for worker in workers:
            line_of(worker, "sign of a beginning")
        before_s = usage_of_trees([server.pid]).cpu_s
        told = [msgspec.json.decode(line_of(worker, "outcome"), type=WorkerReport) for worker in workers]
        return SdkRun(
            workload=workload,
            host=PERDURE if count == 1 else f"{PERDURE} x{count}",
            worker_options=setup.load(workload),
            told=in_one(told),
            host_cpu_s=usage_of_trees([server.pid]).cpu_s - before_s,
        )


def in_one(told: Sequence[WorkerReport]) -> WorkerReport:
    """The report of several workers that have worked at the same time."""
    return WorkerReport(
        steps=sum(one.steps for one in told),
        elapsed_s=max(one.elapsed_s for one in told),
        worker_cpu_s=sum(one.worker_cpu_s for one in told),
        latencies_us=[each for one in told for each in one.latencies_us],
        turns=[each for one in told for each in one.turns],
    )


def pairs(runs: Sequence[SdkRun]) -> list[Pair]:
    """Set each stub's run beside Perdure's that followed it."""
    assert [run.host for run in runs] == list(HOSTS) * (len(runs) // len(HOSTS))
    return [Pair(stub=figures(stub), perdure=figures(ours)) for stub, ours in zip(runs[::2], runs[1::2], strict=True)]


def through_sdk(setup: SdkSetup, workloads: Sequence[str], console: Console) -> list[SdkRun]:
    """Measure, and print what comes of it.

    Args:
        workloads: Of `WORKLOADS`.

    Returns:
        The runs, in their order.

    Raises:
        SdkRunFailed: A run did not come to its end.
    """
    carried_out: list[SdkRun] = []
    if setup.processes > 1:
        for workload in workloads:
            runs = beside_one(setup, workload)
            console.print(beside_one_table(workload, runs))
            carried_out += runs
        return carried_out
    for workload in workloads:
        if workload in IN_FLIGHT:
            runs = [measured(host, setup, workload) for _ in range(setup.repeat) for host in HOSTS]
            found = pairs(runs)
            console.print(pairs_table(workload, found))
            if setup.marked:
                console.print(*verdicts(workload, found), sep="\n", highlight=False)
            carried_out += runs
    if HISTORY in workloads:
        long = ((STUB, ()), (PERDURE, ()), (PERDURE, ("--forgetful",)))
        runs = [measured(host, setup, HISTORY, *more) for host, more in long]
        stub, perdure, whole = (growth(run.told.turns) for run in runs)
        console.print(growth_table({STUB: stub, PERDURE: perdure, f"{PERDURE}, worker keeps no histories": whole}))
        if setup.marked:
            console.print(growth_verdict(perdure, stub), highlight=False)
        carried_out += runs
    return carried_out


def beside_one_table(workload: str, runs: Sequence[SdkRun]) -> Table:
    """Show runs of one process and of several, and how many times the steps of one several take."""
    one, several = ([figures(run) for run in runs[which::2]] for which in (0, 1))
    times = [there["steps_per_s"] / here["steps_per_s"] for here, there in zip(one, several, strict=True)]
    seen = f"{median(times):.2f} times the steps ({', '.join(f'{each:.2f}' for each in times)})"
    table = Table(title=f"{workload} through Dapr's Python SDK, a worker for each process: {seen}", box=SIMPLE_HEAD)
    add_columns(table)
    add_row(table, runs[0].host, one)
    add_row(table, runs[1].host, several)
    return table


def pairs_table(workload: str, found: Sequence[Pair]) -> Table:
    table = Table(title=f"{workload} through Dapr's Python SDK, medians of {len(found)}", box=SIMPLE_HEAD)
    add_columns(table)
    for host, runs in ((STUB, [pair.stub for pair in found]), (PERDURE, [pair.perdure for pair in found])):
        add_row(table, host, runs)
    return table


def add_columns(table: Table) -> None:
    for title in ("", "steps/s", "p50 ms", "p99 ms", "host\nCPU ms", "worker\nCPU ms"):
        table.add_column(title, justify="right" if title else "left")


def add_row(table: Table, title: str, runs: Sequence[dict[str, float]]) -> None:
    """Add the medians of some runs."""
    middle = {name: median(run[name] for run in runs) for name in runs[0]}
    table.add_row(
        title,
        *(f"{middle[name]:.0f}" for name in ("steps_per_s", "p50_ms", "p99_ms")),
        *(f"{middle[name]:.2f}" for name in ("host_cpu_ms", "worker_cpu_ms")),
    )


def verdicts(workload: str, found: Sequence[Pair]) -> list[str]:
    """What should be reached, and whether it was."""
    shares = [pair.share for pair in found]
    share = median(shares)
    host_ms = median(pair.perdure["host_cpu_ms"] for pair in found)
    return [
        f"{workload}: {share:.2f} of the stub's rate ({', '.join(f'{one:.2f}' for one in shares)}), "
        f"at least {SHARE_AT_LEAST}: {'reached' if share >= SHARE_AT_LEAST else 'missed'}",
        f"{workload}: {host_ms:.2f} ms of the host's CPU for a step, "
        f"at most {HOST_CPU_MS_AT_MOST}: {'reached' if host_ms <= HOST_CPU_MS_AT_MOST else 'missed'}",
    ]


def growth_verdict(perdure: Growth, stub: Growth) -> str:
    first_ms, last_ms = engine_ms(perdure, stub)
    reached = "reached" if last_ms <= GROWTH_AT_MOST * first_ms else "missed"
    return (
        f"The engine adds {first_ms:.2f} ms to a turn at first and {last_ms:.2f} ms in the end, "
        f"at most {GROWTH_AT_MOST} times: {reached}"
    )


def growth_table(rows: dict[str, Growth]) -> Table:
    some = next(iter(rows.values()))
    table = Table(
        title=f"A chain of {some.turns + 1} activities: the first {ENDS_TURNS} turns and the last, p50", box=SIMPLE_HEAD
    )
    for title in ("", "host's\nms", "worker's\nms", "bytes\nof the item"):
        table.add_column(title, justify="right" if title else "left")
    for title, row in rows.items():
        table.add_row(
            title,
            f"{row.host_first_ms:.2f} → {row.host_last_ms:.2f}",
            f"{row.worker_first_ms:.2f} → {row.worker_last_ms:.2f}",
            f"{row.bytes_first:.0f} → {row.bytes_last:.0f}",
        )
    return table
