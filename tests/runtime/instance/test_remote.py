"""An instance whose code is with a remote worker: the same actor, with the execution on the other side of a wire."""

from dataclasses import replace
from typing import Any

import pytest

from perdure import FailureDetails, Status
from perdure.actors.address import Address
from perdure.runtime.execution.drive import ContinuedAsNew
from perdure.runtime.history.event import (
    ChildCreated,
    EventRaised,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionSuspended,
    TaskCompleted,
    TaskScheduled,
    TimerCreated,
    TimerOrigin,
)
from perdure.runtime.history.failure import CHILD_CALL, FailedCall
from perdure.runtime.history.timed_event import TurnStarted
from perdure.runtime.history.timeline import Timeline
from perdure.runtime.instance.message import (
    ActivityDone,
    ChildDone,
    Invoke,
    RemoteAnswer,
    Stalled,
    Start,
    Terminate,
    TryAgain,
    Withdraw,
    WorkflowAnswer,
    WorkflowTurnWork,
)
from perdure.runtime.instance.offer import Offer

from ...support.workflows.lone_actor import LoneActor

NEVER_US = 253_402_300_799_999_999


@pytest.fixture(params=[False, True], ids=["in memory", "rebuilt"])
def actor(request: pytest.FixtureRequest) -> LoneActor:
    return LoneActor(None, forgetful=request.param)


def offers(actor: LoneActor) -> list[Offer]:
    """The offers that were made, each once."""
    return list(dict.fromkeys(body for _, body in actor.sent(Offer)))


def offered(actor: LoneActor) -> WorkflowTurnWork:
    """The item of a worker that takes the turn offered last."""
    work = offers(actor)[-1].settle()
    assert work is not None
    return work


def answer(actor: LoneActor, *commands: Any, work: WorkflowTurnWork | None = None, **more: Any) -> None:
    actor.tell(RemoteAnswer(work or offered(actor), WorkflowAnswer("i", "", commands, **more)))


def kinds(events: Any) -> list[type]:
    return [type(timed.event) for timed in events]


def test_a_start_without_code_here_is_given_to_a_worker_and_pending_until_it_answers(actor: LoneActor) -> None:
    actor.start("w", "1")
    assert actor.status is Status.PENDING
    work = offered(actor)
    assert (work.position, list(work.past[: work.position])) == (0, [])
    assert kinds(work.new) == [TurnStarted, ExecutionStarted]
    answer(actor, TaskScheduled(1, "a", None, "k"), custom_status="half")
    assert actor.status is Status.RUNNING
    assert actor.state.custom_status == "half"
    assert actor.invoked == ["a"]


def test_a_whole_life_has_the_canonical_history(actor: LoneActor) -> None:
    actor.start("w")
    answer(actor, TaskScheduled(1, "a", None, "k"))
    actor.done(1, '"x"')
    work = offered(actor)
    assert kinds(work.past[: work.position]) == [TurnStarted, ExecutionStarted, TaskScheduled]
    assert kinds(work.new) == [TurnStarted, TaskCompleted]
    answer(actor, ExecutionCompleted(2, 1, '"end"'))
    assert (actor.status, actor.state.output) == (Status.COMPLETED, '"end"')
    assert kinds(Timeline.of(actor.rows).events) == [
        *(TurnStarted, ExecutionStarted, TaskScheduled),
        *(TurnStarted, TaskCompleted, ExecutionCompleted),
    ]


def test_what_arrives_while_a_worker_has_the_turn_comes_with_the_next(actor: LoneActor) -> None:
    actor.start("w")
    first = offered(actor)
    actor.raise_event("e", "1")
    answer(actor, work=first)
    work = offered(actor)
    assert kinds(work.new) == [TurnStarted, EventRaised]
    assert work.position == 2


def test_a_late_answer_without_a_token_that_asks_for_what_was_asked_for_is_void(actor: LoneActor) -> None:
    # Given an instance whose first turn was given out twice, and answered once,
    actor.start("w")
    late = TaskScheduled(1, "a", None, "k")
    answer(actor, late)
    actor.done(1, '"x"')
    before = list(actor.entries)
    # when the other answer comes and, without a token, counts as one to the present turn,
    answer(actor, late)
    # then it is void, and the turn is asked for again.
    assert actor.entries == before
    answer(actor, ExecutionCompleted(2, 1, '"end"'))
    assert actor.status is Status.COMPLETED


@pytest.mark.parametrize("first_id", [0, 1])
def test_a_worker_without_tokens_numbers_what_it_asks_for_from_0_or_1(actor: LoneActor, first_id: int) -> None:
    actor.start("w")
    for number in range(first_id, first_id + 3):
        answer(actor, TaskScheduled(number, "a", None, "k"))
        actor.done(number, '"x"')
    answer(actor, ExecutionCompleted(first_id + 3, 1, '"end"'))
    assert actor.status is Status.COMPLETED


def test_an_answer_to_an_earlier_state_is_void(actor: LoneActor) -> None:
    actor.start("w")
    first = offered(actor)
    answer(actor, TaskScheduled(1, "a", None, "k"))
    before = list(actor.entries)
    answer(actor, TaskScheduled(1, "a", None, "k"), work=first)
    assert actor.entries == before


def test_an_answer_to_events_that_did_not_become_durable_is_void(actor: LoneActor) -> None:
    actor.start("w")
    answer(actor)
    before = list(actor.entries)
    actor.raise_event("lost")
    void = offered(actor)
    actor.entries = before  # its commit failed
    actor.evict()
    actor.raise_event("kept")
    rows = len(actor.entries)
    answer(actor, ExecutionCompleted(1, Status.COMPLETED.value, "1"), work=void)
    assert (actor.status, len(actor.entries)) == (Status.RUNNING, rows)
    assert kinds(offered(actor).new) == [TurnStarted, EventRaised]
    answer(actor, ExecutionCompleted(1, Status.COMPLETED.value, "1"))
    assert actor.status is Status.COMPLETED


def test_an_answer_counts_for_an_actor_that_was_built_again_and_holds_the_same(actor: LoneActor) -> None:
    actor.start("w")
    work = offered(actor)
    actor.evict()
    actor.raise_event("later")
    answer(actor, TaskScheduled(1, "a", None, "k"), work=work)
    assert actor.invoked == ["a"]
    assert kinds(offered(actor).new) == [TurnStarted, EventRaised]


def test_an_unanswered_turn_is_given_again_after_a_restart(actor: LoneActor) -> None:
    actor.start("w")
    assert actor.busy
    actor.restart()
    assert kinds(offered(actor).new) == [TurnStarted, ExecutionStarted]


def test_a_suspended_instance_holds_what_comes_and_shows_it_after_the_resumption(actor: LoneActor) -> None:
    actor.start("w")
    answer(actor)
    actor.suspend()
    actor.raise_event("e", "1")
    turns = len(offers(actor))
    assert turns == 1
    actor.resume()
    assert kinds(offered(actor).new) == [TurnStarted, ExecutionSuspended, ExecutionResumed, EventRaised]


def test_a_termination_needs_no_worker(actor: LoneActor) -> None:
    actor.start("w")
    actor.terminate('"bye"')
    assert (actor.status, actor.state.output) == (Status.TERMINATED, '"bye"')


def test_a_wait_without_an_end_is_recorded_and_never_armed_and_an_event_takes_back_the_oldest(actor: LoneActor) -> None:
    actor.start("w")
    answer(
        actor,
        TimerCreated(1, NEVER_US, TimerOrigin.EXTERNAL_EVENT, "Go"),
        TimerCreated(2, actor.now_us + 10_000_000, TimerOrigin.EXTERNAL_EVENT, "go"),
        TimerCreated(3, actor.now_us + 20_000_000, TimerOrigin.EXTERNAL_EVENT, "go"),
        TimerCreated(4, actor.now_us + 30_000_000),
    )
    assert {name for name, _ in actor.reminders} == {"2", "3", "4"}
    for left in ({"2", "3", "4"}, {"3", "4"}):
        actor.raise_event("GO", "1")
        answer(actor)
        assert {name for name, _ in actor.reminders} == left


def test_a_generation_begins_with_what_was_carried_over(actor: LoneActor) -> None:
    actor.start("w", "1")
    answer(actor, continued=ContinuedAsNew("2", [EventRaised("e", "1")]), custom_status="new")
    work = offered(actor)
    assert work.position == 0
    assert kinds(work.new) == [TurnStarted, ExecutionStarted, EventRaised]
    assert work.execution_id != "x1"
    assert actor.state.input == "2"
    answer(actor, ExecutionCompleted(1, 1, '"end"'))
    assert actor.status is Status.COMPLETED


def test_patches_must_stay_and_gather(actor: LoneActor) -> None:
    actor.start("w")
    answer(actor, patches=("a",))
    actor.raise_event("e")
    answer(actor, patches=("a", "b"))
    actor.raise_event("e")
    answer(actor, patches=("b",))
    assert actor.status is Status.STALLED
    assert actor.state.stall == "Patch mismatch. History patches: [a, b], current patches: [b]. "
    assert [address_id for address_id, _ in actor.sent(Stalled)] == ["i"]


def test_a_stalled_instance_goes_on_with_a_worker_whose_code_fits(actor: LoneActor) -> None:
    actor.start("w")
    answer(actor, version="v1")
    assert actor.state.version == "v1"
    actor.raise_event("e")
    answer(actor, version_missing=True)
    assert actor.state.stall == "Version not available: v1"
    actor.tell(TryAgain())
    answer(actor, ExecutionCompleted(1, 1, None), version="v1")
    assert actor.status is Status.COMPLETED


def test_a_stall_is_in_the_history_at_once_and_once_for_each(actor: LoneActor) -> None:
    def stalls() -> list[str]:
        events = [timed.event for timed in Timeline.of(actor.rows).events]
        return [event.description for event in events if isinstance(event, ExecutionStalled)]

    # Given an instance whose worker lost the version that it ran,
    actor.start("w")
    answer(actor, version="v1")
    actor.raise_event("e")
    answer(actor, version_missing=True)
    assert stalls() == ["Version not available: v1"]
    # when other workers come that do not have it either, and the host is started again,
    for _ in range(2):
        actor.tell(TryAgain())
        answer(actor, version_missing=True)
        actor.restart()
    # then that is the same stall.
    assert stalls() == ["Version not available: v1"]
    # Another reason is another stall, and so is the same reason after code that fitted.
    actor.tell(TryAgain())
    answer(actor, TaskScheduled(1, "a", None, "k"), version="v1", patches=("p",))
    actor.done(1)
    answer(actor, version_missing=True)
    actor.tell(TryAgain())
    answer(actor, version="v1")
    missing, mismatch = "Version not available: v1", "Patch mismatch. History patches: [p], current patches: []. "
    assert stalls() == [missing, missing, mismatch]
    # The history that a worker is sent has each event in its place.
    actor.tell(TryAgain())
    past = offered(actor).past
    assert kinds(past)[:4] == [TurnStarted, ExecutionStarted, ExecutionStalled, TurnStarted]


def test_an_instance_that_stalls_in_its_first_turn_has_not_started(actor: LoneActor) -> None:
    actor.start("w")
    answer(actor, version_missing=True)
    assert (actor.status, actor.state.started_us) == (Status.STALLED, None)
    actor.tell(TryAgain())
    work = offered(actor)
    answer(actor, version="v1")
    assert actor.state.started_us == work.at_us


def test_an_instance_has_started_with_the_first_turn_of_its_generation(actor: LoneActor) -> None:
    actor.start("w")
    assert actor.state.started_us is None
    first = offered(actor)
    answer(actor)
    assert actor.state.started_us == first.at_us
    actor.raise_event("e")
    answer(actor)
    assert actor.state.started_us == first.at_us
    actor.raise_event("e")
    answer(actor, continued=ContinuedAsNew(None, []))
    assert actor.state.started_us is None
    second = offered(actor)
    answer(actor, ExecutionCompleted(1, 1, None))
    assert actor.state.started_us == second.at_us


def test_each_generation_names_the_version_that_it_runs_in_all_its_turns(actor: LoneActor) -> None:
    actor.start("w")
    answer(actor, version="v1")
    for _ in range(2):
        actor.raise_event("e")
        answer(actor, version="v1")
    actor.raise_event("e")
    answer(actor, continued=ContinuedAsNew(None, []), version="v1")
    # The next generation has a new history and may run another version; a worker knows it from the history alone.
    for version in ("v1", "v1"):
        answer(actor, version=version)
        actor.raise_event("e")
    past = [timed.event for timed in offered(actor).past]
    assert [event.version for event in past if isinstance(event, TurnStarted)] == ["v1", "v1"]
    assert actor.state.version == "v1"


def test_a_child_and_its_failure_come_and_go_like_those_of_native_code(actor: LoneActor) -> None:
    actor.start("w")
    answer(actor, ChildCreated(1, "i:0001", "kid", "5"))
    [(child_id, start)] = actor.sent(Start)
    assert (child_id, start.name) == ("i:0001", "kid")
    failure = FailureDetails(error_type="E", message="m", wire=b"\x0a\x01E")
    actor.send(ChildDone(actor.execution_id, 1, Status.FAILED.value, None, failure))
    answer(actor, ExecutionCompleted(2, 3, None, failure.pack()))
    found = actor.state.failure
    assert found is not None
    assert found.call == FailedCall(kind=CHILD_CALL, name="kid", id="i:0001", attempt=1, failure=failure)
    assert replace(found, call=None) == failure


def test_an_activity_of_another_app_is_a_call_of_that_app(actor: LoneActor) -> None:
    actor.start("w")
    answer(actor, TaskScheduled(1, "a", None, "k", target_app="other"))
    [(address, call)] = [each for each in actor.messages if isinstance(each[1], Invoke)]
    assert address == Address("call@other", f"{actor.execution_id}:1")
    assert (call.name, call.instance_id, call.caller, call.call) == ("a", "i", "perdure", None)
    actor.send(ActivityDone(actor.execution_id, 1, "5", None))
    answer(actor, ExecutionCompleted(2, 1, "5"))
    assert actor.state.output == "5"


def test_a_child_of_another_app_knows_the_app_of_its_parent_and_is_ended_there(actor: LoneActor) -> None:
    actor.start("w")
    answer(actor, ChildCreated(1, "i:0001", "kid", "5", target_app="other"))
    [(address, start)] = [each for each in actor.messages if isinstance(each[1], Start)]
    assert address == Address("workflow@other", "i:0001")
    assert (start.parent_app, start.app) == ("perdure", "other")
    actor.send(Terminate(None, recurse=True))
    [(address, _)] = [each for each in actor.messages if isinstance(each[1], Terminate)]
    assert address == Address("workflow@other", "i:0001")


def test_a_call_is_withdrawn_where_it_is(actor: LoneActor) -> None:
    actor.start("w")
    answer(actor, TaskScheduled(1, "a", None, "k", target_app="other"))
    execution_id = actor.execution_id
    actor.send(Terminate(None, recurse=True))
    withdrawals = [(address, body) for address, body in actor.messages if isinstance(body, Withdraw)]
    assert (Address("call@other", f"{execution_id}:1"), Withdraw("i", execution_id, (1,), True)) in withdrawals
