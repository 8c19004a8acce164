"""S8: what an engine costs that has nothing to do, with a fleet asleep in its store.

The fleet falls asleep in an engine that is then stopped. Looked at is another one on the same file: in this process, or
a daemon. It should do nothing.
"""

import os
import time
from typing import NamedTuple

import anyio

from ..drivers.in_process import EngineSetup, process_driver
from ..drivers.load import Progress
from ..drivers.measure import RunOutcome, Usage, usage_of_self, usage_of_trees
from ..drivers.processes import serving
from ..workloads.workload import Extent, Workload
from .sleeping import fleet_of, put_to_sleep_in_steps

SETTLE_S = 1.0  # after the start, before the clock runs


class Meter(NamedTuple):
    """What a process has used, at a moment."""

    at_s: float
    used: Usage
    written_bytes: int | None  # to the disk; None where the system does not tell


async def run_idle(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    """Look at an engine in this process."""
    fleet = await asleep(setup, workload, extent, progress)
    async with process_driver(setup) as driver:
        await anyio.sleep(SETTLE_S)
        commits = driver.engine.commits
        figures = await watched(os.getpid(), extent.seconds)
        commits = driver.engine.commits - commits
    return RunOutcome(figures=fleet | figures | {"commits_per_s": commits / figures["elapsed_s"]})


async def run_idle_daemon(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    """Look at a daemon."""
    fleet = await asleep(setup, workload, extent, progress)
    async with serving(setup) as daemon:
        await anyio.sleep(SETTLE_S)
        return RunOutcome(figures=fleet | await watched(daemon.pid, extent.seconds))


async def asleep(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> dict[str, float]:
    """Put a fleet to sleep, stop the engine, and say how many there are."""
    async with process_driver(setup) as driver:
        await put_to_sleep_in_steps(driver, workload, fleet_of(extent), progress, whole=0.5)
    return {"instances": float(fleet_of(extent))}


async def watched(pid: int, seconds: float) -> dict[str, float]:
    """What a process costs in so many seconds."""
    before = meter_of(pid)
    await anyio.sleep(seconds)
    return costs(before, meter_of(pid))


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


def meter_of(pid: int) -> Meter:
    import psutil  # noqa: PLC0415  the extra

    # A system that does not tell has no such method (macOS).
    counters = getattr(psutil.Process(pid), "io_counters", None)
    written = int(counters().write_bytes) if counters is not None else None
    # Not by its id: a tick of 10 ms is all that an idle process may use in a second.
    used = usage_of_self() if pid == os.getpid() else usage_of_trees([pid])
    return Meter(time.perf_counter(), used, written)
