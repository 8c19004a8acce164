"""The machine that figures are of, and what its disk and its Python allow: no figure means anything without it."""

import importlib.metadata
import os
import platform
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ..runtime.execution import drive as execution

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
    block = b"\0" * FLUSH_BYTES
    took_ms = []
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for _ in range(FLUSHES):
            began = time.perf_counter()
            os.write(file, block)
            os.fsync(file)
            took_ms.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(file)
        path.unlink()
    return median(took_ms)
