"""Replay: from a history to a running execution.

The rule: where code and history differ, replay raises and never guesses. The
error names the event, the recorded command and the command that the code gives
now.

Two commands are the same if their kind, event id and name are. Inputs are not
compared: a set or a dictionary may come out in another order without harm. The
recorded decisions of policies and options apply, not the present ones.

The workflow actor replays an instance whose execution is not in memory.
"""

from collections.abc import Sequence

from ..authoring.app import WorkflowDefinition
from ..authoring.codec import Encoder
from ..authoring.limits import USUAL_LIMITS, WorkflowLimits
from ..errors import NondeterminismError
from ..history.event import (
    Arrival,
    ChildCreated,
    Command,
    DetachedCreated,
    EventSent,
    ExecutionCompleted,
    PatchesApplied,
    TaskScheduled,
    TimerCreated,
    TimerOrigin,
)
from ..history.row import Row, split
from ..history.status import Status
from .direct_calls import Watch
from .drive import ContinuedAsNew, Execution


def replay(
    definition: WorkflowDefinition,
    encoder: Encoder,
    *,
    instance_id: str,
    generation: int = 0,
    rows: Sequence[Row],
    limits: WorkflowLimits = USUAL_LIMITS,
    watch: Watch | None = None,
) -> tuple[Execution, list[Arrival]]:
    """Run a workflow's code through its history.

    Args:
        definition: The workflow.
        encoder: Writes the payloads of its commands.
        instance_id: The instance.
        generation: How often it has continued as new.
        rows: The history of one generation, oldest first.
        limits: Hold for the turns after the last row.
        watch: Detects direct calls in these turns; see `Execution`.

    Returns:
        The execution after the last row, and the arrivals that were not fed yet, oldest first.

    Raises:
        NondeterminismError: The code does not fit the history.
    """
    patches = [
        name for row in rows for event in row.turn or () if isinstance(event, PatchesApplied) for name in event.names
    ]

    def new() -> Execution:
        return Execution(
            definition,
            encoder,
            instance_id=instance_id,
            generation=generation,
            patches=patches,
            limits=limits,
            watch=watch,
        )

    execution = new()
    try:
        return execution, _repeat(execution, rows, timeouts=False)
    except NondeterminismError:
        if not execution.timeouts_differ:
            raise
        # A wait has another timeout than the recorded one, and the commands do not fit: use the recorded timeouts.
        execution.close()
        execution = new()
        try:
            return execution, _repeat(execution, rows, timeouts=True)
        except NondeterminismError:
            execution.close()
        raise


def _repeat(execution: Execution, rows: Sequence[Row], *, timeouts: bool) -> list[Arrival]:
    """Feed a history to an execution; return the arrivals that were not fed.

    Args:
        timeouts: As for `Execution.recall`.
    """
    execution.replaying = True
    held: list[Arrival] = []
    for row in rows:
        if row.turn is None:
            held.extend(row.held)  # type: ignore[arg-type]  # only arrivals are ever held
            continue
        arrivals, recorded = split(row.turn)
        execution.recall(recorded, timeouts=timeouts)
        asked, _ = execution.feed([*held, *arrivals], row.at_us)
        if isinstance(execution.outcome, ContinuedAsNew):
            # If it had done so then, these rows would be the history of the next generation.
            raise NondeterminismError(
                instance_id=execution.instance_id,
                workflow=execution.definition.name,
                event_id=None,
                recorded="that it went on",
                asked="to continue as new",
            )
        _compare(execution, recorded, asked)
        held = list(row.held)  # type: ignore[arg-type]
    execution.recall(None, timeouts=False)
    execution.cancelled_timers.clear()
    execution.replaying = False
    return held


def _compare(execution: Execution, recorded: Sequence[Command], asked: Sequence[Command]) -> None:
    """Compare the commands of one turn.

    Args:
        recorded: The commands that the row holds.
        asked: The commands that the code has given now.

    Raises:
        NondeterminismError: They differ.
    """
    for then, now in zip(recorded, asked, strict=False):
        if then == now and type(then) is type(now):
            continue  # nearly always; finding the essence takes longer
        if _essence(then) != _essence(now):
            raise _difference(execution, then, now)
    if len(recorded) > len(asked):
        raise _difference(execution, recorded[len(asked)], None)
    if len(asked) > len(recorded):
        raise _difference(execution, None, asked[len(recorded)])


def _essence(command: Command) -> tuple[object, ...]:
    match command:
        case TaskScheduled():
            return (TaskScheduled, command.event_id, command.name, command.target_app)
        case ChildCreated():
            return (ChildCreated, command.event_id, command.name, command.instance_id, command.target_app)
        case TimerCreated():
            return (TimerCreated, command.event_id, command.origin, command.reference)
        case PatchesApplied():
            return (PatchesApplied, command.names)
        case ExecutionCompleted():
            return (ExecutionCompleted, command.event_id, command.status)
        case DetachedCreated():
            return (DetachedCreated, command.event_id, command.instance_id)
        case EventSent():
            return (EventSent, command.event_id, command.instance_id, command.name)


def _difference(execution: Execution, then: Command | None, now: Command | None) -> NondeterminismError:
    first = then if then is not None else now
    assert first is not None
    return NondeterminismError(
        instance_id=execution.instance_id,
        workflow=execution.definition.name,
        event_id=getattr(first, "event_id", None),
        recorded=_described(then),
        asked=_described(now),
        hint=_patch_hint(then, now),
    )


def _described(command: Command | None) -> str:  # noqa: PLR0911  one for each kind
    match command:
        case None:
            return "nothing"
        case TaskScheduled():
            return f"activity {command.name!r}{_of_app(command.target_app)}"
        case ChildCreated():
            return f"child workflow {command.name!r}{_of_app(command.target_app)} with ID {command.instance_id!r}"
        case TimerCreated(origin=TimerOrigin.EXTERNAL_EVENT):
            return f"a timeout for event {command.reference!r}"
        case TimerCreated(origin=TimerOrigin.CREATE_TIMER):
            return "a timer"
        case TimerCreated():
            return "a timer before another try"
        case PatchesApplied():
            return f"patches {list(command.names)}"
        case DetachedCreated():
            return f"an instance of its own with ID {command.instance_id!r}"
        case EventSent():
            return f"event {command.name!r} for instance {command.instance_id!r}"
        case ExecutionCompleted():
            return f"the end of the workflow ({Status(command.status).name})"


def _of_app(app_id: str | None) -> str:
    return f" of app {app_id!r}" if app_id is not None else ""


def _patch_hint(then: Command | None, now: Command | None) -> str | None:
    if not isinstance(then, PatchesApplied):
        return None
    current = list(now.names) if isinstance(now, PatchesApplied) else []
    return (
        f"Patch mismatch. History patches: {list(then.names)}, current patches: {current}. "
        "A patch must stay in the code as long as instances that have taken it are running."
    )
