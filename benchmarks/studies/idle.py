"""S8: what an engine costs that has nothing to do, with a fleet asleep in its store.

The fleet falls asleep in an engine that is then stopped. Looked at is another
one on the same file: in this process, or a daemon. It should do nothing.
"""

import os
import time
from dataclasses import dataclass

import anyio

from ..drivers.daemon import Daemon
from ..drivers.load import Extent, Progress
from ..drivers.measure import RunOutcome, Usage, usage_of, usage_of_self
from ..drivers.process_driver import EngineSetup, process_driver
from ..workloads.workload import Workload
from .sleepers import NIGHT, put_to_sleep
from .waking import in_so_many_s

SLEEPERS_PER_S = 25_000  # how many there are for each second that a run should last
SETTLE_S = 1.0  # after the start, before the clock runs
STEPS = 10  # in which the fleet grows, to show how far it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """What a process has used, at a moment."""

    at_s: float
    cpu_s: float
    rss_bytes: int
    written_bytes: int | None  # to the disk; None where the system does not tell


async def run_idle(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    """Look at an engine in this process."""
    fleet = await asleep(setup, workload, extent, progress)
    async with process_driver(setup) as driver:
        await anyio.sleep(SETTLE_S)
        commits, before = driver.engine.commits, meter_of_self()
        await anyio.sleep(extent.seconds)
        after = meter_of_self()
        commits = driver.engine.commits - commits
    figures = costs(before, after) | {"commits_per_s": commits / (after.at_s - before.at_s)}
    return RunOutcome(figures={"instances": float(fleet), **figures})


async def run_idle_daemon(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    """Look at a daemon."""
    fleet = await asleep(setup, workload, extent, progress)
    daemon = Daemon(setup, {})
    try:
        await daemon.start()
        await anyio.sleep(SETTLE_S)
        before = meter_of(daemon.pid)
        await anyio.sleep(extent.seconds)
        after = meter_of(daemon.pid)
        await daemon.stop()
    finally:
        with anyio.CancelScope(shield=True):
            await daemon.kill()
    return RunOutcome(figures={"instances": float(fleet), **costs(before, after)})


async def asleep(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> int:
    """Put a fleet to sleep, stop the engine, and return how many there are."""
    fleet = extent.instances or int(extent.seconds * SLEEPERS_PER_S)
    morning = in_so_many_s(NIGHT.total_seconds())
    async with process_driver(setup) as driver:
        for step in range(STEPS):
            await put_to_sleep(driver, workload, fleet * (step + 1) // STEPS - fleet * step // STEPS, morning)
            progress.part((step + 1) / STEPS / 2, fleet * (step + 1) // STEPS)
    return fleet


def costs(before: Meter, after: Meter) -> dict[str, float]:
    seconds = after.at_s - before.at_s
    figures = {
        "elapsed_s": seconds,
        "cpu_percent": 100 * (after.cpu_s - before.cpu_s) / seconds,
        "rss_mib": after.rss_bytes / 2**20,
    }
    if before.written_bytes is not None and after.written_bytes is not None:
        figures["written_bytes_per_s"] = (after.written_bytes - before.written_bytes) / seconds
    return figures


def meter_of_self() -> Meter:
    # Not `meter_of`: a tick of 10 ms is all that an idle process may use in a second.
    return _meter(os.getpid(), usage_of_self())


def meter_of(pid: int) -> Meter:
    """Another process. Its CPU time comes in ticks of 10 ms."""
    return _meter(pid, usage_of(pid))


def _meter(pid: int, used: Usage) -> Meter:
    import psutil  # noqa: PLC0415  an extra that only a run needs

    # A system that does not tell has no such method (macOS).
    counters = getattr(psutil.Process(pid), "io_counters", None)
    written = int(counters().write_bytes) if counters is not None else None
    return Meter(at_s=time.perf_counter(), cpu_s=used.cpu_s, rss_bytes=used.rss_bytes, written_bytes=written)
