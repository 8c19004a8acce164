"""S4: so many workflows sleep, and all of them are due at the same microsecond.

More of them than may be in memory, so most are read back from the store when
their time comes: what a service sees after midnight, when everybody chose it.
"""

import time

from ..drivers.load import Extent, Progress
from ..drivers.measure import RunOutcome, distribution
from ..drivers.process_driver import EngineSetup, ProcessDriver, process_driver
from ..workloads.workload import Workload
from .sleepers import NIGHT, put_to_sleep
from .waking import in_so_many_s, sleepers_until, wake_all

TIMERS_PER_S = 25_000  # how many there are for each second that a run should last
TRIED_SHARE = 0.15  # as many more are put to sleep first, more than may be in memory, to learn how long it takes
RESERVE = 2.5  # of the time that the storm then needs: it falls asleep more slowly once memory is full
LEAD_S = 1.0  # before the due time, however few there are


async def run_timer_storm(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    async with process_driver(setup) as driver:
        return await storm_through(driver, workload, extent, progress)


async def storm_through(driver: ProcessDriver, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    storm = extent.instances or int(extent.seconds * TIMERS_PER_S)
    tried = max(1, int(storm * TRIED_SHARE))
    began_s = time.perf_counter()
    await put_to_sleep(driver, workload, tried, in_so_many_s(NIGHT.total_seconds()))
    took_s = time.perf_counter() - began_s
    progress.part(TRIED_SHARE, 0)

    due = in_so_many_s(LEAD_S + took_s * RESERVE * storm / tried)
    began_s = time.perf_counter()
    instance_ids = await sleepers_until(driver, workload, storm, due)
    asleep_s = time.perf_counter() - began_s
    progress.part(0.5, 0)
    waking = await wake_all(driver, instance_ids, due)
    progress.part(1.0, storm)
    return RunOutcome(
        figures={
            "elapsed_s": waking.awake_s,
            "instances": float(storm),
            "instances_per_s": storm / asleep_s,
            "reminders_per_s": storm / waking.awake_s,
            **distribution(waking.late_us, prefix="late_"),
            "cpu_ms_per_unit": waking.cpu_s * 1000 / storm,
            "units_per_commit": storm / max(1, waking.commits),
        },
        latencies_us=waking.late_us,
    )
