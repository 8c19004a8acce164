"""S8: the cost of an idle engine with a fleet asleep in its store.

The fleet falls asleep in an engine that is then stopped. The measured engine is another one on the same file: in this
process, or a daemon.
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
    at_s: float
    used: Usage
    written_bytes: int | None  # to the disk; None: unknown


async def run_idle(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    fleet = await asleep(setup, workload, extent, progress)
    async with process_driver(setup) as driver:
        await anyio.sleep(SETTLE_S)
        commits = driver.engine.commits
        figures = await watched(os.getpid(), extent.seconds)
        commits = driver.engine.commits - commits
    return RunOutcome(figures=fleet | figures | {"commits_per_s": commits / figures["elapsed_s"]})


async def run_idle_daemon(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    fleet = await asleep(setup, workload, extent, progress)
    async with serving(setup) as daemon:
        await anyio.sleep(SETTLE_S)
        return RunOutcome(figures=fleet | await watched(daemon.pid, extent.seconds))


async def asleep(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> dict[str, float]:
    async with process_driver(setup) as driver:
        await put_to_sleep_in_steps(driver, workload, fleet_of(extent), progress, whole=0.5)
    return {"instances": float(fleet_of(extent))}


async def watched(pid: int, seconds: float) -> dict[str, float]:
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

    # Some systems have no such method (macOS).
    counters = getattr(psutil.Process(pid), "io_counters", None)
    written = int(counters().write_bytes) if counters is not None else None
    # Not by the process id, whose times have ticks of 10 ms: an idle process may use no more in a second.
    used = usage_of_self() if pid == os.getpid() else usage_of_trees([pid])
    return Meter(time.perf_counter(), used, written)
