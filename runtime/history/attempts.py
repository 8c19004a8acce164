"""Failed attempts of calls, as notes for the log.

The rule: one failed attempt is one note. It says whether the call is tried again, so that the retry needs no line of
its own.
A child that is not tried again has no note here: its own failure is a line.

Native executions make them (`runtime/execution/pending.py`), and the turns of remote workers
(`runtime/instance/remote.py`).
"""

from collections.abc import Iterable

from ...journal.line import Note
from ...journal.vocabulary import ACTIVITY_FAILED, ATTEMPT_FAILED, CHILD_ATTEMPT_FAILED
from ..dates import rfc3339
from .event import TaskFailed
from .failure import FailureDetails

AGAIN_NOT = "It is not tried again"
AGAIN_UNKNOWN = "Whether it is tried again is for its worker to say"
UNREAD = "Its workflow has ended without waiting for it"


def failed_attempt(
    name: str,
    task_id: int,
    failure: FailureDetails,
    *,
    attempt: int | None = None,
    attempts_max: int | None = None,
    retry_us: int,
) -> Note:
    """An attempt of an activity has failed, and another follows.

    Args:
        name: Of the activity.
        attempt: Its number, from 1 on; None if unknown.
        retry_us: When it is tried again; Unix time, microseconds.
    """
    values = _values(name, task_id, failure, attempt, attempts_max)
    return Note(ATTEMPT_FAILED, values | {"retry_at": rfc3339(retry_us)})


def failed_for_good(
    name: str,
    task_id: int,
    failure: FailureDetails,
    *,
    attempt: int | None = None,
    attempts_max: int | None = None,
    then: str = AGAIN_NOT,
) -> Note:
    """The last attempt of an activity has failed.

    Args:
        then: The consequence, a sentence.
    """
    return Note(ACTIVITY_FAILED, _values(name, task_id, failure, attempt, attempts_max) | {"then": then})


def failed_child(
    name: str,
    child_id: str,
    task_id: int,
    failure: FailureDetails,
    *,
    attempt: int | None = None,
    attempts_max: int | None = None,
    retry_us: int,
) -> Note:
    """A child has failed, and another begins in its place.

    Args:
        name: Of its workflow.
        retry_us: When it begins; Unix time, microseconds.
    """
    values = _values(name, task_id, failure, attempt, attempts_max)
    del values["activity"]
    return Note(CHILD_ATTEMPT_FAILED, values | {"child": name, "child_id": child_id, "retry_at": rfc3339(retry_us)})


def took_ms(ended: Iterable[object], task_id: object, until_us: int) -> int | None:
    """How long a failed attempt took, in milliseconds; None if it is not known.

    Args:
        ended: The events that include its end.
        until_us: When the failure arrived, which is the only recorded time of its end; Unix time, microseconds.
    """
    for event in ended:
        if isinstance(event, TaskFailed) and event.task_id == task_id and event.began_us is not None:
            return max(0, until_us - event.began_us) // 1_000
    return None


def _values(
    name: str, task_id: int, failure: FailureDetails, attempt: int | None, attempts_max: int | None
) -> dict[str, object]:
    tried = "an attempt" if attempt is None else f"attempt {attempt}"
    if attempt is not None and attempts_max is not None and attempts_max >= attempt:
        tried += f" of {attempts_max}"
    return {
        "activity": name,
        "task_id": task_id,
        "attempt": attempt,
        "tried": tried,
        "error_type": failure.error_type,
        "reason": f"{failure.error_type}: {failure.message}",
    }
