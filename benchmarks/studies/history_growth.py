"""S6: the time of a turn as the history grows, and the speed of rebuilding an instance from its history.

A chain of activities that record the times of their runs, one chain at a time. The time between two bodies is the
latency of a turn with its commit. The chains end in a wait, so that they can be rebuilt cold, from the rows in the
store to the running code, with the functions of an activation.
"""

import time
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from ...actors.store.contract import Stored
from ...actors.store.durability import Durability
from ...actors.store.sqlite.store import SqliteStore
from ...runtime.execution.replay import replay
from ...runtime.instance.actor import WorkflowActorType
from ...runtime.instance.message import workflow_address
from ...runtime.instance.surroundings import Surroundings
from ..drivers.in_process import EngineSetup, ProcessDriver, process_driver
from ..drivers.load import Progress, WrongResult
from ..drivers.measure import RunOutcome, percentile
from ..workloads.app import GO, app
from ..workloads.workload import Extent, Workload
from .sleeping import PATIENCE_S, TooSlow, taken

SHORT_LENGTHS = (10, 100)  # events
LONG_LENGTHS = (1_000, 10_000, 50_000)
EVENTS_PER_S = 12_500  # in the longest history, for each second of the run
EVENTS_PER_STEP = 2  # scheduled, completed
SHORT_CHAINS = 20  # before the long chains, and as many after them, because the machine's speed may change
SHORT_STEPS = 80  # of each
AROUND = 0.05  # turns within this share of a long length count as turns at it
AROUND_SHORT = 0.5
COLD_TIMES = 5  # how often each history is rebuilt


class Chain(NamedTuple):
    instance_id: str
    steps: int


class Cold(NamedTuple):
    events: int
    load_s: float
    decode_s: float
    replay_s: float

    @property
    def whole_s(self) -> float:
        return self.load_s + self.decode_s + self.replay_s


async def run_history_growth(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    lengths = [length for length in LONG_LENGTHS if length <= extent.seconds * EVENTS_PER_S]
    steps = [int(length * (1 + AROUND)) // EVENTS_PER_STEP for length in lengths]
    async with process_driver(setup) as driver:
        short = [await chain(driver, workload, SHORT_STEPS) for _ in range(SHORT_CHAINS)]
        long = []
        for position, each in enumerate(steps):
            long.append(await chain(driver, workload, each))
            progress.part(0.9 * sum(steps[: position + 1]) / sum(steps), sum(steps[: position + 1]))
        short += [await chain(driver, workload, SHORT_STEPS) for _ in range(SHORT_CHAINS)]
    figures: dict[str, float] = {}
    for length, ready in zip(lengths, long, strict=True):
        figures |= cold_figures(length, [await rebuilt(setup, ready) for _ in range(COLD_TIMES)])
    async with process_driver(setup) as driver:
        ran_us = [await end(driver, ready) for ready in (*short, *long)]
    figures |= turn_figures((*SHORT_LENGTHS, *lengths), ran_us)
    progress.part(1.0, sum(steps))
    return RunOutcome(figures={"events": float(max(lengths, default=0)), **figures})


async def chain(driver: ProcessDriver, workload: Workload, steps: int) -> Chain:
    turns = driver.engine.turns
    instance_id = await driver.start(workload.workflow, steps)
    # One turn for the start, and one for each result.
    if not await taken(driver, turns + 1 + steps):
        raise TooSlow(f"{steps} steps were not over in {PATIENCE_S:g} s")
    return Chain(instance_id, steps)


async def end(driver: ProcessDriver, chain: Chain) -> list[int]:
    await driver.raise_event(chain.instance_id, GO, None)
    (found,) = await driver.ends([chain.instance_id])
    ran_us: list[int] = found.output
    if len(ran_us) != chain.steps or ran_us != sorted(ran_us):
        raise WrongResult(chain.instance_id, expected=f"{chain.steps} times in order", found=ran_us)
    return ran_us


def turn_figures(lengths: Sequence[int], chains: Sequence[Sequence[int]]) -> dict[str, float]:
    """The latency of a turn at each length, and its growth from the first to the last.

    Args:
        chains: The times of the steps of each chain.
    """
    figures = {}
    for length in lengths:
        around = AROUND if length in LONG_LENGTHS else AROUND_SHORT
        took_us = sorted(
            later - earlier
            for ran_us in chains
            for position, (earlier, later) in enumerate(pairwise(ran_us))
            if abs(EVENTS_PER_STEP * (position + 1) - length) <= around * length
        )
        figures[f"at_{length}_p50_ms"] = percentile(took_us, 50) / 1000
        figures[f"at_{length}_p99_ms"] = percentile(took_us, 99) / 1000
    if lengths[-1] == LONG_LENGTHS[-1]:
        figures["turn_growth_times"] = figures[f"at_{lengths[-1]}_p50_ms"] / figures[f"at_{lengths[0]}_p50_ms"]
    return figures


async def rebuilt(setup: EngineSetup, chain: Chain) -> Cold:
    """Rebuild a chain from the store, as an activation does, with empty caches."""
    actor_type = WorkflowActorType(Surroundings(app))
    address = workflow_address(chain.instance_id)
    store = SqliteStore(setup.store, durability=Durability(setup.durability))
    await store.open()
    try:
        began_s = time.perf_counter()
        (stored,) = await store.load([address])
        loaded_s = time.perf_counter()
    finally:
        await store.close()
    assert isinstance(stored, Stored), stored
    decoding_s = time.perf_counter()
    actor = actor_type.activate(address, stored)
    decoded_s = time.perf_counter()
    assert actor.record is not None, chain
    definition = actor.surroundings.definition(actor.record.name)
    assert definition is not None, actor.record
    execution, _ = replay(definition, actor.surroundings.encoder, instance_id=chain.instance_id, rows=actor.rows)
    replayed_s = time.perf_counter()
    execution.close()
    events = sum(len(row.turn or ()) + len(row.held) for row in actor.rows)
    return Cold(events, loaded_s - began_s, decoded_s - decoding_s, replayed_s - decoded_s)


def cold_figures(length: int, cold: Sequence[Cold]) -> dict[str, float]:
    parts = {"cold": "whole_s", "load": "load_s", "decode": "decode_s", "replay": "replay_s"}
    return {
        f"{name}_{length}_events_per_s": median(each.events / getattr(each, seconds) for each in cold)
        for name, seconds in parts.items()
    }
