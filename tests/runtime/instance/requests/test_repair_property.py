"""After any repair at any time the history replays to the same state, live and after a restart.

This holds for the app's own code and for a worker's.

The programs and the world are those of `tests/runtime/execution/test_replay_property.py`. A repair answers an open
entry, fires a timer early, or names an entry that cannot be repaired.
"""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure import App, Status
from perdure.runtime.execution.drive import ContinuedAsNew, Execution
from perdure.runtime.history.attribution import By
from perdure.runtime.history.event import Arrival, ExecutionCompleted, ExecutionStalled, PatchesApplied
from perdure.runtime.history.open_work import OpenWork
from perdure.runtime.history.row import split
from perdure.runtime.history.timed_event import TimedEvent, TurnStarted
from perdure.runtime.instance.message import (
    RemoteAnswer,
    Repair,
    RepairAction,
    Start,
    WorkflowAnswer,
    WorkflowTurnWork,
)
from perdure.runtime.instance.offer import Offer

from ....support.examples import examples
from ....support.workflows.lone_actor import LoneActor
from ....support.workflows.lone_execution import ENCODER, app_of
from ....support.workflows.random_programs import Block, programs, programs_that_begin_again, workflow_of
from ...execution.test_replay_property import FAILURE, FINAL, TURNS_MAX, Twins, thorough

ADA = By("ada", "api")
REPAIRS = 0.5  # how often a message is a repair
seeds = st.integers(0, 2**32)


class RepairedTwins(Twins):
    """Two actors that get the same messages, among them repairs."""

    def __init__(self, app: App | None, chance: Random) -> None:
        super().__init__(app, chance)  # type: ignore[arg-type]  # None: the code is with a worker

    def message(self) -> Any:
        actor = self.actors[0]
        if actor.record is None or self.chance.random() > REPAIRS:
            return super().message()
        work = actor.actor.open
        ids = [*work.tasks, *work.children, *work.timers, self.chance.randint(-1, work.last_id + 1)]
        return Repair(
            self.chance.choice(list(RepairAction)),
            self.chance.choice(ids),
            result='"by hand"',
            failure=self.chance.choice([FAILURE, FINAL]),
            by=ADA,
        )

    def send(self, *bodies: Any) -> None:
        super().send(*bodies)
        one, other = self.actors
        assert one.audit == other.audit
        if one.actor.record is not None and one.actor.record.remote and not one.status.terminal:
            # The open entries in memory are those of the history.
            assert OpenWork.of(one.rows, remote=True) == one.actor.open
        named = [repair for event in one.history if (repair := getattr(event, "repair", None)) is not None]
        assert len(set(named)) == len(named)
        assert set(named) <= {entry.id for entry in one.audit}


@pytest.mark.parametrize("by_yield", [False, True], ids=["await", "yield"])
@settings(thorough, max_examples=examples(60))
@given(program=programs_that_begin_again | programs, seed=seeds)
def test_a_repaired_instance_that_is_rebuilt_before_each_turn_leaves_the_same_rows_and_sends_the_same(
    by_yield: bool, program: Block, seed: int
) -> None:
    RepairedTwins(app_of(workflow_of(program, by_yield=by_yield), "w"), Random(seed)).live()


# A worker that keeps nothing: it runs the program on the whole history at each turn, as SDKs do.


class WorkerTwins(RepairedTwins):
    """The same with the code of a worker. After each message the worker takes the turn that is offered."""

    def __init__(self, app: App, chance: Random) -> None:
        super().__init__(None, chance)
        self.app = app

    def send(self, *bodies: Any) -> None:
        super().send(*bodies)
        if any(isinstance(body, RemoteAnswer) for body in bodies):
            return
        taken = [actor.actor.offered.settle() if actor.actor.offered is not None else None for actor in self.actors]
        assert (taken[0] is None) == (taken[1] is None)
        if taken[0] is None or self.chance.random() < 0.2:
            return  # a worker that is slow: the turn is offered again
        # Messages may arrive while the worker has the turn.
        if self.chance.random() < 0.2:
            super().send(self.message())
        work, other_work = taken
        assert work is not None
        assert other_work is not None
        # A rebuilt instance knows the time of its last row only, and offers the same turn with that time.
        assert (work.position, work.fed) == (other_work.position, other_work.fed)
        answer = run(self.app, work)
        for actor in self.actors:
            actor.tell(RemoteAnswer(work, answer))
        one, other = self.actors
        assert (one.entries, one.record, one.reminders) == (other.entries, other.record, other.reminders)

    def live(self) -> None:
        self.send(Start("w", None, "x1"))
        for _ in range(TURNS_MAX):
            if self.actors[0].state.status.terminal:
                return
            self.send(*self.messages(1))


def run(app: App, work: WorkflowTurnWork) -> WorkflowAnswer:
    """Run the code on the history and on the new events. It must give the commands that the history has."""
    past = work.past[: work.position]
    patches = [name for timed in past if isinstance(timed.event, TurnStarted) for name in timed.event.patches]
    execution = Execution(app.workflows["w"], ENCODER, instance_id="i", patches=patches)
    asked: list[Any] = []
    commands: list[Any] = []
    for at_us, arrivals, recorded in turns_of([*past, *work.new]):
        commands, _ = execution.feed(arrivals, at_us)
        asked = [command for command in commands if not isinstance(command, PatchesApplied)]
        assert recorded is None or asked == recorded
    patches += [name for command in commands if isinstance(command, PatchesApplied) for name in command.names]
    continued = execution.outcome if isinstance(execution.outcome, ContinuedAsNew) else None
    execution.close()
    return WorkflowAnswer("i", "", tuple(asked), continued, execution.custom_status, tuple(dict.fromkeys(patches)))


def turns_of(events: Sequence[TimedEvent]) -> list[tuple[int, list[Arrival], list[Any] | None]]:
    """Split a history into turns: the time of each, its fed events, and its requests (None: the turn is new)."""
    turns: list[tuple[int, list[Arrival], list[Any] | None]] = []
    for timed in events:
        if isinstance(timed.event, TurnStarted):
            turns.append((timed.at_us, [], []))
        elif isinstance(timed.event, ExecutionStalled):
            continue
        else:
            arrivals, commands = split([timed.event])
            turns[-1][1].extend(arrivals)
            asked = turns[-1][2]
            assert asked is not None
            asked.extend(commands)
    at_us, arrivals, _ = turns[-1]
    turns[-1] = (at_us, arrivals, None)
    return turns


@settings(thorough, max_examples=examples(60))
@given(program=programs, seed=seeds)
def test_a_repaired_instance_of_a_worker_fits_its_history_at_each_turn(program: Block, seed: int) -> None:
    WorkerTwins(app_of(workflow_of(program, by_yield=False), "w"), Random(seed)).live()


def test_the_worker_of_this_test_can_end_an_instance() -> None:
    lone = LoneActor(None)
    lone.start("w")
    work = lone.sent(Offer)[-1][1].settle()
    assert work is not None
    done = ExecutionCompleted(1, Status.COMPLETED.value, "[]")
    lone.tell(RemoteAnswer(work, WorkflowAnswer("i", "", (done,))))
    assert lone.status is Status.COMPLETED
