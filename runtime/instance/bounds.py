"""The limits on an instance, where its turn takes in what was asked for or has arrived (docs/limits.md).

The rule: a limit is a failure of the instance or of the call, with the limit's name; a level that only warns is a
note for the log.
"""

from ...journal.vocabulary import LIMIT_NEAR
from ..authoring.limits import bytes_of
from ..errors import LimitExceeded
from ..history.event import ChildCreated, Command, DetachedCreated, ExecutionCompleted, TaskScheduled
from ..history.failure import FailureDetails, failure_of
from .message import ActivityDone, WorkflowAnswer
from .sheet import TurnSheet


def warn_of_commands(sheet: TurnSheet, found: int) -> None:
    """Log that a turn asks for much."""
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
    """The failure of a call: its own, or that its result is too large."""
    if done.failure is not None or done.result is None:
        return done.failure
    task = sheet.actor.open.tasks[done.task_id]
    exceeded = _weighed(sheet, f"the result of activity {task.name!r} (task {done.task_id})", done.result)
    return failure_of(exceeded) if exceeded is not None else None


def exceeded_by(sheet: TurnSheet, answer: WorkflowAnswer) -> LimitExceeded | None:
    """The limit that the answer of a remote worker exceeds, if it does."""
    limits = sheet.actor.surroundings.limits
    commands = answer.commands
    if len(commands) > limits.turn_commands_max:
        return _exceeded(sheet, "a turn", "turn_commands_max", len(commands))
    if len(commands) > limits.turn_commands_warn:
        warn_of_commands(sheet, len(commands))
    for command in commands:
        for what, name in _chosen_names(command):
            if len(name) * 4 > limits.name_bytes_max and (found := bytes_of(name)) > limits.name_bytes_max:
                return _exceeded(sheet, f"{what} of {_named(command)}", "name_bytes_max", found)
        payload = _payload(command)
        if payload is not None and len(payload) > limits.light_chars:
            what = "the result" if isinstance(command, ExecutionCompleted) else f"the input of {_named(command)}"
            exceeded = _weighed(sheet, what, payload)
            if exceeded is not None:
                return exceeded
    for what, text in (
        ("the custom status", answer.custom_status),
        ("the input of the next generation", answer.continued.input if answer.continued is not None else None),
    ):
        if text is not None and len(text) > limits.light_chars:
            exceeded = _weighed(sheet, what, text)
            if exceeded is not None:
                return exceeded
    return None


def _chosen_names(command: Command) -> tuple[tuple[str, str], ...]:
    """The names in a command that the code chose; the default ids of children grow with each generation of them."""
    if isinstance(command, TaskScheduled):
        return (("the name", command.name),)
    if isinstance(command, DetachedCreated) or (isinstance(command, ChildCreated) and command.named):
        return (("the name", command.name), ("the instance ID", command.instance_id))
    return (("the name", command.name),) if isinstance(command, ChildCreated) else ()


def _payload(command: Command) -> str | None:
    if isinstance(command, ExecutionCompleted):
        return command.result
    if isinstance(command, TaskScheduled | ChildCreated | DetachedCreated):
        return command.input
    return None


def _named(command: Command) -> str:
    kind = "activity" if isinstance(command, TaskScheduled) else "child workflow"
    return f"{kind} {getattr(command, 'name', '')[:40]!r}"


def _weighed(sheet: TurnSheet, what: str, payload: str) -> LimitExceeded | None:
    limits = sheet.actor.surroundings.limits
    found = bytes_of(payload)
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
