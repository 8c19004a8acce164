"""Many due at once: put instances to sleep until one date, and see how long it takes until all are awake.

The law that is checked on the way: every one of them wakes, and none before its
time. An instance is awake when the turn in which its code goes on is durable.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio

from ...actors.store.contract import Inspection
from ...runtime.history.instance_state import InstanceState
from ...runtime.history.record import state_of
from ...runtime.history.status import Status
from ...runtime.instance.message import workflow_address
from ..drivers.load import Extent, WrongResult, closed_loop
from ..drivers.measure import usage_of_self
from ..drivers.process_driver import ProcessDriver
from ..workloads.workload import Workload

LOOK_EVERY_S = 0.002  # at a counter; next to nothing beside what it counts
PATIENCE_S = 120.0  # for the last of them
READ_AT_ONCE = 1_000  # instances, when results are read
FENCE = ("chain", 0)  # an instance without a step


class TooSlow(Exception):
    """The due time came before all were asleep, or went by and nothing happened: there is nothing to measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waking:
    """How so many instances woke that were due at once."""

    awake_s: float  # from the due time until all were awake
    cpu_s: float
    commits: int
    late_us: list[int]  # each, from the due time to its turn; in the order of their ids


async def sleepers_until(driver: ProcessDriver, workload: Workload, sleepers: int, due: datetime) -> list[str]:
    """Start instances that sleep until `due`, and return their ids."""
    instance_ids: list[str] = []

    async def item(_: int) -> None:
        instance_ids.append(await driver.start(workload.workflow, due))

    whole = Extent(seconds=0, instances=sleepers)
    await closed_loop(driver, item, in_flight=workload.in_flight, extent=whole, step=lambda _: None)
    return instance_ids


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
    with anyio.move_on_after(PATIENCE_S) as patience:
        # Each takes one turn. To wait for each by its id would cost more than the turn.
        while engine.turns < turns + len(instance_ids):  # noqa: ASYNC110
            await anyio.sleep(LOOK_EVERY_S)
        # Groups are committed in their order: what was taken before this one is durable when this one is.
        await driver.start(*FENCE)
    awake_s = time.time() - due.timestamp()
    cpu_s, commits = usage_of_self().cpu_s - cpu_s, engine.commits - commits
    if patience.cancelled_caught:
        raise TooSlow(f"only {engine.turns - turns} of {len(instance_ids)} woke in {PATIENCE_S:g} s")
    late_us = [lateness_us(state) for state in await states(driver, instance_ids)]
    return Waking(awake_s=awake_s, cpu_s=cpu_s, commits=commits, late_us=late_us)


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
    """How late a sleeper woke.

    Raises:
        WrongResult: It has not woken, or did before its time.
    """
    if state.status is not Status.COMPLETED or state.output is None or int(state.output) < 0:
        raise WrongResult(state.instance_id, expected="how late it was", found=state.output)
    return int(state.output)


def in_so_many_s(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
