"""The cost of a fixed load, in counts rather than in seconds.

The rule: nothing is timed. The engine is the real one on a real SQLite file, and the load is always the same: instances
with fixed ids, begun together in waves, on a clock that stands still, with commits in lock step (`CountingStore`, which
says why). So the counts of the store are exactly the same on every machine. Calls and memory differ between versions of
Python.

"""

import gc
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import repeat
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple, TypeAlias

import anyio

from ...actors.instruments import Instruments
from ...runtime.dates import from_us
from ...runtime.engine import Engine
from ...runtime.settings import Opening, Settings
from ..drivers.load import check_output
from ..workloads.app import GO, app, chain, fan_out, signal, sleeper
from .counting_store import CountingStore, StoreTally

Counts: TypeAlias = dict[str, int]
Workflow: TypeAlias = Callable[..., Any]

WAVE = 50  # instances begun together
WAVES = 4
STEPS = 5
WIDTH, FANS = 100, 5
ALONE = 20
# With this limit a part of a finished instance that is in memory after two waves is a leak.
SETTINGS = Settings(activations_max=2 * WAVE)
NOW_US = 1_767_225_600_000_000  # 2026-01-01
NAP_US = 20_000  # the timer loop reads its clock again after this time


class CountedLoad(NamedTuple):
    name: str
    what: str
    unit: str
    units: int
    counts: Counts


def count_all(folder: Path) -> list[CountedLoad]:
    """Run every load on its own engine and file in an empty folder. Takes a second or two."""
    return [anyio.run(count, load, partial(CountingStore, folder / f"{load.name}.db")) for load in LOADS]


async def count(load: "Load", make_store: Callable[[], CountingStore]) -> CountedLoad:
    """Run a load; `WrongResult` if an instance returned a wrong value."""
    async with bench(make_store()) as it:
        counts = await load.run(it)
        return CountedLoad(*load[:-1], counts or counts_of(await it.store.take(), it.turns()))


async def run_chain(it: "Bench") -> Counts:
    """The most common work of an engine, and so the only load whose calls and memory are counted."""
    with calls_counted():  # objects that are kept, such as statements, are made in this wave
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
    return {
        **counts_of(tally, it.turns()),
        "python_calls": calls.calls,
        "blocks_in_flight": tally.blocks_max - blocks,
        "blocks_retained": retained,
        "objects_in_cycles": in_cycles,
    }


async def run_alone(it: "Bench") -> None:
    for instance_id in ids("alone", ALONE):
        await it.run(chain, 1, [instance_id], expected=1)


async def run_fan_out(it: "Bench") -> None:
    await it.run(fan_out, WIDTH, ids("fan", FANS), expected=sum(range(WIDTH + 1)))


async def run_event(it: "Bench") -> None:
    waiting = ids("waiting", WAVE)
    await it.start(signal, None, waiting)
    await each(waiting, lambda instance_id: it.engine.client.raise_event(instance_id, GO, 7))
    await it.finish(waiting, expected=7)


async def run_timer(it: "Bench") -> None:
    asleep = ids("asleep", WAVE)
    due = it.clock.us + NAP_US
    await it.start(sleeper, from_us(due), asleep)
    await it.store.settled()
    it.clock.us = due
    await it.finish(asleep, expected=0)


class Load(NamedTuple):
    name: str
    what: str
    unit: str
    units: int
    run: Callable[["Bench"], Coroutine[Any, Any, Counts | None]]  # returns its own counts; None: only the store's


STEPS_OF_CHAIN = WAVES * WAVE * STEPS
LOADS = (
    Load("chain", f"{WAVES * WAVE} chains of {STEPS} steps, {WAVE} in flight", "step", STEPS_OF_CHAIN, run_chain),
    Load("alone", f"{ALONE} instances of one step, one after the other", "step", ALONE, run_alone),
    Load("fan_out", f"{FANS} instances at once, each with {WIDTH} steps at once", "step", FANS * WIDTH, run_fan_out),
    Load("event", f"{WAVE} instances that wait for an event each", "event", WAVE, run_event),
    Load("timer", f"{WAVE} instances that sleep until the same moment", "timer", WAVE, run_timer),
)


class ManualClock:
    may_be_set = False

    def __init__(self) -> None:
        self.us = NOW_US

    def now_us(self) -> int:
        return self.us

    def monotonic_us(self) -> int:
        return self.us


class Bench:
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
        """Wait until instances have ended and all their work is done."""

        async def wait(instance_id: str) -> None:
            state = await self.engine.client.wait(instance_id)
            check_output(instance_id, expected=expected, found=state.output)

        await each(instance_ids, wait)
        await self.store.settled()

    def turns(self) -> int:
        """The turns since the last reset."""
        return self.engine.turns - self._turns

    def forget(self) -> None:
        self._turns = self.engine.turns


@asynccontextmanager
async def bench(store: CountingStore) -> AsyncIterator[Bench]:
    clock = ManualClock()
    # Without it, turns and activities that take longer than a slice would be split into groups by the machine's load.
    held = Opening(instruments=Instruments(stopwatch=repeat(0.0).__next__))
    async with Engine(app, data=store, settings=SETTINGS, clock=clock, opening=held) as engine:
        await store.settled()
        await store.take()  # what opening wrote
        yield Bench(engine, store, clock)


async def each(instance_ids: Iterable[str], do: Callable[[str], Coroutine[Any, Any, object]]) -> None:
    async with anyio.create_task_group() as tasks:
        for instance_id in instance_ids:
            tasks.start_soon(do, instance_id)


def ids(name: str, number: int) -> list[str]:
    return [f"{name}-{position:04}" for position in range(number)]


def counts_of(tally: StoreTally, turns: int) -> Counts:
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
    """Collect garbage, and switch the collector off for the block."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class CallCounter:
    """Counts calls of Python functions of the engine; each resumption of a coroutine or generator counts."""

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
# Functions that the writer's wait calls once a millisecond, which depends on time.
TIMED = {"_rest", "_rest_later"}


def is_engine(code: CodeType) -> bool:
    return code.co_filename.startswith(ROOT) and not code.co_filename.startswith(LOAD) and code.co_name not in TIMED


@contextmanager
def calls_counted() -> Iterator[CallCounter]:
    """Count calls on this thread, which is that of the event loop."""
    counter, before = CallCounter(), sys.getprofile()
    sys.setprofile(counter)
    try:
        yield counter
    finally:
        sys.setprofile(before)
