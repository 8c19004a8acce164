"""Messages that arrive while a turn is under way are neither lost nor doubled, for any outcome of the turn.

One table: each arrival meets each outcome, before the worker's answer, in one
batch with it, and in one batch behind it. For native code the arrival is in the batch that the turn feeds. Afterwards
the history is one that every SDK
accepts (contract 3.12), and the instance can be driven to its end.
"""

import json
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from perdure import App, Status, WorkflowContext
from perdure.actors.turn import RECOVER
from perdure.runtime.execution.drive import ContinuedAsNew
from perdure.runtime.history.event import (
    ChildCreated,
    EventRaised,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    TaskScheduled,
    TimerCreated,
)
from perdure.runtime.history.timeline import Timeline
from perdure.runtime.instance.message import (
    ActivityDone,
    ChildDone,
    Purge,
    RaiseEvent,
    RemoteAnswer,
    Resume,
    Start,
    Suspend,
    Terminate,
    TryAgain,
    WorkflowAnswer,
    WorkflowTurnWork,
)

from ...support.workflows.lone_actor import LoneActor

FAILED = ("ValueError", "no", None, None, False)

# Arrivals: messages, or a change of the actor (a function).
ARRIVALS: dict[str, list[Any] | Callable[[LoneActor], None]] = {
    "event": [RaiseEvent("e", '"met"')],
    "two events": [RaiseEvent("e", '"met"'), RaiseEvent("E", '"again"')],
    "pause": [Suspend(None)],
    "pause and event": [Suspend(None), RaiseEvent("e", '"met"')],
    "resume": [Resume(None)],
    "pause and resume": [Suspend(None), Resume(None)],
    "pause, event and resume": [Suspend(None), RaiseEvent("e", '"met"'), Resume(None)],
    "pause, resume and pause": [Suspend(None), Resume(None), Suspend("again")],
    "terminate": [Terminate('"over"', recurse=True)],
    "purge": [Purge(force=False)],
    "purge by force": [Purge(force=True)],
    "purge by force and start": [Purge(force=True), Start("w", None, "x2")],
    "activity's end": [ActivityDone("x1", 7, '"late"', None)],
    "child's end": [ChildDone("x1", 8, Status.COMPLETED.value, '"late"', None)],
    "timer": lambda actor: actor.fire() if actor.reminders else None,
    "worker lost": [TryAgain()],
    "host killed": [RECOVER],
}
OUTCOMES: dict[str, dict[str, Any]] = {
    "asks for more": {"commands": [TaskScheduled(11, "more", None, "k")]},
    "completes": {"commands": [ExecutionCompleted(12, Status.COMPLETED.value, '"end"')]},
    "fails": {"commands": [ExecutionCompleted(12, Status.FAILED.value, None, FAILED)]},
    "continues as new": {"continued": ContinuedAsNew('"next"', [])},
    "continues as new with events": {"continued": ContinuedAsNew('"next"', [EventRaised("e", '"kept"')])},
    "stalls": {"version_missing": True},
}


def check(actor: LoneActor) -> None:
    """Check that the history of the generation is one that every SDK accepts, and has no event twice."""
    suspended = False
    for event in actor.history:
        match event:
            case ExecutionSuspended():
                assert not suspended, "suspended twice"
                suspended = True
            case ExecutionResumed():
                assert suspended, "resumed and never suspended"
                suspended = False
    raised = Counter(event.input for event in actor.history if isinstance(event, EventRaised))
    assert not [value for value, times in raised.items() if times > 1], f"doubled: {raised}"
    assert sum(isinstance(event, ExecutionStarted) for event in actor.history) == 1
    Timeline.of(actor.rows)  # as a worker would get it


def settled(actor: LoneActor) -> WorkflowTurnWork | None:
    """The turn that a worker would be given now."""
    offer = actor.actor.offered
    return offer.settle() if offer is not None else None


def answering(work: WorkflowTurnWork, **outcome: Any) -> RemoteAnswer:
    return RemoteAnswer(work, WorkflowAnswer("i", "", outcome.pop("commands", []), **outcome))


def under_way() -> tuple[LoneActor, WorkflowTurnWork]:
    """An instance of a worker with an activity, a child and a timer open, and a turn that the worker has."""
    actor = LoneActor(None)
    actor.start("w")
    begun = settled(actor)
    assert begun is not None
    asked = [TaskScheduled(7, "a", None, "k"), ChildCreated(8, "i:0008", "kid", None), TimerCreated(9, 60_000_000)]
    actor.tell(answering(begun, commands=asked))
    actor.raise_event("e", '"first"')
    work = settled(actor)
    assert work is not None
    return actor, work


@pytest.mark.parametrize("when", ["before", "in front of", "behind", "after"])
@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("arrival", ARRIVALS)
def test_what_meets_the_turn_of_a_worker(arrival: str, outcome: str, when: str) -> None:
    actor, work = under_way()
    given, answer = ARRIVALS[arrival], answering(work, **OUTCOMES[outcome])
    if callable(given):
        if when not in ("before", "after"):
            pytest.skip("a reminder is a message of its own")
        actor.now_us += 120_000_000
        steps: list[Any] = [lambda: actor.send(answer)]
        steps.insert(0 if when == "before" else 1, lambda: given(actor))
        for step in steps:
            step()
        bodies: list[Any] = []
    else:
        bodies = given
        match when:
            case "before":
                actor.send(*bodies)
                actor.send(answer)
            case "in front of":
                actor.send(*bodies, answer)
            case "behind":
                actor.send(answer, *bodies)
            case _:
                actor.send(answer)
                actor.send(*bodies)
    follow_to_the_end(actor, bodies, outcome, when)


def follow_to_the_end(actor: LoneActor, bodies: list[Any], outcome: str, when: str) -> None:
    if actor.record is None:
        assert any(isinstance(body, Purge) for body in bodies)
        return
    check(actor)
    if actor.status is Status.SUSPENDED:
        actor.resume()
        check(actor)
    # A stalled instance continues with code that fits.
    if not actor.status.terminal:
        actor.tell(TryAgain())
    for _ in range(4):
        work = settled(actor)
        if work is None:
            break
        actor.tell(answering(work))
        check(actor)
    if actor.status.terminal or any(isinstance(body, Purge) for body in bodies):
        return
    wanted = [body.input for body in bodies if isinstance(body, RaiseEvent)]
    seen = [event.input for event in actor.history if isinstance(event, EventRaised)]
    if not (outcome == "stalls" and when in ("behind", "after")):  # a stalled instance refuses requests
        assert [value for value in seen if value in wanted] == wanted
    if outcome == "continues as new with events":
        assert seen[0] == '"kept"'


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_answer_does_not_reach_the_instance_that_takes_the_id_in_the_same_batch(outcome: str) -> None:
    actor, work = under_way()
    actor.send(answering(work, **OUTCOMES[outcome]), Purge(force=True), Start("w", None, "x2"))
    assert (actor.status, actor.execution_id) == (Status.PENDING, "x2")
    assert [type(event) for event in actor.history] == [ExecutionStarted]


def test_what_stalls_a_suspended_instance_is_found_again_after_the_resumption() -> None:
    actor, work = under_way()
    actor.suspend()
    actor.send(answering(work, version_missing=True))
    assert actor.status is Status.SUSPENDED
    actor.resume()
    again = settled(actor)
    assert again is not None
    actor.tell(answering(again, version_missing=True))
    assert (actor.status, actor.state.stall) == (Status.STALLED, "Version not available: ")


def collecting() -> App:
    app = App("collecting")

    @app.workflow
    async def w(ctx: WorkflowContext, got: list[Any] | None) -> list[Any]:
        got = got or []
        value = await ctx.wait_for_external_event("e")
        if value == "stop":
            return got
        if value == "fail":
            raise ValueError(got)
        ctx.continue_as_new([*got, value], save_events=True)
        return []

    return app


def batches(bodies: list[Any]) -> list[list[list[Any]]]:
    """Each way to deliver messages in order: in turns of any size."""
    if len(bodies) <= 1:
        return [[bodies]]
    return [way for rest in batches(bodies[1:]) for way in ([[bodies[0]], *rest], [[bodies[0], *rest[0]], *rest[1:]])]


@pytest.mark.parametrize("forgetful", [False, True], ids=["in memory", "rebuilt"])
@pytest.mark.parametrize(
    "bodies",
    [
        [1, 2, 3],
        [1, "pause", 2, "resume", 3],
        ["pause", 1, 2, "resume"],
        [1, "pause", "resume", 2],
        [1, "pause", "resume", "pause", 2, "resume"],
        ["pause", "resume", 1, 2],
        [1, 2, "pause", "recover", "resume", 3],
    ],
    ids=str,
)
def test_what_meets_the_turn_of_native_code(bodies: list[Any], forgetful: bool) -> None:
    words = {"pause": Suspend(None), "resume": Resume(None), "recover": RECOVER}
    messages = [words[body] if isinstance(body, str) else RaiseEvent("e", json.dumps(body)) for body in bodies]
    for way in batches(messages):
        actor = LoneActor(collecting(), forgetful=forgetful)
        actor.start("w")
        for batch in way:
            actor.send(*batch)
            go_on(actor)
        actor.raise_event("e", '"stop"')
        go_on(actor)
        assert actor.state.output == json.dumps(
            [body for body in bodies if isinstance(body, int)], separators=(",", ":")
        )


def go_on(actor: LoneActor) -> None:
    """Deliver what the instance sends itself, as its host does after the commit."""
    for _ in count():
        check(actor)
        own = [body for address, body in actor.messages if address.type == "workflow" and address.id == "i"]
        actor.messages.clear()
        if not own:
            return
        for body in own:
            actor.tell(body)
