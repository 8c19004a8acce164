"""What a fixed load costs, in counts rather than in seconds.

The rule: nothing here is timed. The engine is the real one on a real SQLite file, and the load is the same each time:
instances with fixed ids, begun together in waves, on a clock that stands still, with commits in lock step
(`CountingStore`). So what is counted in the store is the same on every machine, to the row. Calls and memory differ
between versions of Python.

Group commit is why it has to be like this. Left to itself, a commit takes what has arrived while the one before it was
flushed, and a faster disk makes more and smaller groups of the same load.
"""

import gc
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeAlias

import anyio

from ...actors.instruments import Instruments
from ...runtime.dates import from_us
from ...runtime.engine import Engine
from ...runtime.settings import Opening, Settings
from ..drivers.load import WrongResult
from ..workloads.app import GO, app, chain, fan_out, signal, sleeper
from .counting_store import CountingStore, StoreTally

# A name -> what was counted.
Counts: TypeAlias = dict[str, int]
Workflow: TypeAlias = Callable[..., Any]
MakeStore: TypeAlias = Callable[[Path], CountingStore]

WAVE = 50  # instances begun together
WAVES = 4
STEPS = 5
WIDTH = 100
# So few stay in memory that what is still there of a finished instance after two waves has leaked.
SETTINGS = Settings(activations_max=2 * WAVE)
NOW_US = 1_767_225_600_000_000  # 2026-01-01
NAP_US = 20_000  # the timer loop looks at its clock again after this long


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedLoad:
    """A load, and what it came to."""

    name: str
    what: str
    unit: str
    units: int
    counts: Counts


def count_all(folder: Path, make_store: MakeStore = CountingStore) -> list[CountedLoad]:
    """Carry out every load, each on an engine and a file of its own; a second or two.

    Args:
        folder: An empty one.

    Raises:
        WrongResult: An instance did not return what it should have.
    """
    found = []
    for load in LOADS:
        path = folder / f"{load.__name__.removeprefix('count_')}.db"
        found.append(anyio.run(load, partial(make_store, path)))
    return found


# The loads.


async def count_chain(make_store: Callable[[], CountingStore]) -> CountedLoad:
    """The only one whose calls and memory are counted: it is what an engine does most."""
    async with bench(make_store()) as it:
        with calls_counted():  # what is made once and kept, such as statements, is made here
            for wave in range(WAVES):
                await it.run(chain, STEPS, ids(f"first-{wave}", WAVE), expected=STEPS)
        await it.store.take()
        it.forget()
        with undisturbed():
            blocks = sys.getallocatedblocks()
            with calls_counted() as calls:
                for wave in range(WAVES):
                    await it.run(chain, STEPS, ids(f"wave-{wave}", WAVE), expected=STEPS)
            tally = await it.store.take()
            in_cycles = gc.collect()
            retained = sys.getallocatedblocks() - blocks
        counts = {
            **counts_of(tally, it.turns()),
            "python_calls": calls.calls,
            "blocks_in_flight": tally.blocks_max - blocks,
            "blocks_retained": retained,
            "objects_in_cycles": in_cycles,
        }
    return CountedLoad(
        name="chain",
        what=f"{WAVES * WAVE} chains of {STEPS} steps, {WAVE} in flight",
        unit="step",
        units=WAVES * WAVE * STEPS,
        counts=counts,
    )


async def count_alone(make_store: Callable[[], CountingStore]) -> CountedLoad:
    instances = 20
    async with bench(make_store()) as it:
        for instance_id in ids("alone", instances):
            await it.run(chain, 1, [instance_id], expected=1)
        return await it.counted("alone", f"{instances} instances of one step, one after the other", "step", instances)


async def count_fan_out(make_store: Callable[[], CountingStore]) -> CountedLoad:
    instances = 5
    async with bench(make_store()) as it:
        await it.run(fan_out, WIDTH, ids("fan", instances), expected=sum(range(WIDTH + 1)))
        what = f"{instances} instances at once, each with {WIDTH} steps at once"
        return await it.counted("fan_out", what, "step", instances * WIDTH)


async def count_event(make_store: Callable[[], CountingStore]) -> CountedLoad:
    async with bench(make_store()) as it:
        waiting = ids("waiting", WAVE)
        await it.start(signal, None, waiting)
        await each(waiting, lambda instance_id: it.engine.client.raise_event(instance_id, GO, 7))
        await it.finish(waiting, expected=7)
        return await it.counted("event", f"{WAVE} instances that wait for an event each", "event", WAVE)


async def count_timer(make_store: Callable[[], CountingStore]) -> CountedLoad:
    async with bench(make_store()) as it:
        asleep = ids("asleep", WAVE)
        due = it.clock.us + NAP_US
        await it.start(sleeper, from_us(due), asleep)
        await it.store.settled()
        it.clock.us = due
        await it.finish(asleep, expected=0)
        return await it.counted("timer", f"{WAVE} instances that sleep until the same moment", "timer", WAVE)


LOADS = (count_chain, count_alone, count_fan_out, count_event, count_timer)


# What they stand on.


class ManualClock:
    """A wall clock that stands still until it is set."""

    may_be_set = False

    def __init__(self) -> None:
        self.us = NOW_US

    def now_us(self) -> int:
        return self.us

    def monotonic_us(self) -> int:
        return self.us


class Bench:
    """An engine under count."""

    def __init__(self, engine: Engine, store: CountingStore, clock: ManualClock) -> None:
        self.engine = engine
        self.store = store
        self.clock = clock
        self._turns = 0

    async def run(
        self, workflow: Callable[..., Any], value: Any, instance_ids: Sequence[str], *, expected: Any
    ) -> None:
        await self.start(workflow, value, instance_ids)
        await self.finish(instance_ids, expected=expected)

    async def start(self, workflow: Workflow, value: Any, instance_ids: Sequence[str]) -> None:
        client = self.engine.client
        await each(instance_ids, lambda instance_id: client.start(workflow, input=value, instance_id=instance_id))

    async def finish(self, instance_ids: Sequence[str], *, expected: Any) -> None:
        """Wait until instances have ended and nothing is left to do for them."""

        async def wait(instance_id: str) -> None:
            state = await self.engine.client.wait(instance_id)
            if state.output != expected:
                raise WrongResult(instance_id, expected=expected, found=state.output)

        await each(instance_ids, wait)
        await self.store.settled()

    async def counted(self, name: str, what: str, unit: str, units: int) -> CountedLoad:
        """Say what the load came to that was put onto the engine."""
        counts = counts_of(await self.store.take(), self.turns())
        return CountedLoad(name=name, what=what, unit=unit, units=units, counts=counts)

    def turns(self) -> int:
        """The turns taken since they were forgotten."""
        return self.engine.turns - self._turns

    def forget(self) -> None:
        self._turns = self.engine.turns


@asynccontextmanager
async def bench(store: CountingStore) -> AsyncIterator[Bench]:
    clock = ManualClock()
    # Or turns and activities that take longer than a slice would be cut into several groups, by the machine's load.
    held = Opening(instruments=Instruments(stopwatch=repeat(0.0).__next__))
    async with Engine(app, data=store, settings=SETTINGS, clock=clock, opening=held) as engine:
        await store.settled()
        await store.take()  # what opening wrote
        yield Bench(engine, store, clock)


async def each(instance_ids: Iterable[str], do: Callable[[str], Coroutine[Any, Any, object]]) -> None:
    """Do something with all of them at once."""
    async with anyio.create_task_group() as tasks:
        for instance_id in instance_ids:
            tasks.start_soon(do, instance_id)


def ids(name: str, number: int) -> list[str]:
    return [f"{name}-{position:04}" for position in range(number)]


def counts_of(tally: StoreTally, turns: int) -> Counts:
    """The counts of a store, under the names of the budget."""
    rows = {f"rows_{kind.replace(' ', '_')}": number for kind, number in sorted(tally.rows.items())}
    return {
        "turns": turns,
        "batches": tally.batches,
        "commits": tally.commits,
        "statements": tally.statements,
        "runs_in_a_commit_max": tally.runs_max,
        **rows,
        "wal_bytes": tally.wal_bytes,
    }


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep the garbage collector from coming in between, and begin with nothing for it to do."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class CallCounter:
    """Counts calls of Python functions of the engine; a coroutine or generator counts each time that it goes on."""

    def __init__(self) -> None:
        self.calls = 0
        self._ours: dict[CodeType, bool] = {}

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            code = frame.f_code
            ours = self._ours.get(code)
            if ours is None:
                ours = self._ours[code] = is_engine(code)
            self.calls += ours


ROOT = str(Path(__file__).parents[2])
LOAD = str(Path(__file__).parents[1])
# What the writer's wait does once a millisecond, which is time and not work.
TIMED = {"_rest", "_rest_later"}


def is_engine(code: CodeType) -> bool:
    return code.co_filename.startswith(ROOT) and not code.co_filename.startswith(LOAD) and code.co_name not in TIMED


@contextmanager
def calls_counted() -> Iterator[CallCounter]:
    """Count calls on this thread, which is the event loop's."""
    counter, before = CallCounter(), sys.getprofile()
    sys.setprofile(counter)
    try:
        yield counter
    finally:
        sys.setprofile(before)
