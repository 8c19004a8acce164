"""Requests of code arrive unchanged at another host, which refuses requests that code cannot make."""

import pytest

from perdure.runtime.execution.crossing import commands_of, pack_continued, unpack_continued
from perdure.runtime.execution.drive import ContinuedAsNew
from perdure.runtime.history.event import Command, EventRaised, TaskCompleted, TaskScheduled, TimerCreated
from perdure.runtime.history.row import CorruptHistory, RowPacker


@pytest.mark.parametrize(
    "continued",
    [None, ContinuedAsNew(None, []), ContinuedAsNew("7", [EventRaised("e", "1"), EventRaised("f", None)])],
)
def test_the_end_of_a_generation_is_the_same_there(continued: ContinuedAsNew | None) -> None:
    assert unpack_continued(pack_continued(continued)) == continued


def test_a_generation_carries_over_events_from_outside_and_nothing_else() -> None:
    row = RowPacker().pack(0, None, [EventRaised("e", "1"), TaskCompleted(1, None)])
    with pytest.raises(CorruptHistory, match="cannot carry over TaskCompleted"):
        unpack_continued(("7", row))


def test_code_asks_for_commands_and_never_for_arrivals() -> None:
    commands: list[Command] = [TaskScheduled(1, "a", "1", "k"), TimerCreated(2, 5)]
    assert commands_of(commands) == commands
    assert commands_of(None) == []
    with pytest.raises(CorruptHistory, match="cannot ask for TaskCompleted"):
        commands_of([*commands, TaskCompleted(1, None)])
