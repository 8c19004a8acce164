"""Repairs: each adds an arrival that the instance could have had, and anything else is refused with what to do."""

from collections.abc import Callable
from typing import Any

import pytest

from perdure import FailureDetails, Status
from perdure.actors.turn import ReminderDue, SetAside
from perdure.runtime.errors import InstanceNotFound, RepairRefused, RunChanged
from perdure.runtime.history.attribution import By
from perdure.runtime.history.event import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    ExecutionCompleted,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TimerOrigin,
)
from perdure.runtime.instance.condition import of_run
from perdure.runtime.instance.message import (
    ActivityDone,
    Invoke,
    ReleaseAside,
    RemoteAnswer,
    Repair,
    RepairAction,
    Withdraw,
    WorkflowAnswer,
)
from perdure.runtime.instance.offer import Offer
from perdure.runtime.instance.requests.repairing import REPAIRS, Entry

from ....support.workflows.lone_actor import LoneActor
from ....support.workflows.turn_app import make_app, other_app

ADA = By("ada", "api", "the bank is down")
NEVER_US = 253_402_300_799_999_999
HOUR_US = 3_600_000_000
FAILURE = FailureDetails(error_type="ByHand", message="given up")


def repair(action: RepairAction, event_id: int, **more: Any) -> Repair:
    return Repair(action, event_id, by=ADA, **more)


def remote(actor: LoneActor, *commands: Any) -> None:
    """An instance whose code is with a worker, with one request of that code."""
    actor.start("elsewhere")
    answer(actor, *commands)


def answer(actor: LoneActor, *commands: Any) -> None:
    work = actor.sent(Offer)[-1][1].settle()
    actor.tell(RemoteAnswer(work, WorkflowAnswer("i", "", commands)))


def fail_first_try(actor: LoneActor) -> None:
    actor.start("retried")
    actor.done(1, failure=FailureDetails(error_type="E", message="m"))


def timeout_us(actor: LoneActor) -> int:
    return actor.now_us + HOUR_US


WAIT = TimerOrigin.EXTERNAL_EVENT
TASK = TaskScheduled(1, "a", None, "k")
OPEN: dict[str, tuple[Entry, int, Callable[[LoneActor], Any]]] = {
    "activity": (Entry.ACTIVITY, 1, lambda actor: actor.start("steps")),
    "child": (Entry.CHILD, 1, lambda actor: actor.start("parent")),
    "named child": (Entry.CHILD, 1, lambda actor: actor.start("parent", '"c"')),
    "between tries": (Entry.BETWEEN_TRIES, 2, fail_first_try),
    "timeout": (Entry.TIMEOUT, 1, lambda actor: actor.start("approval")),
    "timer": (Entry.TIMER, 1, lambda actor: actor.start("sleeper")),
    "start": (Entry.START, -1, lambda actor: actor.start("steps", start_at_us=timeout_us(actor))),
    "SDK's activity": (Entry.ACTIVITY, 1, lambda actor: remote(actor, TASK)),
    "SDK's child": (Entry.CHILD, 1, lambda actor: remote(actor, ChildCreated(1, "i:0001", "w", None))),
    "SDK's pause": (
        Entry.BETWEEN_TRIES,
        1,
        lambda actor: remote(actor, TimerCreated(1, timeout_us(actor), TimerOrigin.ACTIVITY_RETRY, "k")),
    ),
    "SDK's pause for a child": (
        Entry.BETWEEN_TRIES,
        1,
        lambda actor: remote(actor, TimerCreated(1, timeout_us(actor), TimerOrigin.CHILD_RETRY, "i:0001")),
    ),
    "SDK's timeout": (Entry.TIMEOUT, 1, lambda actor: remote(actor, TimerCreated(1, timeout_us(actor), WAIT, "go"))),
    "SDK's endless wait": (Entry.ENDLESS_WAIT, 1, lambda actor: remote(actor, TimerCreated(1, NEVER_US, WAIT, "go"))),
    "SDK's timer": (Entry.TIMER, 1, lambda actor: remote(actor, TimerCreated(1, timeout_us(actor)))),
    "SDK's unsaid timer": (
        Entry.TIMER,
        1,
        lambda actor: remote(actor, TimerCreated(1, timeout_us(actor), TimerOrigin.UNSAID)),
    ),
    "SDK's start": (Entry.START, -1, lambda actor: actor.start("elsewhere", start_at_us=timeout_us(actor))),
}
ALL = [(name, action) for name in OPEN for action in RepairAction]
each_open = pytest.mark.parametrize(("name", "action"), ALL, ids=[f"{action} {name}" for name, action in ALL])
ARRIVALS = {
    (RepairAction.COMPLETE, Entry.ACTIVITY): TaskCompleted(1, '"by hand"'),
    (RepairAction.COMPLETE, Entry.CHILD): ChildCompleted(1, '"by hand"'),
    (RepairAction.FAIL, Entry.ACTIVITY): TaskFailed(1, FAILURE.pack()),
    (RepairAction.FAIL, Entry.CHILD): ChildFailed(1, FAILURE.pack()),
}


@pytest.fixture(params=[False, True], ids=["in memory", "rebuilt"])
def either(request: pytest.FixtureRequest) -> Callable[[str], LoneActor]:
    """Makes an instance with an open entry: of the app's code or of a worker's."""

    def reach(name: str) -> LoneActor:
        actor = LoneActor(None if name.startswith("SDK") else make_app(), forgetful=request.param)
        OPEN[name][2](actor)
        actor.messages.clear()
        return actor

    return reach


def added(actor: LoneActor, before: int) -> list[Any]:
    """The arrivals since then."""
    arrivals = (TaskCompleted, TaskFailed, ChildCompleted, ChildFailed, TimerFired)
    return [
        event for row in actor.rows[before:] for event in (*(row.turn or ()), *row.held) if isinstance(event, arrivals)
    ]


@each_open
def test_a_repair_adds_one_arrival_that_names_the_entry_of_the_audit_or_is_refused(
    either: Callable[[str], LoneActor], name: str, action: RepairAction
) -> None:
    # Given an instance with an open entry,
    kind, event_id, _ = OPEN[name]
    actor = either(name)
    rows, reminders = len(actor.rows), set(actor.reminders)
    # when a person repairs it,
    said = actor.send(repair(action, event_id, result='"by hand"', failure=FAILURE))
    if (action, kind) not in REPAIRS:
        # then a useless repair is refused, and nothing has changed;
        assert isinstance(said, RepairRefused)
        assert (said.instance_id, said.event_id) == ("i", event_id)
        assert len(actor.rows) == rows
        assert actor.audit == []
        return
    assert said is None
    (entry,) = actor.audit
    assert (entry.action, entry.actor, entry.reason) == ("repair", "ada", "the bank is down")
    assert entry.detail == f"{action.value} {event_id}"
    arrivals = added(actor, rows)
    if (action, kind) == (RepairAction.RETRY, Entry.ACTIVITY):
        # the activity is given out again under the same key;
        assert arrivals == []
        ((_, invoke),) = actor.sent(Invoke)
        assert (invoke.task_id, invoke.again) == (1, True)
        return
    # the arrival is there once, and the timer's reminder is gone in the same commit.
    (arrival,) = arrivals
    assert arrival.repair == entry.id
    if isinstance(arrival, TimerFired):
        assert {str(event_id)} == {reminder[0] for reminder in reminders - actor.reminders}
        assert arrival == TimerFired(
            event_id, next(due for named, due in reminders if named == str(event_id)), None, entry.id
        )
    else:
        assert arrival._replace(repair=None) == ARRIVALS[action, kind]
    assert kind is not Entry.ACTIVITY or [body.task_ids for _, body in actor.sent(Withdraw)] == [(1,)]
    # Another repair of the same entry finds it answered.
    again = actor.send(repair(action, event_id, result="1"))
    assert isinstance(again, RepairRefused)


@pytest.mark.parametrize(
    ("name", "action", "output"),
    [
        ("activity", RepairAction.COMPLETE, None),
        ("child", RepairAction.COMPLETE, '"by hand"'),
        ("child", RepairAction.FAIL, '"ByHand: given up"'),
        ("timeout", RepairAction.FIRE, '"too late"'),
        ("timer", RepairAction.FIRE, '"awake"'),
    ],
)
def test_the_code_goes_on_with_what_it_was_given(
    either: Callable[[str], LoneActor], name: str, action: RepairAction, output: str | None
) -> None:
    actor = either(name)
    assert actor.send(repair(action, OPEN[name][1], result='"by hand"', failure=FAILURE)) is None
    assert actor.invoked == ["b"] if output is None else actor.state.output == output
    actor.restart()
    assert actor.status is (Status.RUNNING if output is None else Status.COMPLETED)


def test_a_retry_begins_the_next_try_at_once(either: Callable[[str], LoneActor]) -> None:
    actor = either("between tries")
    assert actor.send(repair(RepairAction.RETRY, 2)) is None
    ((_, invoke),) = actor.sent(Invoke)
    assert (invoke.task_id, invoke.again) == (3, False)
    actor.done(3, '"second"')
    assert actor.state.output == '"second"'


def test_a_failure_by_hand_is_tried_again_as_the_policy_says(actor: LoneActor) -> None:
    actor.start("retried")
    assert actor.send(repair(RepairAction.FAIL, 1, failure=FAILURE)) is None
    assert [name for name, _ in actor.reminders] == ["2"]
    actor.restart()
    final = FailureDetails(error_type="E", message="m", non_retriable=True)
    actor.fire()
    assert actor.send(repair(RepairAction.FAIL, 3, failure=final)) is None
    assert actor.status is Status.FAILED


@pytest.mark.parametrize("name", ["activity", "SDK's activity"])
def test_the_first_answer_counts_and_later_ones_are_dropped(either: Callable[[str], LoneActor], name: str) -> None:
    actor = either(name)
    actor.send(repair(RepairAction.RETRY, 1))
    actor.done(1, '"first"')
    rows = len(actor.rows)
    actor.done(1, '"second"')
    assert len(actor.rows) == rows
    assert isinstance(actor.send(repair(RepairAction.COMPLETE, 1)), RepairRefused)


def test_an_answer_after_a_repair_is_dropped_and_one_in_the_same_turn_too(actor: LoneActor) -> None:
    actor.start("steps")
    execution_id = actor.execution_id
    actor.send(repair(RepairAction.COMPLETE, 1, result='"by hand"'), ActivityDone(execution_id, 1, '"late"', None))
    actor.done(1, '"later"')
    actor.done(2, '"b"')
    assert actor.state.output == '["by hand","b"]'


def test_what_a_child_says_after_its_task_was_answered_is_dropped(actor: LoneActor) -> None:
    actor.start("parent", '"c"')
    actor.send(repair(RepairAction.COMPLETE, 1, result='"by hand"'))
    actor.child_done(1, Status.FAILED, None, FAILURE)
    assert actor.state.output == '"by hand"'


@pytest.mark.parametrize("held", ["suspended", "stalled", "aside"])
def test_a_repair_of_one_that_takes_no_step_is_kept_and_counts_later(actor: LoneActor, held: str) -> None:
    actor.start("steps")
    if held == "suspended":
        actor.suspend()
    elif held == "stalled":
        actor.evict(other_app())
        actor.raise_event("unheard")
        assert actor.status is Status.STALLED
    else:
        actor.tell(SetAside("poison"))
    assert actor.send(repair(RepairAction.COMPLETE, 1, result='"by hand"')) is None
    assert actor.status in (Status.SUSPENDED, Status.STALLED)
    if held == "suspended":
        actor.resume()
    elif held == "stalled":
        actor.restart(make_app())
    else:
        actor.send(ReleaseAside())
    actor.done(2, '"b"')
    assert actor.state.output == '["by hand","b"]'


def test_of_one_that_is_set_aside_no_activity_begins(actor: LoneActor) -> None:
    actor.start("steps")
    actor.tell(SetAside("poison"))
    refused = actor.send(repair(RepairAction.RETRY, 1))
    assert isinstance(refused, RepairRefused)
    assert "Release it" in str(refused)


def test_a_scheduled_start_that_is_fired_begins_the_code(either: Callable[[str], LoneActor]) -> None:
    actor = either("start")
    assert actor.send(repair(RepairAction.FIRE, -1)) is None
    assert actor.invoked == ["a"]
    assert actor.reminders == set()


def test_a_reminder_that_comes_all_the_same_changes_nothing(actor: LoneActor) -> None:
    actor.start("approval")
    ((name, due_us),) = actor.reminders
    actor.send(repair(RepairAction.FIRE, 1), ReminderDue(name, due_us))
    assert actor.state.output == '"too late"'
    assert sum(isinstance(event, TimerFired) for event in actor.history) == 1
    # And the other way round.
    actor.purge()
    actor.start("approval", execution_id="x2")
    ((name, due_us),) = actor.reminders
    assert isinstance(actor.send(ReminderDue(name, due_us), repair(RepairAction.FIRE, 1)), RepairRefused)


@pytest.mark.parametrize(
    ("reach", "event_id", "text"),
    [
        (lambda actor: actor.start("broken"), 1, "the instance is FAILED and waits for nothing any more. Use rerun."),
        (
            lambda actor: actor.start("steps"),
            7,
            "there is none. The instance waits for 1 (activity 'a').",
        ),
        (
            lambda actor: (actor.start("steps"), actor.done(1, "1")),
            1,
            "it has its answer already. The instance waits for 2 (activity 'b').",
        ),
        (
            lambda actor: actor.start("events"),
            1,
            "there is none. The instance waits for no activity, child or timer.",
        ),
        (
            lambda actor: actor.start("sleeper"),
            1,
            "it is a timer, and complete does nothing about that. Use fire.",
        ),
    ],
)
def test_a_refusal_says_what_is_so_and_what_to_do(
    actor: LoneActor, reach: Callable[[LoneActor], Any], event_id: int, text: str
) -> None:
    reach(actor)
    refused = actor.send(repair(RepairAction.COMPLETE, event_id))
    assert isinstance(refused, RepairRefused)
    assert str(refused) == f"event {event_id} of instance 'i' was not repaired: {text}"


def test_a_refusal_names_no_more_than_a_few_open_entries() -> None:
    actor = LoneActor(None)
    remote(actor, *(TaskScheduled(n, "a", None, f"k{n}") for n in range(1, 9)))
    refused = actor.send(repair(RepairAction.RETRY, 99))
    assert str(refused).endswith("5 (activity 'a') and 3 more.")


def test_a_missing_instance_and_another_run_are_not_repaired(actor: LoneActor) -> None:
    assert isinstance(actor.send(repair(RepairAction.RETRY, 1)), InstanceNotFound)
    actor.start("steps")
    condition = of_run("another")
    assert isinstance(actor.send(repair(RepairAction.RETRY, 1, condition=condition)), RunChanged)
    assert actor.audit == []


def test_every_entry_has_advice_and_every_action_helps_with_something() -> None:
    assert {action for action, _ in REPAIRS} == set(RepairAction)
    assert {kind for kind, _, _ in OPEN.values()} == set(Entry)


def test_a_workers_turn_gets_the_arrival_without_the_mark() -> None:
    actor = LoneActor(None)
    remote(actor, TASK)
    actor.send(repair(RepairAction.COMPLETE, 1, result='"by hand"'))
    work = actor.sent(Offer)[-1][1].settle()
    (arrival,) = [timed.event for timed in work.new if isinstance(timed.event, TaskCompleted)]
    assert (arrival.result, arrival.task_execution_id) == ('"by hand"', "k")
    answer(actor, ExecutionCompleted(2, Status.COMPLETED.value, '"end"'))
    assert actor.state.output == '"end"'
