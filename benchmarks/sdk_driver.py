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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO, Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from . import sdk_worker
from .measure import distribution, usage_of

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

READY = re.compile(r"(?:Stub|Perdure) ready: .*grpc=\S+:(?P<port>\d+)\n")


class SdkRunFailed(Exception):
    """A process did not do what it should; its standard error is shown above."""


class Told(msgspec.Struct):
    """What the worker's process says in the end."""

    steps: int
    elapsed_s: float
    worker_cpu_s: float
    latencies_us: list[int]
    turns: list[tuple[float, float, int]]  # sdk_worker.Turn


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


def figures(told: Told, host_cpu_s: float) -> dict[str, float]:
    return {
        "steps_per_s": told.steps / told.elapsed_s,
        "host_cpu_ms": host_cpu_s * 1000 / told.steps,
        "worker_cpu_ms": told.worker_cpu_s * 1000 / told.steps,
        **distribution(told.latencies_us),
    }


def growth(turns: Sequence[tuple[float, float, int]]) -> Growth:
    """Compare the first turns of an instance with its last ones.

    Args:
        turns: As `sdk_worker.Turn`, at least twice as many as are compared.
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


def command_of(host: str, folder: Path) -> list[str]:
    """How a host is started."""
    if host == STUB:
        return [sys.executable, "-m", f"{__package__}.stub_hub"]
    options = ("--http-port", "0", "--grpc-port", "0", "--log-level", "warning", "--data", str(folder / "perdure.db"))
    return [sys.executable, "-m", __package__.partition(".")[0], "run", *options]


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


def measured(host: str, sdk_python: Path, workload: str, *options: str) -> tuple[Told, float]:
    """Carry out one run, with a host and a store of its own.

    Returns:
        What the worker says, and the seconds of CPU that the host used meanwhile.

    Raises:
        SdkRunFailed: It did not come to its end.
    """
    with tempfile.TemporaryDirectory(prefix="perdure-sdk-") as name:
        folder = Path(name)
        with started(command_of(host, folder), folder) as server:
            ready = READY.fullmatch(line_of(server, "ready line"))
            if ready is None:
                raise SdkRunFailed(f"{host} did not say on which port it is")
            # Isolated: the script's folder has modules whose names are others' too.
            script = [str(sdk_python), "-I", str(Path(sdk_worker.__file__)), ready["port"], workload, *options]
            with started(script, folder) as worker:
                line_of(worker, "sign of a beginning")
                before_s = usage_of(server.pid).cpu_s
                told = msgspec.json.decode(line_of(worker, "outcome"), type=Told)
                return told, usage_of(server.pid).cpu_s - before_s


def pairs(sdk_python: Path, workload: str, *, seconds: float, repeat: int) -> list[Pair]:
    """Run both hosts in turns."""
    found = []
    for _ in range(repeat):
        options = ("--in-flight", str(IN_FLIGHT[workload]), "--seconds", str(seconds))
        stub, perdure = (figures(*measured(host, sdk_python, workload, *options)) for host in HOSTS)
        found.append(Pair(stub=stub, perdure=perdure))
    return found


def through_sdk(sdk_python: Path, workloads: Sequence[str], *, seconds: float, repeat: int, console: Console) -> None:
    """Measure, and print what comes of it.

    Args:
        workloads: Of `WORKLOADS`.

    Raises:
        SdkRunFailed: A run did not come to its end.
    """
    for workload in workloads:
        if workload in IN_FLIGHT:
            found = pairs(sdk_python, workload, seconds=seconds, repeat=repeat)
            console.print(pairs_table(workload, found))
            console.print(*verdicts(workload, found), sep="\n", highlight=False)
    if HISTORY in workloads:
        stub, perdure, whole = (
            growth(measured(host, sdk_python, HISTORY, *options)[0].turns)
            for host, options in ((STUB, ()), (PERDURE, ()), (PERDURE, ("--forgetful",)))
        )
        console.print(growth_table({STUB: stub, PERDURE: perdure, f"{PERDURE}, worker keeps no histories": whole}))
        console.print(growth_verdict(perdure, stub), highlight=False)


def pairs_table(workload: str, found: Sequence[Pair]) -> Table:
    table = Table(title=f"{workload} through Dapr's Python SDK, medians of {len(found)}", box=SIMPLE_HEAD)
    for title in ("", "steps/s", "p50 ms", "p99 ms", "host\nCPU ms", "worker\nCPU ms"):
        table.add_column(title, justify="right" if title else "left")
    for host, runs in ((STUB, [pair.stub for pair in found]), (PERDURE, [pair.perdure for pair in found])):
        middle = {name: median(run[name] for run in runs) for name in runs[0]}
        table.add_row(
            host,
            *(f"{middle[name]:.0f}" for name in ("steps_per_s", "p50_ms", "p99_ms")),
            *(f"{middle[name]:.2f}" for name in ("host_cpu_ms", "worker_cpu_ms")),
        )
    return table


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
