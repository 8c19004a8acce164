"""The open requests of one execution: calls, timers, and waits for external events that have no answer yet.

The rule: it changes only when the code makes a request and when an event
is taken in, so replay makes it the same again. Event ids count up from 1 over
all kinds of commands.

In replay, the recorded commands of the turn decide whether a failed call was
tried again and whether a wait had a timeout, and not the present policies and
options. A deploy that changes these applies from the next decision on
(docs/design/recorded-decisions.md).

`runtime/execution/drive.py` records the requests of the code here and feeds the
events in. Whenever an event has answered a request, it lets the code go on.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from ...actors.text import described
from ...journal.line import Note
from ..authoring.codec import UNTYPED, Decoder
from ..authoring.misuse import interval_of
from ..authoring.retry import RetryPolicy, next_try_us
from ..authoring.task import Task
from ..dates import microseconds, to_us, within_time
from ..errors import PayloadError, TaskFailedError
from ..history.attempts import failed_attempt, failed_child, failed_for_good
from ..history.event import (
    ChildCompleted,
    ChildFailed,
    Command,
    EventRaised,
    TaskCompleted,
    TaskFailed,
    TimerCreated,
    TimerFired,
    TimerOrigin,
)
from ..history.failure import FailureDetails
from ..history.row import WAITS_TOLD_MAX
from .call import Call

C = TypeVar("C", bound=Command)


class Wait:
    """A wait for an external event."""

    __slots__ = ("name", "task", "timer_id")

    def __init__(self, name: str, task: Task[Any]) -> None:
        self.name = name  # as spelled
        self.task = task
        self.timer_id: int | None = None  # of its timeout


class Pending:
    """The open requests, the commands of the current turn, and the external events that came without a wait."""

    __slots__ = (
        "_last_id",
        "_raised",
        "_raised_by_name",
        "_raised_count",
        "_recorded_by_id",
        "_timeouts_recorded",
        "_timers",
        "calls",
        "cancelled_timers",
        "commands",
        "execution_id",
        "notes",
        "now_us",
        "replayed",
        "timeouts_differ",
        "unheard",
        "waits",
        "waits_added",
    )

    def __init__(self) -> None:
        # The execution sets these.
        self.execution_id = ""
        self.now_us = 0  # Unix time, microseconds: when the current turn began
        self.commands: list[Command] = []  # of the current turn, in the order of the code
        self.waits_added = 0  # in the current turn, without a timeout: they are no commands and cost as much memory
        self.cancelled_timers: list[int] = []  # timeouts of waits whose event came first
        self.notes: tuple[Note, ...] = ()  # of the current turn, for the log; none in replay

        self.unheard: list[tuple[Call, FailureDetails]] = []  # failed before the code waited for them

        # In replay: the commands that the history has of the turn, and the same by event id once one is needed. None
        # outside of replay: `recorded` need not be called for each command then.
        self.replayed: Sequence[Command] | None = None
        self._recorded_by_id: dict[int, Command] | None = None
        self._timeouts_recorded = False  # waits have the timeouts of the history rather than those of the code
        self.timeouts_differ = False  # and the two differ

        self.calls: dict[int, Call] = {}  # under way, by the event id of the try
        self._last_id = 0
        self._timers: dict[int, Callable[[], None]] = {}
        self.waits: dict[str, deque[Wait]] = {}  # by the event's name, case-folded, oldest first; none is empty
        # Raised and not waited for, by the number in which they came; and which numbers each name has.
        self._raised: dict[int, EventRaised] = {}
        self._raised_by_name: dict[str, deque[int]] = {}
        self._raised_count = 0

    def clear(self) -> None:
        """Drop all requests, and with them the references to their tasks and the execution."""
        for table in (self.calls, self._timers, self.waits):
            table.clear()
        self.unheard.clear()

    def recall(self, commands: Sequence[Command] | None, *, timeouts: bool) -> None:
        """Take the recorded commands of the next turn; see `Execution.recall`."""
        self.replayed = commands
        self._recorded_by_id = None
        self._timeouts_recorded = timeouts

    def recorded(self, event_id: int, kind: type[C]) -> C | None:
        """The command of this id in the history of the turn; None if it is of another kind, or the turn is new."""
        if self.replayed is None:
            return None
        by_id = self._recorded_by_id
        if by_id is None:
            by_id = self._recorded_by_id = {getattr(each, "event_id", 0): each for each in self.replayed}
        command = by_id.get(event_id)
        return command if isinstance(command, kind) else None

    # The code asks.

    def next_id(self) -> int:
        """Number a command."""
        self._last_id += 1
        return self._last_id

    def track(self, call: Call) -> int:
        """Count a try of a call and return its event id."""
        call.attempt += 1
        self._last_id = event_id = self._last_id + 1
        self.calls[event_id] = call
        if call.attempt == 1:
            call.first_id = event_id
        return event_id

    def create_timer(
        self,
        due_us: int,
        fire: Callable[[], None],
        *,
        origin: int = TimerOrigin.CREATE_TIMER,
        reference: str | None = None,
    ) -> int:
        """Request a timer and return its event id.

        Args:
            due_us: Unix time, microseconds.
            fire: Called when it has fired.
            origin: A TimerOrigin.
            reference: Its purpose, by the origin (TimerCreated in `runtime/history/event.py`).
        """
        event_id = self.next_id()
        self._timers[event_id] = fire
        self.commands.append(TimerCreated(event_id, due_us, origin, reference))
        return event_id

    def due_us(self, when: Any, verb: str) -> int:
        """A date, or an interval from now on, as Unix time in microseconds that the store can hold.

        Args:
            when: A number is seconds.
            verb: The method of the context, for errors.

        Raises:
            WorkflowMisuse: It is none of them.
        """
        if not isinstance(when, datetime | timedelta):
            when = interval_of(when, verb)
        return within_time(self.now_us + microseconds(when) if isinstance(when, timedelta) else to_us(when))

    def wait_for(self, name: str, task: Task[Any], timeout: Any) -> None:
        """Complete a task with the next external event of a name; upper and lower case are the same.

        The oldest event that came without a wait completes it at once, without a timer. When the timeout comes first,
        the task fails with TimeoutError.
        """
        due_us = self.due_us(timeout, "wait_for_external_event") if timeout is not None else None
        key = name.casefold()
        raised = self._raised_by_name.get(key)
        if raised:
            _resolve(task, UNTYPED, self._raised.pop(raised.popleft()).input)
            return
        wait = Wait(name, task)
        self.waits.setdefault(key, deque()).append(wait)
        if self.replayed is not None:
            due_us = self._timeout_us(name, due_us)
        if due_us is None:
            self.waits_added += 1
        else:
            wait.timer_id = self.create_timer(
                due_us,
                lambda: self._time_out(key, name, wait),
                origin=TimerOrigin.EXTERNAL_EVENT,
                reference=name,
            )

    def _timeout_us(self, name: str, due_us: int | None) -> int | None:
        """When a wait of the past times out.

        Args:
            due_us: The time that the code gives now; None without a timeout.
        """
        then = self.recorded(self._last_id + 1, TimerCreated)
        if then is not None and (then.origin, then.reference) != (TimerOrigin.EXTERNAL_EVENT, name):
            then = None
        if (then is None) == (due_us is None):
            return due_us
        # A timer of the next wait for the same event looks the same, so the code's timeout applies unless no replay
        # fits it.
        self.timeouts_differ = True
        if self._timeouts_recorded:
            return then.fire_at_us if then is not None else None
        return due_us

    def dropped(self) -> list[Call]:
        """The calls whose outcome the code has not waited for, and that are still under way."""
        return [call for call in self.calls.values() if not call.task.awaited]

    def unasked(self) -> list[EventRaised]:
        """The external events that were not waited for, in the order in which they came."""
        return list(self._raised.values())

    # Events answer, through the table ANSWERS.

    def _complete(self, event: TaskCompleted | ChildCompleted) -> bool:
        call = self.calls.pop(event.task_id, None)
        if call is None:
            return False
        _resolve(call.task, call.decoder, event.result)
        return True

    def _fail(self, event: TaskFailed | ChildFailed) -> bool:
        call = self.calls.pop(event.task_id, None)
        if call is None:
            return False
        failure = FailureDetails.unpack(event.failure) if event.failure is not None else _TERMINATED
        message = f"{call.what} task #{event.task_id} failed: {failure.message}"
        retry_us: int | None = None
        try:
            retry_us = self._try_again(call, failure)
        except BaseException as error:
            # A policy may be a class of the user's, and so may the collection of names in it.
            message += f" (and its retry policy raised {described(error)}, so it is not tried again)"
        if self.replayed is None:
            self._note_failure(call, event.task_id, failure, retry_us)
        if retry_us is not None:
            return False
        if not call.task.awaited:
            self.unheard.append((call, failure))
        call.task.fail(TaskFailedError(message, failure, call.failed(event.task_id)))
        return True

    def _note_failure(self, call: Call, task_id: int, failure: FailureDetails, retry_us: int | None) -> None:
        """Note a failed attempt for the log."""
        attempt, attempts_max = call.attempt, _attempts_max(call.policy)
        if call.is_activity and retry_us is not None:
            note = failed_attempt(
                call.name, task_id, failure, attempt=attempt, attempts_max=attempts_max, retry_us=retry_us
            )
        elif call.is_activity:
            note = failed_for_good(call.name, task_id, failure, attempt=attempt, attempts_max=attempts_max)
        elif retry_us is not None:
            note = failed_child(
                call.name,
                call.child_id,
                task_id,
                failure,
                attempt=attempt,
                attempts_max=attempts_max,
                retry_us=retry_us,
            )
        else:
            return
        self.notes = (*self.notes, note)

    def _try_again(self, call: Call, failure: FailureDetails) -> int | None:
        """Set the timer of the next try, if there is one.

        Returns:
            When it fires; Unix time, microseconds.
        """
        origin = TimerOrigin.ACTIVITY_RETRY if call.is_activity else TimerOrigin.CHILD_RETRY
        if self.replayed is not None and self._is_alone(call):
            then = self.recorded(self._last_id + 1, TimerCreated)
            same = then is not None and (then.origin, then.reference) == (origin, call.reference)
            due_us = then.fire_at_us if then is not None and same else None
        else:
            due_us = self._next_try_us(call, failure)
        if due_us is not None:
            self.create_timer(due_us, lambda: call.ask(call), origin=origin, reference=call.reference)
        return due_us

    def _next_try_us(self, call: Call, failure: FailureDetails) -> int | None:
        """When the policy has a failed call tried again; Unix time, microseconds. None if it does not."""
        if call.policy is None:
            return None
        return next_try_us(
            call.policy,
            failure,
            attempt=call.attempt,
            started_us=call.started_us,
            now_us=self.now_us,
            seed=f"{self.execution_id}:{call.first_id}",
        )

    def _is_alone(self, call: Call) -> bool:
        """Whether no other open call has the same reference; children with one id given by the code share it."""
        return all(other is call or other.reference != call.reference for other in self.calls.values())

    def _fire(self, event: TimerFired) -> bool:
        fire = self._timers.pop(event.timer_id, None)
        if fire is None:
            return False
        fire()
        return True

    def _time_out(self, key: str, name: str, wait: Wait) -> None:
        waits = self.waits[key]
        waits.remove(wait)
        if not waits:
            del self.waits[key]
        wait.task.fail(TimeoutError(f"no event {name!r} came in time"))

    def _raise(self, event: EventRaised) -> bool:
        key = event.name.casefold()
        waits = self.waits.get(key)
        if waits is None:
            self._raised_count += 1
            self._raised[self._raised_count] = event
            self._raised_by_name.setdefault(key, deque()).append(self._raised_count)
            return False
        wait = waits.popleft()
        if not waits:
            del self.waits[key]
        if wait.timer_id is not None:
            del self._timers[wait.timer_id]
            self.cancelled_timers.append(wait.timer_id)
        _resolve(wait.task, UNTYPED, event.input)
        return True


def told(waits: Mapping[str, Iterable[Wait]]) -> tuple[str | int, ...]:
    """The waits in the form for a row: the timer's id, or the event's name as spelled for a wait without a timer."""
    found = [wait.name if wait.timer_id is None else wait.timer_id for same in waits.values() for wait in same]
    return tuple(found[:WAITS_TOLD_MAX])


def _resolve(task: Task[Any], decoder: Decoder, payload: str | None) -> None:
    """Complete a task with a payload. One that cannot be read fails it."""
    try:
        value = decoder.decode(payload)
    except PayloadError as error:
        task.fail(error)
    else:
        task.succeed(value)


def _attempts_max(policy: RetryPolicy | None) -> int | None:
    """The attempts that a policy allows. The policy may be of a user's class, and so may its number."""
    if policy is None:
        return 1
    try:
        attempts: Any = policy.max_number_of_attempts
    except BaseException:
        return None
    return attempts if type(attempts) is int else None


_TERMINATED = FailureDetails(error_type="TerminatedError", message="the child workflow was terminated")

# The method that takes in an event of a type, and returns whether the event has answered a request, so that the code
# may go on. A table, and not a method that dispatches: each step of each workflow comes through here.
ANSWERS: dict[type[Any], Callable[[Pending, Any], bool]] = {
    TaskCompleted: Pending._complete,
    TaskFailed: Pending._fail,
    ChildCompleted: Pending._complete,
    ChildFailed: Pending._fail,
    TimerFired: Pending._fire,
    EventRaised: Pending._raise,
}
