"""A window shows the same events as the whole timeline, wherever it begins."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.actors.instruments import SYSTEM
from perdure.runtime.history.event import (
    Event,
    EventRaised,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionSuspended,
    PatchesApplied,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from perdure.runtime.history.row import Row, RowPacker
from perdure.runtime.history.timeline import Timeline
from perdure.runtime.operations.reading.history_window import HistoryWindows

pytestmark = pytest.mark.anyio
PACKER = RowPacker()
FAILURE = ("E", "m", None, None, False)


OTHERS: dict[str, Event] = {
    "event": EventRaised("e", None),
    "stall": ExecutionStalled("no"),
    "suspension": ExecutionSuspended(None),
    "start": TimerFired(-1, 5),  # from the instance itself
}
KINDS = ("done", "failed", "timer", *OTHERS)


@st.composite
def arriving(draw: st.DrawFn, number: int, open_tasks: list[int], timers: list[int]) -> list[Event]:
    """The arrivals of one row."""
    found: list[Event] = []
    for kind in draw(st.lists(st.sampled_from(KINDS), max_size=3)):
        if kind in ("done", "failed") and open_tasks:
            task_id = open_tasks.pop(draw(st.integers(0, len(open_tasks) - 1)))
            found.append(TaskCompleted(task_id, "1") if kind == "done" else TaskFailed(task_id, FAILURE))
        elif kind == "timer" and timers:
            found.append(TimerFired(timers.pop(), 9))
        elif kind in OTHERS and number:
            found.append(OTHERS[kind])
    return found


@st.composite
def histories(draw: st.DrawFn) -> list[Row]:
    """Histories of native code (all held arrivals are fed at once), or of a worker's (some may be left)."""
    remote = draw(st.booleans())
    rows: list[Row] = []
    held, next_id = 0, draw(st.integers(0, 1))  # some SDKs begin at 0
    open_tasks: list[int] = []
    timers: list[int] = []
    started: list[Event] = [ExecutionStarted("w", None, "x", None, draw(st.none() | st.just(5)))]
    for number in range(draw(st.integers(1, 12))):
        arrivals: list[Event] = started if number == 0 else []
        arrivals += draw(arriving(number, open_tasks, timers))
        runs = draw(st.booleans())
        if not runs:
            held += len(arrivals)
            rows.append(Row(number, None, arrivals))
            continue
        commands: list[Event] = []
        if remote and draw(st.booleans()):
            commands.append(PatchesApplied((), f"v{number}"))
        for _ in range(draw(st.integers(0, 2))):
            commands.append(TaskScheduled(next_id, "a", None, f"x-{next_id}"))
            open_tasks.append(next_id)
            next_id += 1
        commands.append(TimerCreated(next_id, 9))
        timers.append(next_id)
        next_id += 1
        if remote:
            consumed = draw(st.integers(0, held))
            rows.append(Row(number, commands, arrivals, consumed))
            held += len(arrivals) - consumed
        else:
            rows.append(Row(number, [*arrivals, *commands], []))
            held = 0
    return rows


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@given(history=histories(), cuts=st.sets(st.integers(0, 12)))
async def test_the_windows_of_a_history_make_its_timeline(history: list[Row], cuts: set[int]) -> None:
    entries = [PACKER.pack(*row) for row in history]
    edges = sorted({0, len(entries), *(cut for cut in cuts if cut < len(entries))})
    found = []
    for begin, end in pairwise(edges):
        # Each window is read separately.
        windows = HistoryWindows(entries, versioned=True, stopwatch=SYSTEM.stopwatch)
        found += await windows.events(begin, end)
    assert [each.timed for each in found] == Timeline.of(history).events
    places = [each.place for each in found]
    assert places == sorted(set(places))


async def test_a_window_unpacks_no_more_rows_than_it_needs() -> None:
    first = Row(0, [ExecutionStarted("w", None, "x"), TaskScheduled(1, "a", None, "x-1")], [])
    rows = [first]
    rows += [
        Row(n, [TaskCompleted(n, None), TaskScheduled(n + 1, "a", None, f"x-{n + 1}")], []) for n in range(1, 1000)
    ]
    windows = HistoryWindows([PACKER.pack(*row) for row in rows], versioned=False, stopwatch=SYSTEM.stopwatch)
    found = await windows.events(990, 1000)
    assert [each.timed for each in found] == Timeline.of(rows).events[-30:]
    assert len(windows._unpacked) == 11
