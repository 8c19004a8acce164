"""Every error the workflow layer raises on purpose, as a tree (the root is in `actors/errors.py`,
`CorruptHistory` in `runtime/history/row.py`).

PerdureError
├── RequestRefused                 the request cannot be met
│   ├── InvalidRequest             a name or an id that no instance can have
│   │   ├── NulRefused             a name, an id or a tag with a NUL
│   │   └── LimitExceeded          more than a limit allows; workflow code and activities fail with it too
│   ├── InstanceNotFound           the instance does not exist
│   ├── InstanceExists             the id is taken by an instance that is not finished
│   │   └── IdTaken                the same for any holder of the id, which it describes
│   ├── ChildUnfinished            the instance is finished, but a descendant of it is not
│   ├── DescendantsUnknown         the facade has to read the descendants first; internal to it
│   ├── InstanceUnfinished         purge of an instance that is not finished
│   ├── InstanceStalled            the instance waits for its code to be mended
│   ├── InstanceNotSetAside        release of an instance that is not set aside
│   ├── EventRefused               an event for an instance that has ended
│   ├── KeyReused                  an idempotency key that was used for a start with another input
│   ├── RepairRefused              a repair of an entry that the instance does not wait for
│   ├── WorkflowUnknown            a start of a workflow that neither the app nor a worker can have
│   ├── RunChanged                 the id belongs to another run than the caller has seen
│   └── NoMatch                    the instance does not meet the request's condition, or does not exist
├── NondeterminismError            workflow code that no longer fits its history
├── WorkflowMisuse                 workflow code took a step that replay cannot repeat
├── WorkflowFailed                 an instance ended, but not COMPLETED (raised by Client.run)
├── TaskFailedError                an activity or a child failed (raised in workflow code)
├── NonRetryableError              raised by activity code: do not try again
├── PayloadError                   an input or an output that is not JSON, or not of the annotated type
├── EngineUsed                     a second start of an engine
├── AsyncioNeeded                  Engine.start on trio
└── AppError                       an invalid app: two workflows of one name, for example

MailboxFull
└── InstanceFull                   the instance holds the maximum number of arrivals
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from ..actors.address import Address
from ..actors.errors import MailboxFull, PerdureError
from .history.failure import CarriesFailure, FailedCall, FailureDetails
from .history.instance_state import InstanceState
from .history.status import Status


class Advice(StrEnum):
    """What a caller may do about an error, as a word, so that each kind of caller gets the advice in its own words.

    The management API sends the word beside the text, because commands word the errors of a daemon too.
    """

    IF_EXISTS = "if_exists"  # say what to do with the instance that has the id
    FORCE = "force"  # terminate the instance that has the id first
    START_ANEW = "start_anew"  # or rerun it
    LIST_WORKFLOWS = "list_workflows"
    LIST_OPERATIONS = "list_operations"
    FIND_SERVER = "find_server"  # this and the next one are of clients
    GIVE_TOKEN = "give_token"  # noqa: S105  no token


# For callers of the API and of Python's clients. `cli/instances/advice.py` has the words for the commands.
ADVICE_WORDS: Mapping[Advice, str] = {
    Advice.IF_EXISTS: (
        "Choose another ID, or ask with if_exists=return for the instance that is there if it is of the same "
        "workflow, or with if_exists=restart for a new run of it."
    ),
    Advice.FORCE: "Add force=true to terminate it first.",
    Advice.START_ANEW: "Start it anew (if_exists=restart), or rerun it.",
    Advice.LIST_WORKFLOWS: "GET /api/v1/workflows lists its workflows.",
    Advice.LIST_OPERATIONS: "GET /api/v1/operations lists them.",
    Advice.FIND_SERVER: "Is `perdure run` running there? Another address is given with perdure.connect(url).",
    Advice.GIVE_TOKEN: "Give a token with perdure.connect(..., token=...).",
}


class Advised:
    """An error that may have advice; it stands before the other classes of the error."""

    def parts(self) -> tuple[str, Advice | None]:
        """Return what has happened, in whole sentences, and the advice; None: there is none."""
        raise NotImplementedError

    def __str__(self) -> str:
        problem, advice = self.parts()
        return problem if advice is None else f"{problem} {ADVICE_WORDS[advice]}"


class RequestRefused(PerdureError):
    """The request cannot be met. It has changed nothing."""


class InvalidRequest(RequestRefused):
    """A name or an id that no instance can have."""


class NulRefused(InvalidRequest):
    """A name, an id or a tag has a NUL. No store takes one, because PostgreSQL has no such text."""

    def __init__(self, what: str, text: str) -> None:
        super().__init__(what, text)
        self.what = what
        self.text = text

    def __str__(self) -> str:
        return f"{self.what} must not have a NUL (\\x00): {self.text[:40]!r}"


class InstanceNotFound(RequestRefused):
    """The instance does not exist, or was purged."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(instance_id)
        self.instance_id = instance_id

    def __str__(self) -> str:
        return "no such instance exists"


class InstanceExists(RequestRefused):
    """The id belongs to an instance that is not finished (or must never be reused)."""

    def __init__(self, instance_id: str, *, unique: bool = False) -> None:
        super().__init__(instance_id, unique)
        self.instance_id = instance_id
        self.unique = unique

    def __str__(self) -> str:
        if self.unique:
            return (
                f"a workflow with ID '{self.instance_id}' already exists and the create enforces instance ID uniqueness"
            )
        return f"an active workflow with ID '{self.instance_id}' already exists"


class ChildUnfinished(RequestRefused):
    """A finished instance cannot be replaced or purged while a descendant of it runs."""

    def __init__(self, instance_id: str, path: tuple[str, ...]) -> None:
        super().__init__(instance_id, path)
        self.instance_id = instance_id
        self.path = path  # from the child down to the descendant that still runs

    def __str__(self) -> str:
        steps = "".join(f"child workflow '{step}': " for step in self.path)
        return f"cannot recreate workflow with ID '{self.instance_id}': {steps}orchestration has not yet completed"


class DescendantsUnknown(RequestRefused):
    """The instance is finished and had children. The facade reads all descendants, then repeats the request."""

    def __init__(self, instance_id: str, execution_id: str) -> None:
        super().__init__(instance_id, execution_id)
        self.instance_id = instance_id
        self.execution_id = execution_id  # of the finished instance


class InstanceUnfinished(RequestRefused):
    """Only a finished instance can be purged."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(instance_id)
        self.instance_id = instance_id

    def __str__(self) -> str:
        return "orchestration has not yet completed"


class InstanceStalled(RequestRefused):
    """The instance's code no longer fits its history. It makes no progress until the code is mended."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(instance_id)
        self.instance_id = instance_id

    def __str__(self) -> str:
        return "workflow is stalled"


class InstanceNotSetAside(RequestRefused):
    """Only an instance that is set aside can be released."""

    def __init__(self, instance_id: str, status: str) -> None:
        super().__init__(instance_id, status)
        self.instance_id = instance_id
        self.status = status  # by its name

    def __str__(self) -> str:
        return f"instance {self.instance_id!r} is {self.status} and not set aside; there is nothing to release"


class EventRefused(Advised, RequestRefused):
    """The instance has ended and takes no event any more."""

    def __init__(self, instance_id: str, event: str, status: str) -> None:
        super().__init__(instance_id, event, status)
        self.instance_id = instance_id
        self.event = event  # its name
        self.status = status  # of the instance, by its name

    def parts(self) -> tuple[str, Advice]:
        problem = (
            f"event {self.event!r} was not taken: instance {self.instance_id!r} is {self.status}, and what has ended "
            "takes no events."
        )
        return problem, Advice.START_ANEW


class IdTaken(Advised, InstanceExists):
    """The id of a new instance already belongs to another one, finished or not, which the error describes."""

    def __init__(self, instance_id: str, *, name: str, status: str, restart: bool | None) -> None:
        super().__init__(instance_id)
        self.args = (instance_id, name, status, restart)
        self.name = name  # the workflow of the holder
        self.status = status  # of the holder, by its name
        self.restart = restart  # whether a restart was requested; None for a rerun or an import

    def parts(self) -> tuple[str, Advice | None]:
        taken = f"ID {self.instance_id!r} belongs to an instance of workflow {self.name!r}, which is {self.status}"
        if self.restart:
            return f"{taken}; only a finished one is restarted.", Advice.FORCE
        if self.restart is None:
            return f"{taken}; nothing was written. Choose another ID, or purge that one first.", None
        return f"{taken}; nothing was started.", Advice.IF_EXISTS


class KeyReused(RequestRefused):
    """An idempotency key was used for another start."""

    def __init__(self, instance_id: str, key: str) -> None:
        super().__init__(instance_id, key)
        self.instance_id = instance_id
        self.key = key

    def __str__(self) -> str:
        return (
            f"idempotency key {self.key!r} was used for a start with another input, which began instance "
            f"{self.instance_id!r}; nothing was started. Use a new key for a new start."
        )


class WorkflowUnknown(Advised, RequestRefused):
    """The app does not have the workflow, and no worker that might have it has ever been connected."""

    def __init__(self, name: str, *, app: str, nearest: tuple[str, ...]) -> None:
        super().__init__(name, app, nearest)
        self.name = name
        self.app = app
        self.nearest = nearest  # the names that are most like it

    def parts(self) -> tuple[str, Advice | None]:
        unknown = f"app {self.app!r} has no workflow {self.name!r}; nothing was started."
        if not self.nearest:
            return unknown, Advice.LIST_WORKFLOWS
        return f"{unknown} The nearest names are {', '.join(map(repr, self.nearest))}.", None


class RepairRefused(RequestRefused):
    """The instance does not wait for the entry to be repaired, or waits in a way that this repair does not end."""

    def __init__(self, instance_id: str, event_id: int, why: str, status: Status) -> None:
        super().__init__(instance_id, event_id, why, status)
        self.instance_id = instance_id
        self.event_id = event_id  # that the request names
        self.why = why  # the state of the instance, and what to do
        self.status = status  # of the instance

    def __str__(self) -> str:
        return f"event {self.event_id} of instance {self.instance_id!r} was not repaired: {self.why}"


class RunChanged(RequestRefused):
    """The id belongs to another run than the caller has seen."""

    def __init__(self, instance_id: str, *, expected: Sequence[str], found: str) -> None:
        super().__init__(instance_id, expected, found)
        self.instance_id = instance_id
        self.expected = tuple(expected)  # the execution ids of first generations
        self.found = found

    def __str__(self) -> str:
        wanted = " or ".join(map(repr, self.expected)) or "a run with a strong ETag"
        return (
            f"instance {self.instance_id!r} is another run by now: the request is for {wanted}, and the id "
            f"belongs to {self.found!r}. Nothing was done. Look at the instance again, and decide anew."
        )


class NoMatch(RequestRefused):
    """The instance does not, or not any more, fit the filter of the request."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(instance_id)
        self.instance_id = instance_id

    def __str__(self) -> str:
        return f"instance {self.instance_id!r} does not fit the filter of the request any more; nothing was done"


class NondeterminismError(PerdureError):
    """Workflow code does not fit the history. The instance stops, and goes on once the code fits again."""

    def __init__(
        self,
        *,
        instance_id: str,
        workflow: str,
        event_id: int | None,
        recorded: str,
        asked: str,
        hint: str | None = None,
    ) -> None:
        super().__init__(instance_id, workflow, event_id, recorded, asked)
        self.instance_id = instance_id
        self.workflow = workflow
        self.event_id = event_id
        self.recorded = recorded
        self.asked = asked
        self.hint = hint

    def __str__(self) -> str:
        where = f" at event {self.event_id}" if self.event_id is not None else ""
        usual = (
            "Usual causes: the workflow's code changed while this instance was running (keep the old order and use "
            "ctx.is_patched), or it reads a clock, a random number, the environment or the network itself "
            "(use ctx.now, ctx.random, ctx.uuid4 or an activity)."
        )
        return (
            f"workflow {self.workflow!r} no longer fits the history of instance {self.instance_id!r}{where}: "
            f"recorded {self.recorded}, now the code asks {self.asked}. {self.hint or usual}"
        )


class WorkflowMisuse(PerdureError):
    """Workflow code took a step that replay cannot repeat; the message names the way to do it."""


class TaskFailedError(CarriesFailure, PerdureError):
    """An activity or a child workflow failed. Raised in workflow code where its task is awaited."""

    def __init__(self, message: str, details: FailureDetails, call: FailedCall | None = None) -> None:
        super().__init__(message, details)
        self.message = message
        self.details = details  # the failure of the activity or the child itself, with its own traceback
        self.call = call  # which one it was, and which of its attempts

    def __str__(self) -> str:
        return self.message


class WorkflowFailed(PerdureError):
    """An instance ended, but not COMPLETED."""

    def __init__(self, state: InstanceState) -> None:
        super().__init__(state)
        self.state = state

    def __str__(self) -> str:
        failure = self.state.failure
        why = f": {failure.error_type}: {failure.message}" if failure is not None else ""
        if failure is not None and (call := failure.failed_call) is not None:
            cause = failure.failure_of_call
            why += f" (it was {call}" + (f": {cause.error_type})" if cause is not None else ")")
        return f"workflow instance {self.state.instance_id!r} ended {self.state.status.name}{why}"


class NonRetryableError(PerdureError):
    """Raised by an activity or a child: it is not tried again, even if the retry policy allows it."""

    non_retriable = True


class PayloadError(PerdureError, ValueError):
    """An input or an output is not JSON, or does not fit the type it is annotated with."""

    non_retriable = True


# The remedy for each limit that fails.
LIMIT_ADVICE = {
    "turn_commands_max": "Await between them, share the work among child workflows, or use ctx.continue_as_new.",
    "payload_bytes_max": "Store the data elsewhere, and pass where it is.",
    "name_bytes_max": "Choose a shorter one, and pass the rest as input.",
}


class LimitExceeded(InvalidRequest):
    """Workflow code, an activity or a caller has requested more than a limit allows (docs/limits.md)."""

    non_retriable = True

    def __init__(self, what: str, *, limit: str, found: int, maximum: int) -> None:
        super().__init__(what, limit, found, maximum)
        self.what = what  # the thing that exceeds the limit
        self.limit = limit  # its name, a field of WorkflowLimits
        self.found = found
        self.maximum = maximum

    def __str__(self) -> str:
        unit = "bytes" if "bytes" in self.limit else "commands"
        return (
            f"{self.what} has {self.found} {unit}, and the limit {self.limit} is {self.maximum}. "
            f"{LIMIT_ADVICE[self.limit]} Or raise the limit: --{self.limit.replace('_', '-')}."
        )


class InstanceFull(MailboxFull):
    """An instance that takes no events at present holds the maximum number of arrivals (docs/limits.md)."""

    def __init__(self, instance_id: str, *, held: int) -> None:
        super().__init__(Address("workflow", instance_id), messages_max=held)
        self.instance_id = instance_id
        self.held = held

    def __str__(self) -> str:
        return (
            f"instance {self.instance_id!r} holds {self.held} events that its code has not taken yet, because it is "
            "suspended or stalled, is to begin later or has no worker. The limit held_events_max is reached. Let the "
            "instance go on, and send the event again. Or raise the limit: --held-events-max."
        )


class EngineUsed(PerdureError):
    """An engine runs once."""

    def __str__(self) -> str:
        return "this engine has run already, and an engine runs once. Make another: Engine(app, data=...)."


class AsyncioNeeded(PerdureError):
    """`Engine.start` makes a task that outlives the caller's, and trio has none."""

    def __str__(self) -> str:
        return "engine.start() and engine.stop() are for asyncio. Here: async with Engine(app, data=...) as engine."


class AppError(PerdureError):
    """The app cannot be as it is written; the message names the reason."""
