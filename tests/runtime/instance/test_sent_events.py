"""An event that a workflow sends to another instance arrives once, even if either of them ends or restarts.

The sender keeps it until it is known to be accepted, and sends it again after a
restart; the receiver takes its key once.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from perdure import App, Status, WorkflowContext
from perdure.runtime.errors import InstanceNotFound
from perdure.runtime.execution.drive import ContinuedAsNew
from perdure.runtime.history.event import EventRaised, EventSent, ExecutionCompleted, PatchesApplied, TaskScheduled
from perdure.runtime.history.record import EVENT_KEY_BYTES, InstanceRecord, unpack_record
from perdure.runtime.history.timeline import Timeline
from perdure.runtime.instance.ending import RECEIVED_MAX
from perdure.runtime.instance.message import (
    Continue,
    EventsTaken,
    RaiseEvent,
    RemoteAnswer,
    SendEvent,
    Start,
    StartCopy,
    WorkflowAnswer,
)
from perdure.runtime.operations.rerun import Rerun, copied

from ...support.workflows.lone_actor import LoneActor

SENT = EventSent(1, "receiver", "go", '"met"')
COMPLETED = ExecutionCompleted(2, Status.COMPLETED.value, None)
FAILED = ExecutionCompleted(2, Status.FAILED.value, None, ("ValueError", "no", None, None, False))
KEY = bytes(range(EVENT_KEY_BYTES))


def answer(actor: LoneActor, *commands: Any, **more: Any) -> None:
    offer = actor.actor.offered
    assert offer is not None
    work = offer.settle()
    assert work is not None
    actor.tell(RemoteAnswer(work, WorkflowAnswer("i", "", commands, **more)))


def record_of(actor: LoneActor) -> InstanceRecord:
    assert actor.record is not None
    return unpack_record(actor.record)


def sent(actor: LoneActor) -> list[tuple[str, str]]:
    """The events that were sent since the start (or restart), with their receivers."""
    return [(receiver, message.event.name) for receiver, message in actor.sent(SendEvent)]


# The sender.


def asks_for_more(actor: LoneActor) -> None:
    answer(actor, SENT, TaskScheduled(2, "a", None, "k"))


def completes(actor: LoneActor) -> None:
    answer(actor, SENT, COMPLETED)


def fails(actor: LoneActor) -> None:
    answer(actor, SENT, FAILED)


def continues_as_new(actor: LoneActor) -> None:
    answer(actor, SENT, continued=ContinuedAsNew(None, []))


def continues_as_new_later(actor: LoneActor) -> None:
    answer(actor, SENT)
    actor.raise_event("x")
    answer(actor, continued=ContinuedAsNew(None, []))


def is_suspended(actor: LoneActor) -> None:
    asks_for_more(actor)
    actor.suspend()


def is_terminated(actor: LoneActor) -> None:
    asks_for_more(actor)
    actor.terminate()


def stalls(actor: LoneActor) -> None:
    answer(actor, SENT)
    actor.raise_event("x")
    answer(actor, version_missing=True)


def gives_its_id_away(actor: LoneActor) -> None:
    completes(actor)
    actor.send(Start("w", None, "x2"))


@pytest.mark.parametrize("forgetful", [False, True], ids=["in memory", "rebuilt"])
@pytest.mark.parametrize(
    "becomes",
    [
        asks_for_more,
        completes,
        fails,
        continues_as_new,
        continues_as_new_later,
        is_suspended,
        is_terminated,
        stalls,
        gives_its_id_away,
    ],
)
def test_what_was_sent_is_sent_again_under_its_key_until_it_is_taken(
    becomes: Callable[[LoneActor], None], forgetful: bool
) -> None:
    actor = LoneActor(None, forgetful=forgetful)
    # Given a workflow that has sent an event, and is killed before it knows that the event was taken,
    actor.start("w")
    becomes(actor)
    [(receiver, first)] = actor.sent(SendEvent)
    assert (receiver, first.sender_id, first.event) == ("receiver", "i", SENT)
    assert actor.busy
    for _ in range(2):
        # when it is started again, then it sends the event again under the same key,
        actor.restart()
        assert actor.sent(SendEvent) == [("receiver", first)]
    # and not again after it is notified.
    actor.tell(EventsTaken([first.key]))
    assert record_of(actor).outbox == ()
    actor.restart()
    assert sent(actor) == []


def test_the_end_of_an_instance_has_nothing_in_flight_once_its_events_are_taken() -> None:
    actor = LoneActor(None)
    actor.start("w")
    completes(actor)
    [(_, message)] = actor.sent(SendEvent)
    actor.tell(EventsTaken([message.key]))
    assert not actor.busy
    assert actor.state.status is Status.COMPLETED


def test_only_what_is_not_taken_is_sent_again_in_its_order() -> None:
    actor = LoneActor(None)
    actor.start("w")
    answer(actor, *(EventSent(n, f"r{n % 2}", f"e{n}", None) for n in range(1, 6)))
    messages = [message for _, message in actor.sent(SendEvent)]
    assert len({message.key for message in messages}) == 5
    actor.tell(EventsTaken([messages[0].key, messages[3].key, b"a key of nobody"]))
    actor.restart()
    assert sent(actor) == [("r0", "e2"), ("r1", "e3"), ("r1", "e5")]


def test_a_sent_event_is_history_and_the_ids_go_on_behind_it() -> None:
    actor = LoneActor(None)
    actor.start("w")
    answer(actor, EventSent(7, "receiver", "go", None))
    actor.terminate()
    events = [timed for timed in Timeline.of(actor.rows).events if isinstance(timed.event, EventSent)]
    assert [(timed.event_id, timed.event) for timed in events] == [(7, EventSent(7, "receiver", "go", None))]
    ends = [event for event in actor.history if isinstance(event, ExecutionCompleted)]
    assert [end.event_id for end in ends] == [8]


def test_the_same_event_of_two_generations_is_two_events() -> None:
    actor = LoneActor(None)
    actor.start("w")
    continues_as_new(actor)
    actor.tell(Continue())
    continues_as_new(actor)
    keys = [message.key for _, message in actor.sent(SendEvent)]
    assert len(set(keys)) == 2
    assert len(record_of(actor).outbox) == 2


def test_a_rerun_has_the_event_in_its_history_and_does_not_send_it() -> None:
    # Given an instance that has sent an event, then called an activity, and ended,
    source = LoneActor(None)
    source.start("w")
    answer(source, SENT, TaskScheduled(2, "a", None, "k"))
    source.done(2)
    answer(source, COMPLETED._replace(event_id=3))
    # when it is run again from the activity,
    made = copied(source.rows, Rerun("i", 2), new_id="j", execution_id="new", now_us=source.now_us, remote=True)
    copy = LoneActor(None, "j")
    copy.send(StartCopy(record_of(source)._replace(execution_id=made.execution_id), made.rows, made.sent))
    assert copy.actor.events == sum(len(row.turn or ()) + len(row.held) for row in made.rows)
    copy.restart()
    # then the new instance has the event as sent, and sends nothing.
    assert SENT in copy.history
    assert sent(copy) == []


def test_a_rerun_of_code_that_is_here_sends_what_its_turn_has_asked_for_behind_the_event() -> None:
    # Given an instance whose one turn has called an activity, sent an event and called another,
    source = LoneActor(None)
    source.start("w")
    answer(source, TaskScheduled(1, "a", None, "k"), SENT._replace(event_id=2), TaskScheduled(3, "b", None, "k3"))
    # when it is run again from the first activity,
    made = copied(source.rows, Rerun("i", 1), new_id="j", execution_id="new", now_us=source.now_us, remote=False)
    copy = LoneActor(None, "j")
    copy.send(StartCopy(record_of(source)._replace(execution_id=made.execution_id), made.rows, made.sent))
    # then all three are requested again, also after a crash.
    assert copy.invoked == ["a", "b"]
    assert len(sent(copy)) == 1
    copy.restart()
    assert len(sent(copy)) == 1


def test_a_record_without_events_on_their_way_is_as_long_as_ever() -> None:
    actor = LoneActor(None)
    actor.start("w")
    short = record_of(actor)._replace(started_us=None)
    assert len(short._replace(outbox=((KEY, 20, 1, "i", "e", None),)).pack()) > len(short.pack())
    assert InstanceRecord(Status.RUNNING, "w", "x", 1).pack()[0] == 0x9C  # twelve fields, the format among them


# The receiver.


def waiting(code: str, *, forgetful: bool = False) -> LoneActor:
    """An instance that has run, and takes events; each ends a generation."""
    app = App("receiving")

    @app.workflow
    async def w(ctx: WorkflowContext, got: list[Any] | None) -> list[Any]:
        value = await ctx.wait_for_external_event("go")
        if value != "stop":
            ctx.continue_as_new([*(got or []), value])
        return got or []

    actor = LoneActor(app if code == "native" else None, forgetful=forgetful)
    actor.start("w")
    if code == "remote":
        answer(actor)
    return actor


def goes_on(actor: LoneActor) -> None:
    """Deliver what the instance sends itself, and let it begin its next generation."""
    own = [body for address, body in actor.messages if isinstance(body, Continue)]
    actor.messages.clear()
    for body in own:
        actor.tell(body)


def deliver(actor: LoneActor, value: str = '"met"', key: bytes = KEY) -> Any:
    return actor.send(RaiseEvent("go", value, key))


def nothing(actor: LoneActor) -> None:
    pass


def an_eviction(actor: LoneActor) -> None:
    actor.evict()


def a_restart(actor: LoneActor) -> None:
    actor.restart()


def a_pause(actor: LoneActor) -> None:
    actor.suspend()
    actor.evict()
    actor.resume()


def three_generations(actor: LoneActor) -> None:
    for n in range(3):
        if actor.actor.offered is not None:
            answer(actor, continued=ContinuedAsNew(json.dumps(n), []))
        else:
            actor.raise_event("go", '"on"')
        goes_on(actor)
        actor.evict()
        goes_on(actor)
    if actor.actor.offered is not None:
        answer(actor)


def a_patch(actor: LoneActor) -> None:
    if actor.actor.offered is not None:
        answer(actor, PatchesApplied(("p",)), patches=("p",))


@pytest.mark.parametrize("between", [nothing, an_eviction, a_restart, a_pause, a_patch, three_generations])
@pytest.mark.parametrize("forgetful", [False, True], ids=["in memory", "rebuilt"])
@pytest.mark.parametrize("code", ["native", "remote"])
def test_an_event_that_comes_again_is_taken_once(
    code: str, forgetful: bool, between: Callable[[LoneActor], None]
) -> None:
    actor = waiting(code, forgetful=forgetful)
    assert deliver(actor) is None
    goes_on(actor)
    between(actor)
    rows = len(actor.entries)
    # A second time the sender gets the same answer, and nothing is written.
    assert deliver(actor) is None
    assert len(actor.entries) == rows
    # Another key is another event, even with the same content.
    deliver(actor, key=KEY[::-1])
    assert len(actor.entries) > rows or actor.sent(Continue)


@pytest.mark.parametrize("code", ["native", "remote"])
def test_two_in_one_batch_are_one(code: str) -> None:
    actor = waiting(code)
    actor.suspend()
    actor.send(RaiseEvent("go", "1", KEY), RaiseEvent("go", "1", KEY))
    assert [event for event in actor.history if isinstance(event, EventRaised)] == [EventRaised("go", "1", key=KEY)]


def test_a_stalled_receiver_keeps_the_event_and_a_caller_is_refused() -> None:
    actor = waiting("remote")
    actor.raise_event("x")
    answer(actor, version_missing=True)
    assert actor.status is Status.STALLED
    assert deliver(actor) is None
    assert actor.raise_event("go") is not None
    assert [event.key for event in actor.history if isinstance(event, EventRaised)] == [None, KEY]


def test_a_finished_receiver_drops_it_and_there_may_be_none() -> None:
    actor = waiting("remote")
    actor.terminate()
    rows = len(actor.entries)
    assert deliver(actor) is None
    assert len(actor.entries) == rows
    assert isinstance(deliver(LoneActor(None)), InstanceNotFound)


def test_a_purged_receiver_begins_again() -> None:
    actor = waiting("remote")
    deliver(actor)
    actor.purge(force=True)
    actor.start("w")
    deliver(actor)
    assert [event.key for event in actor.history if isinstance(event, EventRaised)] == [KEY]


def test_a_new_generation_knows_the_latest_keys_and_not_all_that_there_ever_were() -> None:
    actor = waiting("remote")
    actor.send(*(RaiseEvent("go", None, n.to_bytes(EVENT_KEY_BYTES)) for n in range(RECEIVED_MAX + 1)))
    answer(actor, continued=ContinuedAsNew(None, []))
    received = record_of(actor).received
    assert len(received) == RECEIVED_MAX * EVENT_KEY_BYTES
    assert received.endswith(RECEIVED_MAX.to_bytes(EVENT_KEY_BYTES))
