"""W5, S4 and S7: instances asleep, and many of them due at once.

W5: the cost of a sleeping instance beyond the activation limit, and its lateness. The cost is the growth of RSS between
two sizes of the fleet, without the engine's own. The lateness is that of single instances in an idle process.

S4: more workflows than fit in memory sleep until the same microsecond, so most are read from the store: the load of a
service at midnight.

S7: the cost of a sleeping fleet in memory and on the disk, and some of it due at once. These fall asleep before the
last ones, so that they have left memory when they are due, if the fleet is large enough.

The rule, which the studies check: every instance wakes, and none too early. An instance is awake when the turn in which
its code goes on is durable.
"""

import gc
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import anyio

from ...actors.store.contract import Inspection
from ...runtime.history.instance_state import InstanceState
from ...runtime.history.record import state_of
from ...runtime.history.status import Status
from ...runtime.instance.message import workflow_address
from ..drivers.in_process import EngineSetup, ProcessDriver, process_driver
from ..drivers.load import Progress, WrongResult, start_many
from ..drivers.measure import RunOutcome, distribution, usage_of_self
from ..workloads.workload import Extent, Workload

NIGHT_S = 30 * 86_400.0  # longer than the run
SETTLE_S = 0.5  # before RSS is read, for evictions
LOOK_EVERY_S = 0.002  # between two checks of a counter, which are cheap
PATIENCE_S = 300.0  # for the last instance
READ_AT_ONCE = 1_000  # instances, when results are read
FENCE = ("chain", 0)  # an instance without a step
FLEET_PER_S = 25_000  # instances in S4, S7 and S8 for each second of the run

# W5.
ACTIVATIONS_MAX = 200  # few, compared with the fleet
SLEEPERS_PER_S = 8_000
FIRST_SHARE = 0.2  # of the fleet, before the first reading of RSS
ONE_BY_ONE_PER_S = 100  # far below the capacity of the process
ONE_BY_ONE_LEAD_S = 1.0  # before the first is due

# S4.
TRIED_SHARE = 0.15  # additional instances, more than fit in memory, to measure the time of falling asleep
STORM_RESERVE = 2.5  # times the expected time, because it takes longer when memory is full
STORM_LEAD_S = 1.0  # the least time before the due time

# S7.
STEPS = 20  # of the progress of a growing fleet
WAKERS_MAX = 10_000  # the limit of instances in memory
WAKERS_SHARE = 0.25  # of the fleet, if less
FLEET_RESERVE = 2.0  # times the expected time of the last ones
FLEET_LEAD_S = 2.0


class TooSlow(Exception):
    """The due time came before all were asleep, or passed without effect, so there is no measurement."""


async def run_sleepers(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    fleet = fleet_of(extent, SLEEPERS_PER_S)
    first = max(1, int(fleet * FIRST_SHARE))
    wakers = max(1, int(extent.seconds * ONE_BY_ONE_PER_S))
    crowded = EngineSetup(folder=setup.folder, durability=setup.durability, activations_max=ACTIVATIONS_MAX)
    async with process_driver(crowded) as driver:
        started_us = driver.now_us()
        await put_to_sleep(driver, workload, first)
        rss_first = await settled_rss()
        progress.part(FIRST_SHARE / 2, first)
        await put_to_sleep(driver, workload, fleet - first)
        rss_fleet = await settled_rss()
        elapsed_s = (driver.now_us() - started_us) / 1e6
        progress.part(0.5, fleet)
        late_us = await wake_one_by_one(driver, workload, wakers)
    progress.part(1.0, fleet)
    figures = {
        "elapsed_s": elapsed_s,
        "instances": float(fleet),
        "instances_per_s": fleet / elapsed_s,
        "kib_per_sleeper": (rss_fleet - rss_first) / 1024 / (fleet - first),
        "rss_mib": rss_fleet / 2**20,
        "wakers": float(wakers),
        **distribution(late_us, prefix="late_"),
    }
    return RunOutcome(figures=figures, latencies_us=late_us)


async def wake_one_by_one(driver: ProcessDriver, workload: Workload, wakers: int) -> list[int]:
    """Let instances come due at random moments, and return the lateness of each in microseconds."""
    chance = Random(7)  # noqa: S311  the same moments in each run
    # Twice the lead, because starts must not delay wake-ups.
    begin = in_so_many_s(2 * ONE_BY_ONE_LEAD_S)
    dues = [begin + timedelta(seconds=chance.uniform(0, wakers / ONE_BY_ONE_PER_S)) for _ in range(wakers)]
    instance_ids = [await driver.start(workload.workflow, due) for due in dues]
    return [end.output for end in await driver.ends(instance_ids)]


async def run_timer_storm(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    storm = fleet_of(extent)
    tried = max(1, int(storm * TRIED_SHARE))
    async with process_driver(setup) as driver:
        began_s = time.perf_counter()
        await put_to_sleep(driver, workload, tried)
        took_s = time.perf_counter() - began_s
        progress.part(TRIED_SHARE, 0)

        due = in_so_many_s(STORM_LEAD_S + took_s * STORM_RESERVE * storm / tried)
        began_s = time.perf_counter()
        instance_ids = await put_to_sleep(driver, workload, storm, due)
        asleep_s = time.perf_counter() - began_s
        progress.part(0.5, 0)
        waking = await wake_all(driver, instance_ids, due)
    progress.part(1.0, storm)
    return storm_outcome(waking, instances_per_s=storm / asleep_s)


async def run_fleet(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    fleet = fleet_of(extent)
    wakers = min(WAKERS_MAX, max(1, int(fleet * WAKERS_SHARE)))
    last = min(wakers, fleet - wakers)  # these evict the wakers from memory
    first = fleet - wakers - last
    async with process_driver(setup) as driver:
        empty_bytes, rss_empty = stored_bytes(setup.store), await settled_rss()
        began_s = time.perf_counter()
        await put_to_sleep_in_steps(driver, workload, first, progress)
        per_s = first / (time.perf_counter() - began_s)
        due = in_so_many_s(FLEET_LEAD_S + FLEET_RESERVE * (wakers + last) / per_s)
        instance_ids = await put_to_sleep(driver, workload, wakers, due)
        await put_to_sleep(driver, workload, last)
        asleep_s = time.perf_counter() - began_s
        rss, fleet_bytes = await settled_rss(), stored_bytes(setup.store)
        waking = await wake_all(driver, instance_ids, due)
    figures = {
        "elapsed_s": asleep_s,
        "instances": float(fleet),
        "instances_per_s": fleet / asleep_s,
        "rss_mib": rss / 2**20,
        "rss_bytes_per_sleeper": (rss - rss_empty) / fleet,
        "disk_bytes_per_sleeper": (fleet_bytes - empty_bytes) / fleet,
        "wakers": float(wakers),
        "awake_s": waking.awake_s,
        **distribution(waking.late_us, prefix="late_"),
    }
    return RunOutcome(figures=figures, latencies_us=waking.late_us)


def fleet_of(extent: Extent, per_s: int = FLEET_PER_S) -> int:
    return extent.instances or int(extent.seconds * per_s)


async def put_to_sleep(
    driver: ProcessDriver, workload: Workload, sleepers: int, due: datetime | None = None
) -> list[str]:
    """Start instances that sleep until a date, by default after the run, and return their ids."""
    extent = Extent(seconds=0, instances=sleepers)
    return await start_many(driver, workload, due or in_so_many_s(NIGHT_S), extent)


async def put_to_sleep_in_steps(
    driver: ProcessDriver, workload: Workload, sleepers: int, progress: Progress, whole: float = 1.0
) -> None:
    """Put instances to sleep, which takes the share `whole` of the run (0 to 1)."""
    for step in range(1, STEPS + 1):
        asleep = sleepers * step // STEPS
        await put_to_sleep(driver, workload, asleep - sleepers * (step - 1) // STEPS)
        progress.part(whole * step / STEPS, asleep)


async def settled_rss() -> int:
    await anyio.sleep(SETTLE_S)
    gc.collect()
    return usage_of_self().rss_bytes


def stored_bytes(store: Path) -> int:
    """The size of a database; pages in the WAL count as if they were in the file."""
    with closing(sqlite3.connect(store)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages * page_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waking:
    awake_s: float  # from the due time
    cpu_s: float
    commits: int
    late_us: list[int]  # of each, from the due time to its turn; in the order of the ids


def storm_outcome(waking: Waking, **more: float) -> RunOutcome:
    storm = len(waking.late_us)
    figures = {
        "elapsed_s": waking.awake_s,
        "instances": float(storm),
        "reminders_per_s": storm / waking.awake_s,
        **distribution(waking.late_us, prefix="late_"),
        "cpu_ms_per_unit": waking.cpu_s * 1000 / storm,
        "units_per_commit": storm / max(1, waking.commits),
    }
    return RunOutcome(figures=figures | more, latencies_us=waking.late_us)


async def wake_all(driver: ProcessDriver, instance_ids: Sequence[str], due: datetime) -> Waking:
    """Wait for instances that are all due at `due`.

    Raises:
        TooSlow: The due time is over, or they do not wake.
        WrongResult: An instance returned a wrong value.
    """
    engine = driver.engine
    turns = engine.turns
    if datetime.now(UTC) >= due:
        raise TooSlow(f"{len(instance_ids)} instances were not asleep before {due}; ask for fewer")
    await anyio.sleep((due - datetime.now(UTC)).total_seconds() - LOOK_EVERY_S)
    cpu_s, commits = usage_of_self().cpu_s, engine.commits
    awake = await taken(driver, turns + len(instance_ids))
    awake_s = time.time() - due.timestamp()
    cpu_s, commits = usage_of_self().cpu_s - cpu_s, engine.commits - commits
    if not awake:
        raise TooSlow(f"only {engine.turns - turns} of {len(instance_ids)} woke in {PATIENCE_S:g} s")
    late_us = [lateness_us(state) for state in await states(driver, instance_ids)]
    return Waking(awake_s=awake_s, cpu_s=cpu_s, commits=commits, late_us=late_us)


async def taken(driver: ProcessDriver, turns: int) -> bool:
    """Wait until an engine has taken `turns` durable turns; False if it took too long."""
    with anyio.move_on_after(PATIENCE_S) as patience:
        # A wait for each instance would cost more than its turn.
        while driver.engine.turns < turns:  # noqa: ASYNC110
            await anyio.sleep(LOOK_EVERY_S)
        # Groups are committed in order: earlier turns are durable when this start is.
        await driver.start(*FENCE)
    return not patience.cancelled_caught


async def states(driver: ProcessDriver, instance_ids: Sequence[str]) -> list[InstanceState]:
    found: list[InstanceState] = []
    for begin in range(0, len(instance_ids), READ_AT_ONCE):
        some = instance_ids[begin : begin + READ_AT_ONCE]
        inspections = await driver.engine.store.inspect([workflow_address(instance_id) for instance_id in some])
        for instance_id, inspection in zip(some, inspections, strict=True):
            assert isinstance(inspection, Inspection), (instance_id, inspection)
            found.append(state_of(instance_id, inspection))
    return found


def lateness_us(state: InstanceState) -> int:
    if state.status is not Status.COMPLETED or state.output is None or int(state.output) < 0:
        raise WrongResult(state.instance_id, expected="how late it was", found=state.output)
    return int(state.output)


def in_so_many_s(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
