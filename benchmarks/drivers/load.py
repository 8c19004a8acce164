"""The load on an engine, for any engine and any way to reach it.

The rule: this module does not know the engine behind the driver. Another engine is another driver; another pacing is
another function beside `closed_loop` and `open_loop`, which call `step` after each item with the finished share.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, NamedTuple, Protocol, TypeAlias

import anyio
from anyio.lowlevel import checkpoint

from ..workloads.app import GO
from ..workloads.workload import Extent, Workload
from .measure import Counts, LoadTally, RunOutcome, Span, Usage, cpu_between, distribution, outcome_of, usage_of_self

# The shortest sleep before an arrival. The event loop's timers have milliseconds, and a shorter sleep would make the
# load spin, on a core that the engine needs. So an arrival is up to this late, which is shown.
TICK_S = 0.001


class End(NamedTuple):
    at_us: int  # the driver's clock
    output: Any


class Driver(ABC):
    """The interface of an engine for the load."""

    def __init__(self) -> None:
        self._ends: dict[str, End] = {}

    def now_us(self) -> int:
        """The clock of this driver, in microseconds."""
        return time.perf_counter_ns() // 1000

    @abstractmethod
    async def start(self, workflow: str, value: Any) -> str:
        """Start an instance, and return its id when it is durable."""

    @abstractmethod
    async def raise_event(self, instance_id: str, name: str, value: Any) -> None:
        """Send an event; durable when this returns."""

    @abstractmethod
    async def finish(self, instance_id: str) -> None:
        """Wait until an instance has ended, as far as that is known while the clock runs."""

    async def ends(self, instance_ids: Sequence[str]) -> list[End]:
        """Wait for instances after the clock has stopped, and return their ends."""
        for instance_id in instance_ids:
            if instance_id not in self._ends:
                await self.finish(instance_id)
        return [self._ends[instance_id] for instance_id in instance_ids]

    @abstractmethod
    def engine_usage(self) -> Usage:
        """The usage of all processes of the engine."""

    def load_usage(self) -> Usage | None:
        """The usage of the load; None if it shares the engine's process."""
        return usage_of_self()

    def server_usage(self) -> Usage | None:
        """The usage of the engine's database server; None if there is none, or it cannot be seen."""
        return None

    def counts(self) -> Counts | None:
        """The engine's counts; None if it has none."""
        return None

    def readings(self) -> tuple[Usage, Usage | None, Usage | None, Counts | None]:
        return self.engine_usage(), self.load_usage(), self.server_usage(), self.counts()


class Progress(Protocol):
    """Receives the finished share of a run (0 to 1), and its number of finished units."""

    def part(self, share: float, units: int) -> None: ...


Item: TypeAlias = Callable[[int], Awaitable[None]]  # called with its due time, microseconds
Step: TypeAlias = Callable[[float], None]  # called with the finished share, 0 to 1


class WrongResult(Exception):
    """An instance returned a wrong value, so the measurement is void."""

    def __init__(self, instance_id: str, *, expected: Any, found: Any) -> None:
        super().__init__(instance_id, expected, found)
        self.instance_id = instance_id
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"instance {self.instance_id} returned {self.found!r} and should have returned {self.expected!r}"


def check_output(instance_id: str, *, expected: Any, found: Any) -> None:
    if found != expected:
        raise WrongResult(instance_id, expected=expected, found=found)


def check_outputs(workload: Workload, instance_ids: Sequence[str], ends: Sequence[End]) -> None:
    for instance_id, end in zip(instance_ids, ends, strict=True):
        check_output(instance_id, expected=workload.output, found=end.output)


async def closed_loop(driver: Driver, item: Item, step: Step, *, in_flight: int, extent: Extent) -> None:
    """Keep `in_flight` items under way until the extent is reached, at least one, and wait for the last.

    A slow item delays the start of the next, so this does not show latencies at a given rate of arrivals.
    """
    started_us = driver.now_us()
    begun = done = 0

    def share() -> float:
        if extent.instances is not None:
            return done / extent.instances
        return (driver.now_us() - started_us) / 1e6 / extent.seconds

    async def work() -> None:
        nonlocal begun, done
        while begun < extent.instances if extent.instances is not None else not begun or share() < 1:
            begun += 1
            await item(driver.now_us())
            done += 1
            step(min(1.0, share()))

    async with anyio.create_task_group() as tasks:
        for _ in range(in_flight):
            tasks.start_soon(work)


async def open_loop(driver: Driver, item: Item, step: Step, *, arrivals_us: Sequence[int], late_us: list[int]) -> None:
    """Begin an item at each of these times, whether or not earlier items have ended, and wait for the last.

    An item gets its due time, not its start: time that it waits for a busy engine or a late load counts (no coordinated
    omission).

    Args:
        arrivals_us: Relative to now, in ascending order.
        late_us: Receives the lateness of each start: the load's own lateness.
    """
    began_us = driver.now_us()
    over = 0

    async def work(due_us: int) -> None:
        nonlocal over
        late_us.append(max(0, driver.now_us() - due_us))
        await item(due_us)
        over += 1
        step(over / len(arrivals_us))

    async with anyio.create_task_group() as tasks:
        for arrival_us in arrivals_us:
            due_us = began_us + arrival_us
            while (early_us := due_us - driver.now_us()) > 0:  # noqa: ASYNC110  it waits for a time, not an event
                await anyio.sleep(max(early_us / 1e6, TICK_S))
            tasks.start_soon(work, due_us)


def arrivals_of(rate: float, extent: Extent) -> list[int]:
    """Moments of independent arrivals, in microseconds from the first moment, in ascending order.

    Independent callers arrive in a Poisson process, with bursts and gaps that a fixed distance would hide. For a given
    number of arrivals their moments are uniformly distributed. So the number is exact, and the moments are the same in
    every run.
    """
    chance = Random(7)  # noqa: S311  not for secrets
    number = extent.instances or max(1, round(rate * extent.seconds))
    return sorted(round(chance.uniform(0, number / rate) * 1e6) for _ in range(number))


async def start_many(
    driver: Driver, workload: Workload, value: Any, extent: Extent, step: Step = lambda _: None
) -> list[str]:
    """Start instances with an input, up to the workload's number in flight at once; return their ids."""
    instance_ids: list[str] = []

    async def item(_: int) -> None:
        instance_ids.append(await driver.start(workload.workflow, value))

    await closed_loop(driver, item, step, in_flight=workload.in_flight, extent=extent)
    return instance_ids


async def run_loop(driver: Driver, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    """Start a new instance whenever one has ended."""
    return outcome_of([await tally_loop(driver, workload, extent, progress)], workload.units)


async def tally_loop(
    driver: Driver,
    workload: Workload,
    extent: Extent,
    progress: Progress,
    over: Callable[[], Awaitable[None]] = checkpoint,
) -> LoadTally:
    begin = partial(driver.start, workload.workflow, workload.input)
    loop = partial(closed_loop, in_flight=workload.in_flight, extent=extent)
    return await tally_of(driver, workload, begin, loop, progress, over)


async def run_open(driver: Driver, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    assert workload.rate is not None, workload.name
    late_us: list[int] = []
    begin = partial(driver.start, workload.workflow, workload.input)
    loop = partial(open_loop, arrivals_us=arrivals_of(workload.rate, extent), late_us=late_us)
    tally = await tally_of(driver, workload, begin, loop, progress)
    outcome = outcome_of([tally], workload.units)
    most, end = backlog(tally.spans)
    figures = {"offered_per_s": workload.rate, "backlog_max": float(most), "backlog_end": float(end)}
    return replace(outcome, figures=outcome.figures | figures | distribution(late_us, prefix="sent_late_"))


async def run_events(driver: Driver, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    """Let instances wait for an event, and send one to each. As many wait as can be started in the given time, because
    a start costs about as much as an event.
    """
    waiting = await start_many(driver, workload, workload.input, extent)

    async def begin() -> str:
        instance_id = waiting.pop()
        await driver.raise_event(instance_id, GO, workload.output)
        return instance_id

    all_waiting = Extent(seconds=extent.seconds, instances=len(waiting))
    loop = partial(closed_loop, in_flight=workload.in_flight, extent=all_waiting)
    return outcome_of([await tally_of(driver, workload, begin, loop, progress)], workload.units)


class Backlog(NamedTuple):
    most: int
    end: int  # when the last one was due


def backlog(spans: Sequence[Span]) -> Backlog:
    """Count the overlapping spans, each from the due time of an instance to its end."""
    last_us = max(span.begun_us for span in spans)
    # An end sorts before a due time at the same moment.
    changes = sorted([(span.begun_us, 1) for span in spans] + [(span.ended_us, -1) for span in spans])
    most = under_way = end = 0
    for at_us, change in changes:
        under_way += change
        most = max(most, under_way)
        if at_us <= last_us:
            end = under_way
    return Backlog(most, end)


async def tally_of(
    driver: Driver,
    workload: Workload,
    begin: Callable[[], Awaitable[str]],
    loop: Callable[[Driver, Item, Step], Awaitable[None]],
    progress: Progress,
    over: Callable[[], Awaitable[None]] = checkpoint,
) -> LoadTally:
    """Run a loop, and return the measurements of its items.

    Args:
        begin: Begins an item, and returns the id of its instance.
        over: Waits for the end of other loads that may still use this engine.

    Raises:
        WrongResult: An instance returned a wrong value.
    """
    begun_us: dict[str, int] = {}

    async def item(meant_us: int) -> None:
        instance_id = await begin()
        begun_us[instance_id] = meant_us
        await driver.finish(instance_id)

    def step(share: float) -> None:
        progress.part(share, len(begun_us) * workload.units)

    engine, load, server, counts = driver.readings()
    await loop(driver, item, step)
    await over()
    engine_after, load_after, server_after, counts_after = driver.readings()

    ends = await driver.ends(list(begun_us))
    check_outputs(workload, list(begun_us), ends)
    return LoadTally(
        spans=[Span(meant_us, end.at_us) for meant_us, end in zip(begun_us.values(), ends, strict=True)],
        engine=Usage(cpu_s=engine_after.cpu_s - engine.cpu_s, rss_bytes=engine_after.rss_bytes),
        load_cpu_s=cpu_between(load, load_after),
        server_cpu_s=cpu_between(server, server_after),
        counts=counts_after.minus(counts) if counts is not None and counts_after is not None else None,
    )
