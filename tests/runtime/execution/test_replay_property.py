"""The replay of a history leads to the same state, for any workflow and any events.

Hypothesis writes the program. The world around it is random: open calls are answered in any order, with success or
failure, several at once; events are raised with or without a waiter; the instance is suspended.
Each turn is recorded as `runtime/instance/turn.py` does, in the disk's format.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure import App, FailureDetails, NondeterminismError, Status
from perdure.actors.turn import ReminderDue
from perdure.runtime.execution.drive import ContinuedAsNew, Execution
from perdure.runtime.execution.replay import replay
from perdure.runtime.history.event import (
    Arrival,
    ChildCompleted,
    ChildFailed,
    Command,
    EventRaised,
    ExecutionStarted,
    ExecutionSuspended,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from perdure.runtime.history.open_waits import OpenWaits
from perdure.runtime.history.open_work import OpenWork
from perdure.runtime.history.row import Row, RowPacker, split, unpack_row
from perdure.runtime.instance.message import (
    ActivityDone,
    ChildDone,
    ChildStarted,
    Continue,
    RaiseEvent,
    Resume,
    Start,
    Suspend,
    Terminate,
    Withdraw,
)
from perdure.runtime.instance.offer import Offer

from ...support.examples import examples
from ...support.workflows.lone_actor import LoneActor
from ...support.workflows.lone_execution import ENCODER, START_US, app_of
from ...support.workflows.random_programs import Block, programs, programs_that_begin_again, workflow_of

TURNS_MAX = 16
SUSPENDED = 0.08  # how often
PACKER = RowPacker()
FAILURE = FailureDetails(error_type="ValueError", message="no")
FINAL = FailureDetails(error_type="Final", message="never")


def outside(execution: Execution) -> dict[str, Any]:
    """The state of an execution that affects its future, except for the place in the user's code."""
    pending = execution._pending
    return {
        "outcome": execution.outcome,
        "custom status": execution.custom_status,
        "execution": (execution.execution_id, execution.parent_id, execution.now_us),
        "calls": {event_id: (call.attempt, call.reference) for event_id, call in pending.calls.items()},
        "timers": sorted(pending._timers),
        "waits": {name: [wait.timer_id for wait in waits] for name, waits in pending.waits.items() if waits},
        "raised": list(pending._raised.values()),
        "last id": pending._last_id,
        "patches": dict(execution._patches),
        "is waiting": execution._waiting is not None,
    }


@dataclass
class Step:
    """One row, and the state of the execution after it."""

    row: Row
    commands: list[Command]
    cancelled: list[int]
    after: dict[str, Any]


class World:
    """Runs a program live against random events.

    Args:
        chance: A source of random numbers, with a seed. Not hypothesis itself,
            which prefers simple numbers so much that nearly all runs would be
            over in two turns.
    """

    def __init__(self, app: App, chance: Random) -> None:
        self.definition = app.workflows["w"]
        self.chance = chance
        self.execution = Execution(self.definition, ENCODER, instance_id="i")
        self.work = OpenWork()
        self.now_us = START_US
        self.held: list[Arrival] = []
        self.steps: list[Step] = []
        self.began_again: tuple[list[Arrival], ContinuedAsNew] | None = None

    def live(self) -> None:
        arrivals: list[Arrival] = [ExecutionStarted("w", None, "x1")]
        while True:
            arrivals += self.happenings(0 if len(self.steps) == 0 else 1)
            if self.chance.random() < SUSPENDED:
                self.hold(arrivals)
            else:
                self.turn(arrivals)
            if self.execution.outcome is not None or len(self.steps) >= TURNS_MAX:
                return
            arrivals = []

    def turn(self, arrived: list[Arrival]) -> None:
        """Take a turn, as `runtime/instance/native.py` does."""
        behind: list[Arrival] = []
        if self.chance.random() < SUSPENDED:
            # A later message of the same batch suspends the instance, and messages behind it are not fed.
            behind = [ExecutionSuspended(None), *self.happenings(0)]
        commands, _ = self.execution.feed([*self.held, *arrived], self.now_us)
        outcome = self.execution.outcome
        if isinstance(outcome, ContinuedAsNew):
            # This turn leaves no row: the next generation begins a new history.
            self.began_again = ([*self.held, *arrived], outcome)
            return
        for command in commands:
            self.work.apply(command)
        cancelled = list(self.execution.cancelled_timers)
        self.execution.cancelled_timers.clear()
        for timer_id in cancelled:
            self.work.timers.pop(timer_id, None)
        self.record([*arrived, *commands], behind, commands, cancelled)
        self.held = behind

    def hold(self, arrived: list[Arrival]) -> None:
        """Keep arrivals for later, as while the instance is suspended."""
        self.held += arrived
        self.record(None, arrived, [], [])

    def record(
        self, turn: list[Any] | None, held: list[Arrival], commands: list[Command], cancelled: list[int]
    ) -> None:
        row = unpack_row(PACKER.pack(self.now_us, turn, held))
        self.steps.append(Step(row, commands, cancelled, outside(self.execution)))

    def happenings(self, at_least: int) -> list[Arrival]:
        """The events until the next turn; an answered entry is not open any more (`TurnSheet.arrive`)."""
        events: list[Arrival] = []
        self.now_us += self.chance.choice([1, 1_000, 3_000_000])
        for _ in range(self.chance.randint(at_least, 3)):
            event = self.happening()
            self.work.apply(event)
            events.append(event)
        return events

    def happening(self) -> Arrival:
        work, choice = self.work, self.chance.choice
        number = len(self.steps)
        # Each kind is equally likely, for any number of open entries.
        kinds: list[list[Arrival]] = [
            [EventRaised(name, f'"{name}{number}"') for name in ("e", "E", "f", "nobody")],
            [done for task in work.tasks for done in ends(TaskCompleted, TaskFailed, task)],
            [
                done
                for child in work.children
                for done in (*ends(ChildCompleted, ChildFailed, child), ChildFailed(child, None))
            ],
            [TimerFired(timer_id, due_us) for timer_id, due_us in work.timers.items()],
        ]
        event = choice(choice([kind for kind in kinds if kind]))
        if isinstance(event, TimerFired):
            # It never fires early.
            self.now_us = max(self.now_us, event.fire_at_us)
        return event


def ends(completed: Any, failed: Any, task_id: int) -> list[Any]:
    """The end of a task: usually success; else a failure that may be tried again, or one that may not."""
    return [
        *[completed(task_id, f'"task {task_id}"')] * 4,
        failed(task_id, FAILURE.pack()),
        failed(task_id, FINAL.pack()),
    ]


def replayed(app: App, rows: Sequence[Row]) -> tuple[Execution, list[Arrival]]:
    return replay(app.workflows["w"], ENCODER, instance_id="i", rows=rows)


seeds = st.integers(0, 2**32)
thorough = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@settings(thorough, max_examples=examples(300))
@given(programs, st.booleans(), seeds)
def test_a_replay_of_any_length_stands_where_the_original_stood_and_goes_on_as_it_did(
    program: Block, by_yield: bool, seed: int
) -> None:
    # Given a run of a program, recorded,
    app = app_of(workflow_of(program, by_yield=by_yield), "w")
    world = World(app, Random(seed))
    world.live()
    steps = world.steps
    rows = [step.row for step in steps]
    for length in range(len(rows) + 1):
        # when it is replayed up to any row,
        execution, held = replayed(app, rows[:length])
        # then it has the state of the original at that row,
        if length > 0:
            assert outside(execution) == steps[length - 1].after
        assert execution.cancelled_timers == []
        assert not execution.replaying
        # and with the later events it makes the same requests and ends in the same way.
        for step in steps[length:]:
            if step.row.turn is None:
                held = [*held, *step.row.held]  # type: ignore[list-item]
                continue
            arrived, _ = split(step.row.turn)
            commands, _ = execution.feed([*held, *arrived], step.row.at_us)
            held = list(step.row.held)  # type: ignore[arg-type]
            assert commands == step.commands
            assert execution.cancelled_timers == step.cancelled
            execution.cancelled_timers.clear()
            assert outside(execution) == step.after
        execution.close()


@settings(thorough, max_examples=examples(150))
@given(programs_that_begin_again, st.booleans(), seeds)
def test_a_generation_that_is_replayed_begins_again_with_the_same_input_and_the_same_events(
    program: Block, by_yield: bool, seed: int
) -> None:
    app = app_of(workflow_of(program, by_yield=by_yield), "w")
    world = World(app, Random(seed))
    world.live()
    if world.began_again is not None:
        fed, outcome = world.began_again
        again, held = replayed(app, [step.row for step in world.steps])
        assert held == fed[: len(held)]
        again.feed(fed, world.now_us)
        assert again.outcome == outcome


@settings(thorough, max_examples=examples(150))
@given(programs, programs, seeds)
def test_a_history_of_other_code_fits_or_is_a_difference_and_is_nothing_else(
    program: Block, other: Block, seed: int
) -> None:
    # Given the history of one program,
    world = World(app_of(workflow_of(program, by_yield=False), "w"), Random(seed))
    world.live()
    # when another program is replayed on it,
    found = parting(app_of(workflow_of(other, by_yield=False), "w"), [step.row for step in world.steps])
    # then either they differ and the error says where,
    if isinstance(found, NondeterminismError):
        assert found.recorded != found.asked
    # or both made the same requests.
    else:
        assert sorted(found._pending.calls) == sorted(world.execution._pending.calls)
        assert (found.outcome is None) == (world.execution.outcome is None)


def parting(app: App, rows: Sequence[Row]) -> Execution | NondeterminismError:
    try:
        return replayed(app, rows)[0]
    except NondeterminismError as difference:
        return difference


# The same through the actor: with suspension, termination, generations, and all sent messages.


class Twins:
    """Two actors that get the same messages: one stays in memory, one is rebuilt from its rows before each turn."""

    def __init__(self, app: App, chance: Random) -> None:
        self.chance = chance
        self.actors = [LoneActor(app), LoneActor(app, forgetful=True)]
        self.continues = 0  # messages to itself that are on their way

    def send(self, *bodies: Any) -> None:
        before = len(self.actors[0].messages)
        answers = [repr(actor.send(*bodies)) for actor in self.actors]
        assert answers[0] == answers[1]
        one, other = self.actors
        assert one.entries == other.entries
        assert one.record == other.record
        assert one.reminders == other.reminders
        assert one.actor.open.timers == other.actor.open.timers
        assert one.actor.open.waits == other.actor.open.waits
        code = one.actor.execution
        if code is not None and not one.actor.held:
            # The rows list the events that the code waits for.
            told = [(wait.name, wait.event_id) for wait in OpenWaits.of(one.rows).waits]
            waited_for = [(wait.name, wait.timer_id) for same in code.waits.values() for wait in same]
            assert sorted(told, key=repr) == sorted(waited_for, key=repr)
        assert sent(one) == sent(other)
        # The actor in memory also takes back an activity that a repair requested again, if its answer came meanwhile.
        assert not taken_back(other) - taken_back(one)
        self.continues += sum(isinstance(body, Continue) for _, body in one.messages[before:])

    def live(self) -> None:
        self.send(Start("w", None, "x1"), *self.messages(0))
        for _ in range(2 * TURNS_MAX):
            if self.actors[0].state.status.terminal:
                return
            self.send(*self.messages(1))

    def messages(self, at_least: int) -> list[Any]:
        if self.continues and self.chance.random() < 0.7:
            self.continues -= 1
            return [Continue()]
        for actor in self.actors:
            actor.now_us += 2_000_000
        return [self.message() for _ in range(self.chance.randint(at_least, 3))]

    def message(self) -> Any:
        actor, choice = self.actors[0], self.chance.choice
        if self.chance.random() < 0.02:
            return Terminate('"stop"', True)
        if self.chance.random() < SUSPENDED:
            return choice([Suspend(None), Resume(None)])
        kinds: list[list[Any]] = [[RaiseEvent(name, f'"{len(actor.entries)}"') for name in ("e", "E", "f")]]
        if actor.record is not None:
            execution_id, work = actor.execution_id, actor.actor.open
            kinds.append([done for task in work.tasks for done in ends_of_a_task(execution_id, task)])
            kinds.append([done for child in work.children for done in ends_of_a_child(execution_id, child)])
        kinds.append([ReminderDue(*reminder) for reminder in sorted(actor.reminders)])
        message = choice(choice(list(filter(None, kinds))))
        if isinstance(message, ReminderDue):
            for twin in self.actors:
                twin.now_us = max(twin.now_us, message.due_us)
        if actor.record is not None and actor.status is Status.SUSPENDED and self.chance.random() < 0.5:
            return Resume(None)
        return message


def sent(actor: LoneActor) -> list[Any]:
    """The messages of an actor except withdrawals and offers of turns, each of which is a separate object."""
    return [
        message
        for message in actor.messages
        if not isinstance(message[1], Offer) and not (isinstance(message[1], Withdraw) and not message[1].ended)
    ]


def taken_back(actor: LoneActor) -> Counter[Withdraw]:
    """The activities that an actor has taken back without having ended."""
    return Counter(body for _, body in actor.messages if isinstance(body, Withdraw) and not body.ended)


def ends_of_a_task(execution_id: str, task_id: int) -> list[Any]:
    return [
        ActivityDone(execution_id, task_id, f'"task {task_id}"', None),
        ActivityDone(execution_id, task_id, None, FAILURE),
        ActivityDone(execution_id, task_id, None, FINAL),
        ActivityDone("another execution", task_id, None, None),
    ]


def ends_of_a_child(execution_id: str, task_id: int) -> list[Any]:
    return [
        ChildStarted(execution_id, task_id),
        ChildDone(execution_id, task_id, Status.COMPLETED.value, '"child"', None),
        ChildDone(execution_id, task_id, Status.FAILED.value, None, FAILURE),
        ChildDone(execution_id, task_id, Status.TERMINATED.value, None, None),
    ]


@pytest.mark.parametrize("by_yield", [False, True], ids=["await", "yield"])
@settings(thorough, max_examples=examples(200))
@given(program=programs_that_begin_again | programs, seed=seeds)
def test_an_instance_that_is_evicted_before_each_turn_leaves_the_same_rows_and_sends_the_same(
    by_yield: bool, program: Block, seed: int
) -> None:
    Twins(app_of(workflow_of(program, by_yield=by_yield), "w"), Random(seed)).live()
