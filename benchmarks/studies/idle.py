"""S8: what an engine costs that has nothing to do, with a fleet asleep in its store.

The fleet falls asleep in an engine that is then stopped. Looked at is another one on the same file: in this process, or
a daemon. It should do nothing.
"""

import os
import time
from dataclasses import dataclass

import anyio

from ..drivers.daemon import Daemon, serving
from ..drivers.in_process import EngineSetup, process_driver
from ..drivers.load import Progress
from ..drivers.measure import RunOutcome, Usage, usage_of, usage_of_self
from ..workloads.workload import Extent, Workload
from .sleeping import fleet_of, put_to_sleep_in_steps

SETTLE_S = 1.0  # after the start, before the clock runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """What a process has used, at a moment."""

    at_s: float
    used: Usage
    written_bytes: int | None  # to the disk; None where the system does not tell


async def run_idle(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    """Look at an engine in this process."""
    fleet = await asleep(setup, workload, extent, progress)
    async with process_driver(setup) as driver:
        await anyio.sleep(SETTLE_S)
        # Not by its id: a tick of 10 ms is all that an idle process may use in a second.
        commits, before = driver.engine.commits, meter_of(os.getpid(), usage_of_self())
        await anyio.sleep(extent.seconds)
        after = meter_of(os.getpid(), usage_of_self())
        commits = driver.engine.commits - commits
    figures = costs(before, after) | {"commits_per_s": commits / (after.at_s - before.at_s)}
    return RunOutcome(figures={"instances": float(fleet), **figures})


async def run_idle_daemon(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    """Look at a daemon."""
    fleet = await asleep(setup, workload, extent, progress)
    async with serving(Daemon(setup, {})) as daemon:
        await anyio.sleep(SETTLE_S)
        before = meter_of(daemon.pid, usage_of(daemon.pid))
        await anyio.sleep(extent.seconds)
        after = meter_of(daemon.pid, usage_of(daemon.pid))
    return RunOutcome(figures={"instances": float(fleet), **costs(before, after)})


async def asleep(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> int:
    """Put a fleet to sleep, stop the engine, and return how many there are."""
    fleet = fleet_of(extent)
    async with process_driver(setup) as driver:
        await put_to_sleep_in_steps(driver, workload, fleet, progress, whole=0.5)
    return fleet


def costs(before: Meter, after: Meter) -> dict[str, float]:
    seconds = after.at_s - before.at_s
    figures = {
        "elapsed_s": seconds,
        "cpu_percent": 100 * (after.used.cpu_s - before.used.cpu_s) / seconds,
        "rss_mib": after.used.rss_bytes / 2**20,
    }
    if before.written_bytes is not None and after.written_bytes is not None:
        figures["written_bytes_per_s"] = (after.written_bytes - before.written_bytes) / seconds
    return figures


def meter_of(pid: int, used: Usage) -> Meter:
    import psutil  # noqa: PLC0415  the extra

    # A system that does not tell has no such method (macOS).
    counters = getattr(psutil.Process(pid), "io_counters", None)
    written = int(counters().write_bytes) if counters is not None else None
    return Meter(at_s=time.perf_counter(), used=used, written_bytes=written)
