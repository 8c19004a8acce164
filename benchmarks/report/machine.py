"""The machine that figures are of, and what it did meanwhile: no figure means anything without it.

The rule: its load is read before a run and after it, and never during one, so that reading takes nothing of what is
measured.
"""

import importlib.metadata
import os
import platform
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ...runtime.execution import drive as execution

FLUSHES = 50
FLUSH_BYTES = 4096  # SQLite's page


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where and on what something was measured."""

    perdure: str  # its version, and whether its engine is compiled
    python: str
    sqlite: str
    uvloop: str
    system: str
    processor: str
    cores: int
    flush_ms: float  # p50 of appending 4 KiB to a file and flushing it to the disk

    def __str__(self) -> str:
        return (
            f"Perdure {self.perdure}, {self.python}, uvloop {self.uvloop}, {self.system}, "
            f"{self.cores} cores ({self.processor})"
        )


def machine(folder: Path) -> Machine:
    """Describe this one.

    Args:
        folder: On the disk that the stores will be on.
    """
    return Machine(
        perdure=named(version_of("perdure", otherwise="from its source tree"), execution.__file__),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        sqlite=sqlite3.sqlite_version,
        uvloop=version_of("uvloop"),
        system=f"{platform.system()} {platform.release()}",
        processor=processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        flush_ms=flush_ms(folder),
    )


def named(version: str, module: str) -> str:
    """Name a build: figures of a compiled engine are not those of the same version in Python.

    Args:
        module: Where a module of the engine was loaded from.
    """
    return version if module.endswith(".py") else f"{version}, compiled"


def version_of(distribution: str, *, otherwise: str = "not installed") -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return otherwise


def processor() -> str:
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def flush_ms(folder: Path) -> float:
    """How long the disk takes to make 4 KiB durable: the least that a commit can take."""
    path = folder / "flush"
    took_ms = []
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for _ in range(FLUSHES):
            began = time.perf_counter()
            os.write(file, b"\0" * FLUSH_BYTES)
            os.fsync(file)
            took_ms.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(file)
        path.unlink()
    return median(took_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineLoad:
    """What all processes of a machine did during a run."""

    busy: float  # share of the time of all cores that was worked in, 0 to 1; the run's own work too
    ready: float  # processes that ran or could have, on average over the last minute of the run


class LoadReading:
    """The counters of a machine at the beginning of a run."""

    def __init__(self) -> None:
        self._before = cpu_seconds()

    def until_now(self) -> MachineLoad:
        """What the machine has done since."""
        idle, total = (now - before for now, before in zip(cpu_seconds(), self._before, strict=True))
        ready = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        return MachineLoad(busy=round(1 - idle / total, 3) if total > 0 else 0.0, ready=round(ready, 2))


def cpu_seconds() -> tuple[float, float]:
    """How long all cores together were idle, and in all, since the machine was started; seconds."""
    import psutil  # noqa: PLC0415  the extra

    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Linux counts the time of guests in that of users too.
    return idle, sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
