"""S7: a fleet asleep, what it costs in memory and on the disk, and some of it due at once.

All of it is put to sleep through the engine, with its own turns and commits.
Those who wake are put to sleep before the last ones, so that they have left
memory by the time they are due, as far as the fleet is large enough for that.
"""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from ..drivers.load import Extent, Progress
from ..drivers.measure import RunOutcome, distribution
from ..drivers.process_driver import EngineSetup, ProcessDriver, process_driver
from ..workloads.workload import Workload
from .sleepers import NIGHT, put_to_sleep, settled_rss
from .waking import in_so_many_s, sleepers_until, wake_all

SLEEPERS_PER_S = 25_000  # how many there are for each second that a run should last
STEPS = 20  # in which the fleet grows, to show how far it is
WAKERS_MAX = 10_000  # as many as may be in memory at once
WAKERS_SHARE = 0.25  # of the fleet, if that is less
RESERVE = 2.0  # of the time that the last ones should need to fall asleep
LEAD_S = 2.0


async def run_fleet(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    async with process_driver(setup) as driver:
        return await asleep_and_awake(driver, setup.store, workload, extent, progress)


async def asleep_and_awake(
    driver: ProcessDriver, store: Path, workload: Workload, extent: Extent, progress: Progress
) -> RunOutcome:
    fleet = extent.instances or int(extent.seconds * SLEEPERS_PER_S)
    wakers = min(WAKERS_MAX, max(1, int(fleet * WAKERS_SHARE)))
    last = min(wakers, fleet - wakers)  # they push the wakers out of memory
    first = fleet - wakers - last
    morning = in_so_many_s(NIGHT.total_seconds())
    empty_bytes, rss_empty = stored_bytes(store), await settled_rss()

    began_s = time.perf_counter()
    for step in range(STEPS):
        await put_to_sleep(driver, workload, first * (step + 1) // STEPS - first * step // STEPS, morning)
        progress.part((step + 1) / STEPS, first * (step + 1) // STEPS)
    per_s = first / (time.perf_counter() - began_s)
    due = in_so_many_s(LEAD_S + RESERVE * (wakers + last) / per_s)
    instance_ids = await sleepers_until(driver, workload, wakers, due)
    await put_to_sleep(driver, workload, last, morning)
    asleep_s = time.perf_counter() - began_s
    rss, fleet_bytes = await settled_rss(), stored_bytes(store)
    waking = await wake_all(driver, instance_ids, due)
    return RunOutcome(
        figures={
            "elapsed_s": asleep_s,
            "instances": float(fleet),
            "instances_per_s": fleet / asleep_s,
            "rss_mib": rss / 2**20,
            "rss_bytes_per_sleeper": (rss - rss_empty) / fleet,
            "disk_bytes_per_sleeper": (fleet_bytes - empty_bytes) / fleet,
            "wakers": float(wakers),
            "awake_s": waking.awake_s,
            **distribution(waking.late_us, prefix="late_"),
        },
        latencies_us=waking.late_us,
    )


def stored_bytes(store: Path) -> int:
    """How large a database is: what is still in the WAL counts as if it had been copied home."""
    with closing(sqlite3.connect(store)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages * page_bytes)
