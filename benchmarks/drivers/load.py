"""Load: how instances are put onto an engine, whichever it is and however it is reached.

The one law: nothing here knows what is behind the driver. Another engine is
another driver; another way of pacing is another function beside `closed_loop`
and `open_loop`.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple, Protocol, TypeAlias

import anyio
from anyio.lowlevel import checkpoint

from ..workloads.app import GO
from ..workloads.workload import Workload
from .measure import Counts, LoadTally, RunOutcome, Span, Usage, cpu_between, distribution, outcome_of

# The least that is slept before an arrival. The event loop's timers count milliseconds, and a shorter sleep would be
# none: the load would spin, on a core that the engine needs. So an arrival is up to this late, which is shown.
TICK_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How long a run goes on: a time, or a number of instances if there is one."""

    seconds: float
    instances: int | None = None


class End(NamedTuple):
    """How an instance ended."""

    at_us: int  # the driver's clock
    output: Any


class Driver(Protocol):
    """An engine, as the load sees it."""

    def now_us(self) -> int:
        """The clock that all times of this driver are of; microseconds."""
        ...

    async def start(self, workflow: str, value: Any) -> str:
        """Start an instance and return its id, once it is durable."""
        ...

    async def raise_event(self, instance_id: str, name: str, value: Any) -> None:
        """Send an event; durable when this returns."""
        ...

    async def finish(self, instance_id: str) -> None:
        """Wait until an instance has ended, as far as that can be told while the clock runs."""
        ...

    async def ends(self, instance_ids: Sequence[str]) -> list[End]:
        """Say when instances ended and with what, waiting for those that have not. The clock has stopped by then."""
        ...

    def engine_usage(self) -> Usage:
        """What the engine has used, all its processes together."""
        ...

    def load_usage(self) -> Usage | None:
        """What the load has used; None if it shares the engine's process."""
        ...

    def server_usage(self) -> Usage | None:
        """What the engine's database server has used; None if it has none, or none that can be seen."""
        ...

    def counts(self) -> Counts | None:
        """What the engine has done; None if it does not tell."""
        ...


class Progress(Protocol):
    """Who wants to know how far a run is."""

    def part(self, share: float, units: int) -> None:
        """So much of the run is over (0 to 1), and so many units are done."""
        ...


OpenDriver: TypeAlias = Callable[[], AbstractAsyncContextManager[Driver]]

# One thing to do; told when it was meant to begin, by the driver's clock.
Item: TypeAlias = Callable[[int], Awaitable[None]]


class WrongResult(Exception):
    """An instance did not return what it should have: what was measured is worth nothing."""

    def __init__(self, instance_id: str, *, expected: Any, found: Any) -> None:
        super().__init__(instance_id, expected, found)
        self.instance_id = instance_id
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"instance {self.instance_id} returned {self.found!r} and should have returned {self.expected!r}"


async def closed_loop(
    driver: Driver, item: Item, *, in_flight: int, extent: Extent, step: Callable[[float], None]
) -> None:
    """Keep so many items under way until the extent is reached, and wait for the last ones.

    An item that takes long keeps the next one from being begun, so latencies
    under a given rate of arrivals cannot be read off this one.

    Args:
        step: Told after each item how much of the extent is over, 0 to 1.
    """
    started_us = driver.now_us()
    begun = done = 0

    def share() -> float:
        if extent.instances is not None:
            return done / extent.instances
        return (driver.now_us() - started_us) / 1e6 / extent.seconds

    async def work() -> None:
        nonlocal begun, done
        while begun < extent.instances if extent.instances is not None else share() < 1:
            begun += 1
            await item(driver.now_us())
            done += 1
            step(min(1.0, share()))

    async with anyio.create_task_group() as tasks:
        for _ in range(in_flight):
            tasks.start_soon(work)


async def open_loop(driver: Driver, item: Item, *, dues_us: Sequence[int], step: Callable[[float], None]) -> list[int]:
    """Begin an item at each of these times, whatever has become of those before, and wait for the last ones.

    An item is told when it was due, not when it was begun: what a busy engine or
    a late load keeps waiting has waited (no coordinated omission).

    Args:
        dues_us: By the driver's clock, in ascending order.
        step: Told after each item how much of the whole is over, 0 to 1.

    Returns:
        How much later than due each was begun, in microseconds: the load's own lateness.
    """
    late_us: list[int] = []
    over = 0

    async def work(due_us: int) -> None:
        nonlocal over
        late_us.append(max(0, driver.now_us() - due_us))
        await item(due_us)
        over += 1
        step(over / len(dues_us))

    async with anyio.create_task_group() as tasks:
        for due_us in dues_us:
            while (early_us := due_us - driver.now_us()) > 0:  # noqa: ASYNC110  it waits for a time, not an event
                await anyio.sleep(max(early_us / 1e6, TICK_S))
            tasks.start_soon(work, due_us)
    return late_us


def arrivals_us(rate: float, extent: Extent) -> list[int]:
    """Moments of independent arrivals, in microseconds from the first moment on, in ascending order.

    Callers who know nothing of each other come in a Poisson process: in bursts
    and gaps, which a fixed distance would hide. Given how many come in a time,
    their moments are even chances. So exactly as many come as were asked for,
    at the same moments in every run.
    """
    chance = Random(7)  # noqa: S311  not for secrets
    number = extent.instances or max(1, round(rate * extent.seconds))
    return sorted(round(chance.uniform(0, number / rate) * 1e6) for _ in range(number))


async def run_loop(driver: Driver, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    """Start instances, each in the place of one that has ended."""
    return outcome_of([await tally_loop(driver, workload, extent, progress)], workload.units)


async def tally_loop(
    driver: Driver,
    workload: Workload,
    extent: Extent,
    progress: Progress,
    over: Callable[[], Awaitable[None]] = checkpoint,
) -> LoadTally:
    """The same before it is put into figures; see `tally_of`."""
    begun_us: dict[str, int] = {}

    async def item(began_us: int) -> None:
        instance_id = await driver.start(workload.workflow, workload.input)
        begun_us[instance_id] = began_us
        await driver.finish(instance_id)

    async def drive(step: Callable[[float], None]) -> None:
        await closed_loop(driver, item, in_flight=workload.in_flight, extent=extent, step=step)

    return await tally_of(driver, workload, drive, begun_us, progress, over)


async def run_open(driver: Driver, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    """Start instances at a rate, however long they take."""
    rate = workload.rate
    assert rate is not None, workload.name
    begun_us: dict[str, int] = {}
    late_us: list[int] = []

    async def item(due_us: int) -> None:
        instance_id = await driver.start(workload.workflow, workload.input)
        begun_us[instance_id] = due_us
        await driver.finish(instance_id)

    async def drive(step: Callable[[float], None]) -> None:
        now_us = driver.now_us()
        dues_us = [now_us + arrival_us for arrival_us in arrivals_us(rate, extent)]
        late_us.extend(await open_loop(driver, item, dues_us=dues_us, step=step))

    tally = await tally_of(driver, workload, drive, begun_us, progress)
    outcome = outcome_of([tally], workload.units)
    waiting = backlog([(span.begun_us, span.took_us) for span in tally.spans])
    figures = {
        "offered_per_s": rate,
        "backlog_max": float(waiting.most),
        "backlog_end": float(waiting.end),
        **distribution(late_us, prefix="sent_late_"),
    }
    return RunOutcome(figures=outcome.figures | figures, latencies_us=outcome.latencies_us)


class Backlog(NamedTuple):
    """How many instances had been due and were not over."""

    most: int
    end: int  # when the last one was due


def backlog(spans_us: Sequence[tuple[int, int]]) -> Backlog:
    """Count what was under way.

    Args:
        spans_us: When each was due, and how long after that it ended; at least one.
    """
    last_us = max(due_us for due_us, _ in spans_us)
    # One that ends at the moment at which another is due makes room for it.
    changes = sorted([(due_us, 1) for due_us, _ in spans_us] + [(due_us + took_us, -1) for due_us, took_us in spans_us])
    most = under_way = end = 0
    for at_us, change in changes:
        under_way += change
        most = max(most, under_way)
        if at_us <= last_us:
            end = under_way
    return Backlog(most, end)


async def run_events(driver: Driver, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    """Let instances wait for an event, and send one to each.

    Starting an instance costs about what an event does, so those that can be
    started in the time given are as many as are needed.
    """
    waiting: list[str] = []

    async def begin(_: int) -> None:
        waiting.append(await driver.start(workload.workflow, workload.input))

    await closed_loop(driver, begin, in_flight=workload.in_flight, extent=extent, step=lambda _: None)
    begun_us: dict[str, int] = {}
    everybody = Extent(seconds=extent.seconds, instances=len(waiting))

    async def item(began_us: int) -> None:
        instance_id = waiting.pop()
        begun_us[instance_id] = began_us
        await driver.raise_event(instance_id, GO, workload.output)
        await driver.finish(instance_id)

    async def drive(step: Callable[[float], None]) -> None:
        await closed_loop(driver, item, in_flight=workload.in_flight, extent=everybody, step=step)

    return outcome_of([await tally_of(driver, workload, drive, begun_us, progress)], workload.units)


async def tally_of(
    driver: Driver,
    workload: Workload,
    drive: Callable[[Callable[[float], None]], Awaitable[None]],
    begun_us: dict[str, int],
    progress: Progress,
    over: Callable[[], Awaitable[None]] = checkpoint,
) -> LoadTally:
    """Run a loop, and say what its items came to.

    Args:
        drive: Runs the loop, and tells what it is given how much of it is over.
        begun_us: Filled by the items: instance to the time at which it was meant to begin.
        over: Waits until what else runs at the same time, and may still keep this engine at work, is over as well.

    Raises:
        WrongResult: An instance did not return what it should have.
    """

    def step(share: float) -> None:
        progress.part(share, len(begun_us) * workload.units)

    engine, load, server, counts = driver.engine_usage(), driver.load_usage(), driver.server_usage(), driver.counts()
    await drive(step)
    await over()
    engine_after, load_after, server_after = driver.engine_usage(), driver.load_usage(), driver.server_usage()
    counts_after = driver.counts()

    ends = await driver.ends(list(begun_us))
    for instance_id, end in zip(begun_us, ends, strict=True):
        if end.output != workload.output:
            raise WrongResult(instance_id, expected=workload.output, found=end.output)
    return LoadTally(
        spans=[Span(began_us, end.at_us) for began_us, end in zip(begun_us.values(), ends, strict=True)],
        engine=Usage(cpu_s=engine_after.cpu_s - engine.cpu_s, rss_bytes=engine_after.rss_bytes),
        load_cpu_s=cpu_between(load, load_after),
        server_cpu_s=cpu_between(server, server_after),
        counts=counts_after.minus(counts) if counts is not None and counts_after is not None else None,
    )
