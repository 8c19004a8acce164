"""Describes the measured machine and its load.

The rule: the load is read before and after a run, never during it, so that the run is not disturbed.
"""

import importlib.metadata
import os
import platform
import re
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ...runtime.execution import drive as execution

FLUSHES = 50
FLUSH_BYTES = 4096  # SQLite's page


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    perdure: str  # the version, and whether the engine is compiled
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
    """Describe this machine; the folder is on the disk of the stores."""
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
    """The version, with a mark if the engine's module was compiled."""
    return version if module.endswith(".py") else f"{version}, compiled"


def version_of(distribution: str, *, otherwise: str = "not installed") -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return otherwise


def processor() -> str:
    with suppress(OSError):
        if named := re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE):
            return named[1]
    return platform.processor() or platform.machine()


def flush_ms(folder: Path) -> float:
    """The time to make 4 KiB durable: the least time of a commit."""
    path = folder / "flush"
    took_ms = []
    with path.open("wb", buffering=0) as file:
        for _ in range(FLUSHES):
            began_s = time.perf_counter()
            file.write(b"\0" * FLUSH_BYTES)
            os.fsync(file.fileno())
            took_ms.append((time.perf_counter() - began_s) * 1000)
    path.unlink()
    return median(took_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineLoad:
    busy: float  # share of the time of all cores, 0 to 1, with the run's own work
    ready: float  # runnable processes, on average over the last minute of the run


def machine_load() -> MachineLoad:
    """The load of the machine since the last call."""
    import psutil  # noqa: PLC0415  the extra

    return MachineLoad(busy=round(psutil.cpu_percent() / 100, 3), ready=round(os.getloadavg()[0], 2))
