"""W5: what an instance costs that sleeps beyond the activation limit, and how late it wakes.

The cost is the growth of RSS between two sizes of the fleet, so that what the
engine costs anyhow is not in it. The lateness is that of instances whose timers
come due one by one, in a process that has nothing else to do: from the due time
to the turn in which the code goes on.
"""

import gc
from datetime import UTC, datetime, timedelta
from random import Random

import anyio

from ..drivers.load import Extent, Progress, closed_loop
from ..drivers.measure import RunOutcome, distribution, usage_of_self
from ..drivers.process_driver import ProcessDriver
from ..workloads.workload import Workload

ACTIVATIONS_MAX = 200  # in memory at once: next to nothing beside the fleet
SLEEPERS_PER_S = 8_000  # how many are put to sleep for each second that a run should last
FIRST_SHARE = 0.2  # of the fleet, before RSS is read for the first time
WAKERS_PER_S = 100  # far below what would keep the process busy
LEAD_S = 1.0  # before the first of them is due
SETTLE_S = 0.5  # before RSS is read: what was to be evicted has been
NIGHT = timedelta(days=30)  # how long the fleet sleeps: longer than the run


async def run_sleepers(driver: ProcessDriver, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    fleet = extent.instances or int(extent.seconds * SLEEPERS_PER_S)
    first = max(1, int(fleet * FIRST_SHARE))
    morning = datetime.now(UTC) + NIGHT

    started_us = driver.now_us()
    await put_to_sleep(driver, workload, first, morning)
    rss_first = await settled_rss()
    progress.part(FIRST_SHARE / 2, first)
    await put_to_sleep(driver, workload, fleet - first, morning)
    rss_fleet = await settled_rss()
    elapsed_s = (driver.now_us() - started_us) / 1e6
    progress.part(0.5, fleet)

    wakers = max(1, int(extent.seconds * WAKERS_PER_S))
    late_us = await wake(driver, workload, wakers)
    progress.part(1.0, fleet)
    return RunOutcome(
        figures={
            "elapsed_s": elapsed_s,
            "instances": float(fleet),
            "instances_per_s": fleet / elapsed_s,
            "kib_per_sleeper": (rss_fleet - rss_first) / 1024 / (fleet - first),
            "rss_mib": rss_fleet / 2**20,
            "wakers": float(wakers),
            **distribution(late_us, prefix="late_"),
        },
        latencies_us=late_us,
    )


async def put_to_sleep(driver: ProcessDriver, workload: Workload, sleepers: int, due: datetime) -> None:
    async def item(_: int) -> None:
        await driver.start(workload.workflow, due)

    whole = Extent(seconds=0, instances=sleepers)
    await closed_loop(driver, item, in_flight=workload.in_flight, extent=whole, step=lambda _: None)


async def settled_rss() -> int:
    await anyio.sleep(SETTLE_S)
    gc.collect()
    return usage_of_self().rss_bytes


async def wake(driver: ProcessDriver, workload: Workload, wakers: int) -> list[int]:
    """Let instances come due at random moments, and say how late each was, in microseconds."""
    chance = Random(7)  # noqa: S311  the same moments in each run
    begin = datetime.now(UTC) + timedelta(seconds=LEAD_S)
    # The start of one must not keep the process from waking another.
    instance_ids = [
        await driver.start(
            workload.workflow, begin + timedelta(seconds=LEAD_S + chance.uniform(0, wakers / WAKERS_PER_S))
        )
        for _ in range(wakers)
    ]
    return [end.output for end in await driver.ends(instance_ids)]
