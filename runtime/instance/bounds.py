"""The limits on an instance, where its turn takes in requests and arrivals (docs/limits.md).

The rule: a limit is a failure of the instance or of the call, with the limit's name; a level that only warns is a
note for the log.
"""

from collections.abc import Iterator, Mapping

from ...journal.vocabulary import LIMIT_NEAR
from ..authoring.limits import bytes_of, is_longer
from ..errors import LimitExceeded
from ..history.event import (
    ChildCreated,
    Command,
    DetachedCreated,
    EventSent,
    ExecutionCompleted,
    TaskScheduled,
    TimerCreated,
    TimerOrigin,
)
from ..history.failure import FailureDetails, failure_of
from .message import ActivityDone, WorkflowAnswer
from .sheet import TurnSheet


def warn_of_commands(sheet: TurnSheet, found: int) -> None:
    """Log that a turn has many commands."""
    maximum = sheet.actor.surroundings.limits.turn_commands_max
    _warn(sheet, "a turn", "turn_commands_warn", found, f"commands; it fails above {maximum} (turn_commands_max)")


def warn_of_history(sheet: TurnSheet, found: int) -> None:
    """Log that a history has become long."""
    _warn(
        sheet,
        "the history",
        "history_events_warn",
        found,
        "events; each replay repeats them all. Begin a new one with continue_as_new",
    )


def _warn(sheet: TurnSheet, what: str, limit: str, found: int, then: str) -> None:
    sheet.note(LIMIT_NEAR, what=what, limit=limit, found=found, then=then)


def bounded(sheet: TurnSheet, done: ActivityDone) -> FailureDetails | None:
    """The failure of a call: its own, or one for a result that is too large; None for a good result."""
    if done.failure is not None or done.result is None:
        return done.failure
    task = sheet.actor.open.tasks[done.task_id]
    exceeded = _weighed(sheet, f"the result of activity {task.name!r} (task {done.task_id})", done.result)
    return failure_of(exceeded) if exceeded is not None else None


def exceeded_by(sheet: TurnSheet, answer: WorkflowAnswer) -> LimitExceeded | None:
    """The limit that the answer of a remote worker exceeds, if it does."""
    limits = sheet.actor.surroundings.limits
    commands = answer.commands
    asked = max(len(commands), len(answer.patches))
    if asked > limits.turn_commands_max:
        return _exceeded(sheet, "a turn", "turn_commands_max", asked)
    if asked > limits.turn_commands_warn:
        warn_of_commands(sheet, asked)
    for what, name in _names(answer):
        if is_longer(name, limits.name_bytes_max):
            return _exceeded(sheet, what, "name_bytes_max", bytes_of(name))
    for what, payload in _payloads(answer):
        if payload is not None and len(payload) > limits.light_chars:
            exceeded = _weighed(sheet, what, payload)
            if exceeded is not None:
                return exceeded
    return None


def _names(answer: WorkflowAnswer) -> Iterator[tuple[str, str]]:
    """The names that the code of a worker chose; the default ids of children grow with each generation of them."""
    for patch in answer.patches:
        yield "the name of a patch", patch
    if answer.version is not None:
        yield "the name of the version", answer.version
    for command in answer.commands:
        match command:
            case TaskScheduled():
                yield f"the name of {_named(command)}", command.name
                yield f"the task execution ID of {_named(command)}", command.task_execution_id
            case ChildCreated():
                yield f"the name of {_named(command)}", command.name
                if command.named:
                    yield f"the instance ID of {_named(command)}", command.instance_id
            case DetachedCreated():
                yield f"the name of {_named(command)}", command.name
                yield f"the instance ID of {_named(command)}", command.instance_id
                yield f"the execution ID of {_named(command)}", command.execution_id or ""
            case EventSent():
                yield f"the name of {_named(command)}", command.name
                yield f"the receiver's instance ID of {_named(command)}", command.instance_id
            case TimerCreated(origin=TimerOrigin.EXTERNAL_EVENT):
                yield "the name of an event that is waited for", command.reference or ""


def _payloads(answer: WorkflowAnswer) -> Iterator[tuple[str, str | bytes | None]]:
    """The payloads of an answer, and the parts of an SDK's action that have no field here."""
    for command in answer.commands:
        match command:
            case ExecutionCompleted():
                yield "the result", command.result
            case TaskScheduled() | ChildCreated() | DetachedCreated() | EventSent():
                yield f"the input of {_named(command)}", command.input
        if (wire := getattr(command, "wire", None)) is not None:
            yield f"the rest of {_named(command)}", wire
        if isinstance(command, DetachedCreated) and command.trace is not None:
            yield f"the trace of {_named(command)}", "".join(part or "" for part in command.trace)
    yield "the custom status", answer.custom_status
    if answer.continued is not None:
        yield "the input of the next generation", answer.continued.input
        for event in answer.continued.carried:
            yield f"the data of event {event.name[:40]!r}", event.input


KINDS: Mapping[type[Command], str] = {
    TaskScheduled: "activity",
    ChildCreated: "child workflow",
    DetachedCreated: "child workflow",
    EventSent: "sent event",
    TimerCreated: "timer",
    ExecutionCompleted: "the result",
}


def _named(command: Command) -> str:
    name = getattr(command, "name", None)
    kind = KINDS.get(type(command), "a command")
    return f"{kind} {name[:40]!r}" if name is not None else kind


def _weighed(sheet: TurnSheet, what: str, payload: str | bytes) -> LimitExceeded | None:
    limits = sheet.actor.surroundings.limits
    found = bytes_of(payload) if isinstance(payload, str) else len(payload)
    if found > limits.payload_bytes_max:
        return _exceeded(sheet, what, "payload_bytes_max", found)
    if found > limits.payload_bytes_warn:
        then = f"bytes; it fails above {limits.payload_bytes_max} (payload_bytes_max)"
        _warn(sheet, what, "payload_bytes_warn", found, then)
    return None


def _exceeded(sheet: TurnSheet, what: str, limit: str, found: int) -> LimitExceeded:
    actor = sheet.actor
    assert actor.record is not None
    return LimitExceeded(
        f"{what} of workflow {actor.record.name!r} in instance {actor.instance_id!r}",
        limit=limit,
        found=found,
        maximum=getattr(actor.surroundings.limits, limit),
    )
