"""The failures of calls in the turns of remote workers: notes for the log, and the calls that failed.

The rule: a worker's failure is kept unchanged. The activity or child that failed, and its attempt, are found in the
history, where every try of a call has the same `task_execution_id` (contract 3.16).

`remote.py` calls these with the answer of a worker.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ...journal.line import Note
from ..history.attempts import AGAIN_UNKNOWN, failed_attempt, failed_child, failed_for_good
from ..history.event import (
    Arrival,
    ChildCreated,
    ChildFailed,
    Command,
    ExecutionCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerOrigin,
    failure_in,
)
from ..history.failure import ACTIVITY_CALL, CHILD_CALL, FailedCall, FailureDetails, shortened
from ..history.timed_event import TimedEvent

FAILURES = (TaskFailed, ChildFailed)


def failures_in(fed: Iterable[Arrival]) -> list[TaskFailed | ChildFailed]:
    """The failures of calls that a turn has fed, but not of children that were terminated."""
    return [event for event in fed if isinstance(event, FAILURES) and event.failure is not None]


def notes_of_failures(
    failed: Sequence[TaskFailed | ChildFailed], past: Sequence[TimedEvent], commands: Sequence[Command]
) -> Iterator[Note]:
    """Note failed attempts for the log.

    Args:
        failed: The failures that the turn has fed.
        past: The history up to this turn.
        commands: The requests of the code, timers of retries among them.
    """
    timers = [command for command in commands if isinstance(command, TimerCreated)]
    unsaid = any(timer.origin == TimerOrigin.UNSAID for timer in timers)
    for event in failed:
        failure, asked = failure_in(event), _asked(event, past)
        if failure is None or asked is None:
            continue
        attempt = _attempt(asked, past)
        retry_us = next((timer.fire_at_us for timer in timers if _is_retry(timer, asked)), None)
        if isinstance(asked, ChildCreated):
            if retry_us is not None:
                yield failed_child(
                    asked.name, asked.instance_id, event.task_id, failure, attempt=attempt, retry_us=retry_us
                )
        elif retry_us is not None:
            yield failed_attempt(asked.name, event.task_id, failure, attempt=attempt, retry_us=retry_us)
        elif unsaid:
            yield failed_for_good(asked.name, event.task_id, failure, attempt=attempt, then=AGAIN_UNKNOWN)
        else:
            yield failed_for_good(asked.name, event.task_id, failure, attempt=attempt)


def with_call(
    commands: Sequence[Command], failed: Sequence[TaskFailed | ChildFailed], past: Sequence[TimedEvent]
) -> list[Command]:
    """Name the call in the failure of an instance that ends because of it."""
    return [
        _with_call(command, failed, past) if isinstance(command, ExecutionCompleted) else command
        for command in commands
    ]


def _with_call(
    completed: ExecutionCompleted, failed: Sequence[TaskFailed | ChildFailed], past: Sequence[TimedEvent]
) -> ExecutionCompleted:
    failure = failure_in(completed)
    if failure is None:
        return completed
    for event in reversed(failed):
        cause, asked = failure_in(event), _asked(event, past)
        if cause is not None and asked is not None and _tells_of(failure, cause, alone=len(failed) == 1):
            told = failure.inner is not None and failure.inner.message == cause.message
            child = isinstance(asked, ChildCreated)
            call = FailedCall(
                kind=CHILD_CALL if child else ACTIVITY_CALL,
                name=asked.name,
                id=asked.instance_id if isinstance(asked, ChildCreated) else asked.event_id,
                attempt=_attempt(asked, past),
                failure=None if told else shortened(cause),
            )
            return completed._replace(failure=replace(failure, call=call).pack())
    return completed


def _tells_of(failure: FailureDetails, cause: FailureDetails, *, alone: bool) -> bool:
    """Whether a worker's failure comes from a call: SDKs repeat the call's message, or have it as the cause."""
    if failure.inner is not None and failure.inner.message == cause.message:
        return True
    if cause.message and cause.message in failure.message:
        return True
    return alone and "TaskFailed" in failure.error_type


def _asked(event: TaskFailed | ChildFailed, past: Sequence[TimedEvent]) -> TaskScheduled | ChildCreated | None:
    """The command that requested a call."""
    for timed in reversed(past):
        if timed.event_id == event.task_id and isinstance(timed.event, TaskScheduled | ChildCreated):
            return timed.event
    return None


def _attempt(asked: TaskScheduled | ChildCreated, past: Sequence[TimedEvent]) -> int | None:
    """The number of an attempt."""
    if isinstance(asked, TaskScheduled):
        if not asked.task_execution_id:
            return None
        tries = (
            timed.event_id
            for timed in past
            if isinstance(timed.event, TaskScheduled) and timed.event.task_execution_id == asked.task_execution_id
        )
    else:
        # Python's SDK gives each try the same id; those of Go and Java name the first try in the later ones.
        first = asked.retry_of or asked.instance_id
        tries = (
            timed.event_id
            for timed in past
            if isinstance(timed.event, ChildCreated) and first in (timed.event.instance_id, timed.event.retry_of)
        )
    return sum(1 for event_id in tries if event_id <= asked.event_id)


def _is_retry(timer: TimerCreated, asked: TaskScheduled | ChildCreated) -> bool:
    if isinstance(asked, TaskScheduled):
        return timer.origin == TimerOrigin.ACTIVITY_RETRY and timer.reference == asked.task_execution_id
    return timer.origin == TimerOrigin.CHILD_RETRY and timer.reference in (asked.instance_id, asked.retry_of)
