"""The code of a workflow at a worker: the history of a request in, the answer's actions out, as in Dapr's SDKs.

The rule: nothing is kept between two turns but the events. Each turn runs the code through the whole history, in
which each request has a number; the requests of the code beyond that are the requests of the turn.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from perdure import App
from perdure.rpc.messages import HistoryEvent, Message, WorkflowAction
from perdure.rpc.wire.history import HistoryWriter
from perdure.runtime.authoring.codec import Encoder
from perdure.runtime.execution.drive import ContinuedAsNew, Execution
from perdure.runtime.history.event import (
    Arrival,
    Command,
    EventRaised,
    ExecutionStalled,
    ExecutionStarted,
)
from perdure.runtime.history.status import Status
from perdure.runtime.history.timed_event import TimedEvent, TurnStarted

from ...support.doors.action_writer import WRITERS, action_of
from ..checks.broken import Broken

ENCODER = Encoder()
LAST_ID = 1_000_000  # of the action that ends a generation


class Answer(NamedTuple):
    """The requests of the code in a turn."""

    actions: list[Message]
    custom_status: str | None


class Parted(Broken):
    """The code makes another request than the history has."""

    def __init__(self, what: str) -> None:
        super().__init__("E7", what)


class HistoryTurn(NamedTuple):
    """A turn of a history: the events that were fed, and the requests of the code."""

    at_us: int
    fed: list[Arrival]
    asked: list[Command]


def answer(app: App, instance_id: str, past: Sequence[Message], new: Sequence[Message]) -> Answer:
    """Take a turn.

    Args:
        past: The whole committed history, HistoryEvents.
        new: The events that are fed in this turn.

    Raises:
        Parted: The code does not fit the history.
    """
    reader = HistoryWriter(app_id="", instance_id=instance_id)
    turns = list(_turns([reader.read(message) for message in past]))
    (now,) = _turns([reader.read(message) for message in new])
    fed = (event for turn in [*turns, now] for event in turn.fed)
    started = next(event for event in fed if isinstance(event, ExecutionStarted))
    execution = Execution(app.workflows[started.name], ENCODER, instance_id=instance_id)
    try:
        return _run(execution, turns, now)
    finally:
        execution.close()


def _run(execution: Execution, turns: Sequence[HistoryTurn], now: HistoryTurn) -> Answer:
    execution.replaying = True
    unrecorded: dict[int, Any] = {}  # requests of the code that the history does not have, by number
    for turn in turns:
        execution.recall(turn.asked, timeouts=False)
        commands, _ = execution.feed(turn.fed, turn.at_us)
        unrecorded |= _numbered(commands)
        for recorded in turn.asked:
            asked = unrecorded.pop(_number(recorded), None)
            if type(asked) is not type(recorded):
                raise Parted(f"{execution.instance_id}: the history has {recorded!r:.200}, and the code {asked!r:.200}")
    execution.replaying = False
    execution.recall(None, timeouts=False)
    commands, taken = execution.feed(now.fed, now.at_us)
    # In a copy that begins in the middle of a turn the rest of that turn is requested now.
    actions = [action_of(command) for command in (unrecorded | _numbered(commands)).values()]
    if isinstance(execution.outcome, ContinuedAsNew):
        # SDKs buffer what comes behind the end of a generation as they buffer what it has not used.
        behind = [event for event in now.fed[taken:] if isinstance(event, EventRaised)]
        actions.append(_goes_on([*execution.outcome.carried, *behind], execution.outcome.input))
    return Answer(actions, execution.custom_status)


def _goes_on(carried: Sequence[EventRaised], given: str | None) -> Message:
    events = [
        HistoryEvent(eventId=-1, eventRaised={"name": event.name, "input": _text(event.input)}) for event in carried
    ]
    completed = {
        "workflowStatus": Status.CONTINUED_AS_NEW.value,
        "result": _text(given),
        "carryoverEvents": events,
    }
    return WorkflowAction(id=LAST_ID, completeWorkflow=completed)


def _text(value: str | None) -> dict[str, Any] | None:
    return {"value": value} if value is not None else None


def _turns(events: Sequence[TimedEvent]) -> Iterator[HistoryTurn]:
    turn: HistoryTurn | None = None
    for timed in events:
        event: Any = timed.event
        if isinstance(event, TurnStarted):
            if turn is not None:
                yield turn
            turn = HistoryTurn(timed.at_us, [], [])
        elif isinstance(event, ExecutionStalled):
            continue
        else:
            assert turn is not None, "a history begins with a turn"
            (turn.asked if type(event) in WRITERS else turn.fed).append(event)
    if turn is not None:
        yield turn


def _numbered(commands: Iterable[Command]) -> dict[int, Any]:
    return {_number(command): command for command in commands if type(command) in WRITERS}


def _number(command: Any) -> int:
    number: int = command.event_id
    return number
