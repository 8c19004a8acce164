"""A request beyond a limit fails the call or the instance with its name; a warning is a line in the log with fields."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from perdure import App, FailureDetails, Status, WorkflowContext
from perdure.runtime.authoring.limits import WorkflowLimits
from perdure.runtime.errors import InstanceFull
from perdure.runtime.execution.drive import ContinuedAsNew
from perdure.runtime.history.event import (
    ChildCreated,
    Command,
    DetachedCreated,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerOrigin,
)
from perdure.runtime.instance.message import ActivityDone, Invoke, RaiseEvent, RemoteAnswer, WorkflowAnswer
from perdure.runtime.instance.offer import Offer

from ...support.workflows.lone_actor import LoneActor

SMALL = WorkflowLimits(
    turn_commands_warn=3,
    turn_commands_max=5,
    payload_bytes_warn=100,
    payload_bytes_max=200,
    name_bytes_max=20,
    history_events_warn=8,
    held_events_max=4,
)
BIG = "x" * 300
LONG = "n" * 21

Make = Callable[[App | None], LoneActor]


@pytest.fixture(params=[False, True], ids=["in memory", "rebuilt"])
def make(request: pytest.FixtureRequest) -> Make:
    return lambda app: LoneActor(app, forgetful=request.param, limits=SMALL)


@pytest.fixture
def app() -> App:
    app = App("shop")

    @app.workflow
    async def asks(ctx: WorkflowContext) -> Any:
        return await ctx.call_activity("a")

    @app.workflow
    async def many(ctx: WorkflowContext, count: int) -> None:
        await ctx.when_all([ctx.create_timer(timedelta(days=1)) for _ in range(count)])

    @app.workflow
    async def waits(ctx: WorkflowContext) -> None:
        while True:
            await ctx.wait_for_external_event("e")

    return app


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, int]]:
    """The log's entries with a limit: the instance, the limit and the amount found."""
    found = [vars(record) for record in caplog.records]
    return [(each["instance_id"], each["limit"], each["found"]) for each in found if "limit" in each]


def test_a_result_of_an_activity_beyond_the_limit_fails_the_call(make: Make, app: App) -> None:
    actor = make(app)
    actor.start("asks")
    actor.tell(ActivityDone("x1", 1, BIG, None))
    (failed,) = [event for event in actor.history if isinstance(event, TaskFailed)]
    failure = FailureDetails.unpack(failed.failure)
    assert failure.error_type == "LimitExceeded"
    assert failure.non_retriable
    assert "the result of activity 'a' (task 1) of workflow 'asks' in instance 'i' has 300 bytes" in failure.message
    assert "payload_bytes_max is 200" in failure.message
    assert actor.state.status is Status.FAILED


def test_a_large_result_is_recorded_and_logged_with_fields(
    make: Make, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    actor = make(app)
    actor.start("asks")
    with caplog.at_level(logging.WARNING):
        actor.tell(ActivityDone("x1", 1, '"' + "x" * 120 + '"', None))
    assert [type(event) for event in actor.history if isinstance(event, TaskCompleted | TaskFailed)] == [TaskCompleted]
    # Twice: the workflow returns it.
    assert lines(caplog) == [("i", "payload_bytes_warn", 122)] * 2


@pytest.mark.parametrize(("count", "logged"), [(3, []), (4, [("i", "turn_commands_warn", 4)])])
def test_a_turn_that_asks_for_much_is_logged(
    make: Make, app: App, count: int, logged: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        make(app).start("many", str(count))
    assert lines(caplog) == logged


def test_a_history_that_becomes_long_is_logged_once_and_goes_on(
    make: Make, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    actor = make(app)
    with caplog.at_level(logging.WARNING):
        actor.start("waits")
        for _ in range(20):
            actor.raise_event("e")
    assert lines(caplog) == [("i", "history_events_warn", 9)]
    assert "continue_as_new" in caplog.text
    assert actor.state.status is Status.RUNNING


# Answers of a remote worker.


def answered(actor: LoneActor, *commands: Command, **more: Any) -> None:
    actor.start("remote")
    offer = list(dict.fromkeys(body for _, body in actor.sent(Offer)))[-1]
    work = offer.settle()
    actor.tell(RemoteAnswer(work, WorkflowAnswer("i", "", commands, **more)))


@pytest.mark.parametrize(
    ("limit", "commands", "more"),
    [
        ("turn_commands_max", tuple(TimerCreated(n, 10**15) for n in range(1, 7)), {}),
        ("payload_bytes_max", (ExecutionCompleted(1, Status.COMPLETED.value, BIG),), {}),
        ("payload_bytes_max", (TaskScheduled(1, "a", BIG, "x1-1"),), {}),
        ("payload_bytes_max", (ChildCreated(1, "i:0001", "c", BIG),), {}),
        ("payload_bytes_max", (DetachedCreated(1, "other", "c", BIG),), {}),
        ("payload_bytes_max", (EventSent(1, "other", "e", BIG),), {}),
        ("payload_bytes_max", (TaskScheduled(1, "a", None, "x1-1", wire=BIG.encode()),), {}),
        ("payload_bytes_max", (TimerCreated(1, 10**15, wire=BIG.encode()),), {}),
        ("payload_bytes_max", (DetachedCreated(1, "other", "c", trace=("00", "0", BIG)),), {}),
        ("payload_bytes_max", (), {"custom_status": BIG}),
        ("payload_bytes_max", (), {"continued": ContinuedAsNew(None, [EventRaised("e", BIG)])}),
        ("turn_commands_max", (), {"patches": tuple(f"p{n}" for n in range(6))}),
        ("name_bytes_max", (), {"patches": (LONG,)}),
        ("name_bytes_max", (), {"version": LONG}),
        ("name_bytes_max", (TaskScheduled(1, "a", None, LONG),), {}),
        ("name_bytes_max", (DetachedCreated(1, "other", "c", execution_id=LONG),), {}),
        ("name_bytes_max", (EventSent(1, "other", LONG, None),), {}),
        ("name_bytes_max", (EventSent(1, LONG, "e", None),), {}),
        ("name_bytes_max", (TimerCreated(1, 10**15, TimerOrigin.EXTERNAL_EVENT, LONG),), {}),
        ("payload_bytes_max", (), {"continued": ContinuedAsNew(BIG, [])}),
        ("name_bytes_max", (TaskScheduled(1, LONG, None, "x1-1"),), {}),
        ("name_bytes_max", (ChildCreated(1, "i:0001", LONG, None),), {}),
        ("name_bytes_max", (ChildCreated(1, LONG, "c", None, True),), {}),
        ("name_bytes_max", (DetachedCreated(1, LONG, "c"),), {}),
    ],
)
def test_an_answer_beyond_a_limit_fails_the_instance_and_nothing_of_it_is_done(
    make: Make, limit: str, commands: tuple[Command, ...], more: dict[str, Any]
) -> None:
    actor = make(None)
    answered(actor, *commands, **more)
    state = actor.state
    assert state.status is Status.FAILED
    assert state.failure is not None
    assert state.failure.error_type == "LimitExceeded"
    assert "of workflow 'remote' in instance 'i' has" in state.failure.message
    assert f"the limit {limit} is {getattr(SMALL, limit)}" in state.failure.message
    assert state.custom_status is None
    assert actor.sent(Invoke) == []
    assert actor.reminders == set()


def test_an_answer_within_the_limits_is_carried_out_and_what_is_large_is_logged(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    actor = make(None)
    with caplog.at_level(logging.WARNING):
        answered(
            actor,
            TaskScheduled(1, "n" * 20, "x" * 120, "x1-1"),
            ChildCreated(2, "i" * 30 + ":0001", "c", None),
            *(TimerCreated(n, 10**15) for n in (3, 4)),
        )
    assert actor.state.status is Status.RUNNING
    assert lines(caplog) == [("i", "turn_commands_warn", 4), ("i", "payload_bytes_warn", 120)]


# Events that an instance holds.


def suspended(actor: LoneActor) -> None:
    actor.suspend()


def without_worker(actor: LoneActor) -> None:
    pass


@pytest.mark.parametrize(
    ("name", "prepare"), [("waits", suspended), ("elsewhere", suspended), ("elsewhere", without_worker)]
)
def test_an_instance_that_takes_no_events_refuses_those_beyond_the_limit(
    make: Make, app: App, name: str, prepare: Callable[[LoneActor], None]
) -> None:
    # Given an instance that takes no events,
    actor = make(app if name == "waits" else None)
    actor.start(name)
    prepare(actor)
    # when it holds the allowed number,
    answers = [actor.raise_event("e", str(n)) for n in range(6)]
    # then the next is refused, and so is one from another instance, which is asked to try again.
    refused = [answer for answer in answers if answer is not None]
    assert [type(answer) for answer in refused] == [InstanceFull] * len(refused)
    assert 2 <= len(refused) <= 4  # the start and the suspension may be held too
    assert "instance 'i' holds 4 events" in str(refused[0])
    assert "held_events_max" in str(refused[0])
    assert isinstance(actor.send(RaiseEvent("e", "9", b"key")), InstanceFull)
    assert len(actor.actor.held) == 4


def test_an_instance_that_goes_on_takes_events_again(make: Make, app: App) -> None:
    actor = make(app)
    actor.start("waits")
    actor.suspend()
    while actor.raise_event("e") is None:
        pass
    actor.resume()
    assert [actor.raise_event("e") for _ in range(10)] == [None] * 10


def test_a_finished_instance_still_takes_an_event_and_drops_it(make: Make, app: App) -> None:
    actor = make(app)
    actor.start("waits")
    actor.suspend()
    while actor.raise_event("e") is None:
        pass
    actor.terminate()
    assert actor.raise_event("e") is None
