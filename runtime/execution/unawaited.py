"""Calls that workflow code has made and never awaited, as notes for the log.

The rule: a call without an await is allowed, so nothing fails for it. Its outcome has no reader, and its failure
would be seen nowhere; so the end of the execution writes a note for the log on both, once.

Executions call it when their code is over.
"""

from collections.abc import Iterator

from ...journal.line import Note
from ...journal.vocabulary import CALL_NOT_AWAITED
from .call import Call
from .pending import Pending


def notes_of_unawaited(pending: Pending) -> Iterator[Note]:
    """Note the calls that failed before the code waited for them, and the first call that is still under way."""
    for call, failure in pending.unheard:
        if not call.task.awaited:
            yield _note(call, f"has failed: {failure.error_type}: {failure.message[:200]}", failure.error_type)
    dropped = pending.dropped()
    if dropped:
        more = f" ({len(dropped) - 1} more calls likewise)" if len(dropped) > 1 else ""
        yield _note(dropped[0], f"is under way, and its outcome will have no reader{more}")


def _note(call: Call, state: str, error_type: str | None = None) -> Note:
    kind = "activity" if call.is_activity else "child"
    named = f"{call.what.lower()} {call.name!r} (task {call.first_id})"
    values = {"call": named, "state": state, kind: call.name, "task_id": call.first_id, "error_type": error_type}
    return Note(CALL_NOT_AWAITED, values)
