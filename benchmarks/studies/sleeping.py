"""Instances asleep, and many of them due at once: W5, S4 and S7.

W5: what an instance costs that sleeps beyond the activation limit, and how late one wakes. The cost is the growth of
RSS between two sizes of the fleet, so that what the engine costs anyhow is not in it. The lateness is that of instances
that come due one by one, in a process that has nothing else to do.

S4: so many workflows sleep until the same microsecond, more than may be in memory, so most are read back from the
store: what a service sees after midnight, a time that many programs choose.

S7: a fleet asleep, what it costs in memory and on the disk, and some of it due at once. The wakers are put to
sleep before the last ones, so that they have left memory by the time they are due, as far as the fleet is large enough.

The rule that is checked on the way: every instance wakes, and none before its time. An instance is awake when the turn
in which its code goes on is durable.
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

NIGHT_S = 30 * 86_400.0  # how long a fleet sleeps: longer than the run
SETTLE_S = 0.5  # before RSS is read: what was to be evicted has been
LOOK_EVERY_S = 0.002  # at a counter; next to nothing beside what it counts
PATIENCE_S = 300.0  # for the last of them
READ_AT_ONCE = 1_000  # instances, when results are read
FENCE = ("chain", 0)  # an instance without a step
FLEET_PER_S = 25_000  # how many instances there are for each second that a run should last, in S4, S7 and S8

# W5.
ACTIVATIONS_MAX = 200  # in memory at once: next to nothing beside the fleet
SLEEPERS_PER_S = 8_000
FIRST_SHARE = 0.2  # of the fleet, before RSS is read for the first time
ONE_BY_ONE_PER_S = 100  # far below what would keep the process busy
ONE_BY_ONE_LEAD_S = 1.0  # before the first of them is due

# S4.
TRIED_SHARE = 0.15  # as many more are put to sleep first, more than may be in memory, to learn how long it takes
STORM_RESERVE = 2.5  # of the time that the storm then needs: it falls asleep more slowly once memory is full
STORM_LEAD_S = 1.0  # before the due time, however few there are

# S7.
STEPS = 20  # in which a fleet grows, to show how far it is
WAKERS_MAX = 10_000  # as many as may be in memory at once
WAKERS_SHARE = 0.25  # of the fleet, if that is less
FLEET_RESERVE = 2.0  # of the time that the last ones should need to fall asleep
FLEET_LEAD_S = 2.0


class TooSlow(Exception):
    """The due time came before all were asleep, or went by and nothing happened: there is nothing to measure."""


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
    """Let instances come due at random moments, and say how late each was, in microseconds."""
    chance = Random(7)  # noqa: S311  the same moments in each run
    # Twice the lead: the start of one must not keep the process from waking another.
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
    last = min(wakers, fleet - wakers)  # they push the wakers out of memory
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


# To fall asleep.


def fleet_of(extent: Extent, per_s: int = FLEET_PER_S) -> int:
    return extent.instances or int(extent.seconds * per_s)


async def put_to_sleep(
    driver: ProcessDriver, workload: Workload, sleepers: int, due: datetime | None = None
) -> list[str]:
    """Start instances that sleep until a date, by default beyond the run, and return their ids."""
    extent = Extent(seconds=0, instances=sleepers)
    return await start_many(driver, workload, due or in_so_many_s(NIGHT_S), extent)


async def put_to_sleep_in_steps(
    driver: ProcessDriver, workload: Workload, sleepers: int, progress: Progress, whole: float = 1.0
) -> None:
    """Put so many to sleep, which is so much of the run (0 to 1)."""
    for step in range(1, STEPS + 1):
        asleep = sleepers * step // STEPS
        await put_to_sleep(driver, workload, asleep - sleepers * (step - 1) // STEPS)
        progress.part(whole * step / STEPS, asleep)


async def settled_rss() -> int:
    await anyio.sleep(SETTLE_S)
    gc.collect()
    return usage_of_self().rss_bytes


def stored_bytes(store: Path) -> int:
    """How large a database is: a page that is still in the WAL counts as if it had been copied home."""
    with closing(sqlite3.connect(store)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages * page_bytes)


# To wake.


@dataclass(frozen=True, slots=True, kw_only=True)
class Waking:
    """How so many instances woke that were due at once."""

    awake_s: float  # from the due time until all were awake
    cpu_s: float
    commits: int
    late_us: list[int]  # each, from the due time to its turn; in the order of their ids


def storm_outcome(waking: Waking, **more: float) -> RunOutcome:
    """What it came to that so many were due at once, and more figures of it."""
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
    """Wait for instances that are all due at `due`, and nothing else is.

    Raises:
        TooSlow: It is too late already, or they do not wake.
        WrongResult: One did not end as it should.
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
    """Wait until an engine has taken so many turns, and they are durable; say whether that came about."""
    with anyio.move_on_after(PATIENCE_S) as patience:
        # To wait for each instance by its id would cost more than its turn.
        while driver.engine.turns < turns:  # noqa: ASYNC110
            await anyio.sleep(LOOK_EVERY_S)
        # Groups are committed in their order: what was taken before this one is durable when this one is.
        await driver.start(*FENCE)
    return not patience.cancelled_caught


async def states(driver: ProcessDriver, instance_ids: Sequence[str]) -> list[InstanceState]:
    """Read instances, many at a time."""
    found: list[InstanceState] = []
    for begin in range(0, len(instance_ids), READ_AT_ONCE):
        some = instance_ids[begin : begin + READ_AT_ONCE]
        inspections = await driver.engine.store.inspect([workflow_address(instance_id) for instance_id in some])
        for instance_id, inspection in zip(some, inspections, strict=True):
            assert isinstance(inspection, Inspection), (instance_id, inspection)
            found.append(state_of(instance_id, inspection))
    return found


def lateness_us(state: InstanceState) -> int:
    """How late a sleeper woke."""
    if state.status is not Status.COMPLETED or state.output is None or int(state.output) < 0:
        raise WrongResult(state.instance_id, expected="how late it was", found=state.output)
    return int(state.output)


def in_so_many_s(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
