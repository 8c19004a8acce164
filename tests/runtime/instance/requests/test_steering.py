"""Requests of callers: each change has one row in the audit, and a request for another run or another state changes
nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from perdure import Status
from perdure.actors.turn import RECOVER, SetAside
from perdure.runtime.errors import InstanceStalled, InstanceUnfinished, NoMatch, RunChanged
from perdure.runtime.history.attribution import By
from perdure.runtime.instance.condition import Condition, of_run
from perdure.runtime.instance.message import Check, Purge, ReleaseAside, Resume, Start, Suspend, Terminate

from ....support.workflows.lone_actor import LoneActor
from ....support.workflows.turn_app import PARENT, other_app

ADA = By("ada", "api", "a bad release", "op-1")
POISON = SetAside("poison")


def running(lone: LoneActor) -> None:
    lone.start("steps")


def suspended(lone: LoneActor) -> None:
    lone.start("steps")
    lone.suspend()


def finished(lone: LoneActor) -> None:
    lone.start("broken")


def waiting_to_start(lone: LoneActor) -> None:
    lone.start("steps", start_at_us=lone.now_us + 60_000_000)


def stalled(lone: LoneActor) -> None:
    lone.start("steps")
    lone.restart(other_app())
    lone.done(1, "1")
    assert lone.status is Status.STALLED


def aside(lone: LoneActor) -> None:
    lone.start("steps")
    lone.tell(POISON)
    lone.audit.clear()


def suspend(by: By | None = ADA, condition: Condition = Condition()) -> Any:  # noqa: B008
    return Suspend("why", by, condition)


def resume(by: By | None = ADA, condition: Condition = Condition()) -> Any:  # noqa: B008
    return Resume("why", by, condition)


def terminate(by: By | None = ADA, condition: Condition = Condition()) -> Any:  # noqa: B008
    return Terminate('"out"', recurse=True, by=by, condition=condition, stalled_too=True)


def purge(by: By | None = ADA, condition: Condition = Condition()) -> Any:  # noqa: B008
    return Purge(force=False, by=by, condition=condition, stalled_too=True)


def purge_by_force(by: By | None = ADA, condition: Condition = Condition()) -> Any:  # noqa: B008
    return Purge(force=True, by=by, condition=condition)


def release(by: By | None = ADA, condition: Condition = Condition()) -> Any:  # noqa: B008
    return ReleaseAside(by=by, condition=condition)


CHANGES: list[tuple[Callable[[LoneActor], None], Callable[..., Any], str]] = [
    (running, suspend, "suspend"),
    (waiting_to_start, suspend, "suspend"),
    (suspended, resume, "resume"),
    *((reach, terminate, "terminate") for reach in (running, suspended, waiting_to_start, stalled, aside)),
    *((reach, purge, "purge") for reach in (finished, stalled, aside)),
    *((reach, purge_by_force, "purge") for reach in (running, suspended, stalled)),
    (aside, release, "release"),
]
each_change = pytest.mark.parametrize(
    ("reach", "request_", "action"), CHANGES, ids=[f"{r.__name__} {c.__name__}" for r, c, _ in CHANGES]
)


@each_change
def test_a_change_has_one_row_that_says_who_and_why(
    actor: LoneActor, reach: Callable[[LoneActor], None], request_: Callable[..., Any], action: str
) -> None:
    reach(actor)
    execution_id = actor.execution_id
    assert actor.send(request_()) is None
    (row,) = actor.audit
    assert (row.actor, row.door, row.reason, row.operation) == ("ada", "api", "a bad release", "op-1")
    assert (row.action, row.instance_id, row.execution_id, row.at_us) == (action, "i", execution_id, actor.now_us)


@each_change
def test_a_change_by_the_engine_itself_has_no_row(
    actor: LoneActor, reach: Callable[[LoneActor], None], request_: Callable[..., Any], action: str
) -> None:
    reach(actor)
    before = actor.record
    assert actor.send(request_(None)) is None
    assert actor.record != before, "it is changed all the same"
    assert actor.audit == []


UNCHANGED: list[tuple[Callable[[LoneActor], None], Callable[..., Any], type | str]] = [
    (suspended, suspend, "SUSPENDED"),
    (running, resume, "RUNNING"),
    (waiting_to_start, resume, "PENDING"),
    (stalled, suspend, InstanceStalled),
    (stalled, resume, InstanceStalled),
    (aside, suspend, InstanceStalled),
    (aside, resume, InstanceStalled),
    (running, purge, InstanceUnfinished),
    *((finished, request, "FAILED") for request in (suspend, resume, terminate)),
]


@pytest.mark.parametrize(
    ("reach", "request_", "answer"), UNCHANGED, ids=[f"{r.__name__} {c.__name__}" for r, c, _ in UNCHANGED]
)
def test_a_request_that_changes_nothing_has_no_row(
    actor: LoneActor, reach: Callable[[LoneActor], None], request_: Callable[..., Any], answer: type | str
) -> None:
    reach(actor)
    before = (actor.record, list(actor.entries))
    found = actor.send(request_())
    assert found == answer if isinstance(answer, str) else isinstance(found, answer)
    assert (actor.record, actor.entries) == before
    assert actor.audit == []


def test_of_two_terminations_in_one_turn_the_second_finds_the_instance_ended(actor: LoneActor) -> None:
    running(actor)
    assert actor.send(terminate(), terminate()._replace(output='"later"')) == "TERMINATED"
    assert [row.action for row in actor.audit] == ["terminate"]
    assert (actor.status, actor.state.output) == (Status.TERMINATED, '"out"')


@each_change
def test_a_request_for_another_run_is_refused_and_changes_nothing(
    actor: LoneActor, reach: Callable[[LoneActor], None], request_: Callable[..., Any], action: str
) -> None:
    reach(actor)
    before = (actor.record, list(actor.entries), set(actor.reminders))
    answer = actor.send(request_(condition=of_run("x0")))
    assert isinstance(answer, RunChanged)
    assert (answer.instance_id, answer.expected, answer.found) == ("i", ("x0",), "x1")
    assert (actor.record, actor.entries, actor.reminders) == before
    assert actor.audit == []
    assert actor.send(request_(condition=of_run("x1"))) is None


def test_a_run_is_the_same_over_all_its_generations(actor: LoneActor) -> None:
    actor.start("counting", "0")
    actor.raise_event("tick")
    assert actor.execution_id != "x1"
    assert isinstance(actor.send(Check(of_run(actor.execution_id))), RunChanged)
    assert actor.send(Check(of_run("x1"))) is None


@pytest.mark.parametrize(
    ("reach", "stuck"),
    [(running, True), (stalled, True), (aside, True), (suspended, False), (finished, False), (waiting_to_start, False)],
)
def test_stuck_is_what_is_stalled_or_aside_or_waits_for_an_activity(
    actor: LoneActor, reach: Callable[[LoneActor], None], stuck: bool
) -> None:
    reach(actor)
    answer = actor.send(Check(Condition(stuck_since_us=actor.now_us)))
    assert answer is None if stuck else isinstance(answer, NoMatch)


def test_an_activity_is_not_stuck_if_the_instance_has_had_a_turn_since(actor: LoneActor) -> None:
    actor.start("steps")
    began_us = actor.now_us
    actor.done(1, "1")
    assert isinstance(actor.send(Check(Condition(stuck_since_us=began_us))), NoMatch)
    assert actor.send(Check(Condition(stuck_since_us=actor.now_us))) is None


def test_in_one_turn_two_changes_have_rows_of_their_own(actor: LoneActor) -> None:
    actor.start("steps")
    actor.send(suspend(), resume(), terminate())
    assert [row.action for row in actor.audit] == ["suspend", "resume", "terminate"]
    assert len({row.id for row in actor.audit}) == 3


def test_the_row_of_a_purge_outlives_a_start_in_the_same_turn(actor: LoneActor) -> None:
    actor.start("broken")
    actor.send(purge())
    assert actor.record is None
    assert [row.action for row in actor.audit] == ["purge"]


def test_a_parents_termination_reaches_a_stalled_child_and_has_no_row(actor: LoneActor) -> None:
    actor.start("steps", parent=PARENT)
    actor.restart(other_app())
    actor.done(1, "1")
    assert actor.status is Status.STALLED
    actor.tell(Terminate(None, recurse=True, parent=PARENT))
    assert actor.status is Status.TERMINATED
    assert actor.audit == []


def test_dapr_doors_are_refused_by_a_stalled_instance(actor: LoneActor) -> None:
    stalled(actor)
    assert isinstance(actor.terminate(), InstanceStalled)
    assert isinstance(actor.purge(), InstanceStalled)
    assert actor.status is Status.STALLED


@pytest.mark.parametrize(
    ("message", "author"),
    [
        (SetAside("poison"), ("engine", "engine", "poison")),
        (SetAside("by request", requested=True), ("offline", "offline", "by request")),
        (SetAside("our turn broke", until_restart=True), None),
    ],
)
def test_what_a_person_has_to_undo_is_in_the_audit(actor: LoneActor, message: SetAside, author: Any) -> None:
    actor.start("steps")
    actor.tell(message)
    actor.tell(message)
    rows = [(row.actor, row.door, row.reason) for row in actor.audit if row.action == "set-aside"]
    assert rows == ([author] if author is not None else [])


def test_one_that_is_set_aside_as_it_begins_is_in_the_audit(actor: LoneActor) -> None:
    actor.tell(POISON)
    assert actor.audit == []
    actor.send(POISON, Start("steps", None, "x1"))
    assert [row.action for row in actor.audit] == ["set-aside"]


def test_recovery_has_no_row(actor: LoneActor) -> None:
    actor.start("steps")
    actor.send(RECOVER)
    assert actor.audit == []
