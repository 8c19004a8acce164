"""Checks of the requests of workflow code: names that can be stored, and sizes within the limits.

The rule: an execution that goes beyond a limit fails with it, even if the code catches the error. In replay no limit
holds: recorded demands are repeated, also beyond the present limits (docs/limits.md).

Executions call these for values that are not plain and short, so that the usual call costs a comparison.
"""

from typing import Any, Protocol

from ...actors.text import clean, type_name
from ...journal.line import Note
from ...journal.vocabulary import LIMIT_NEAR
from ..authoring.app import WorkflowDefinition
from ..authoring.limits import WorkflowLimits, bytes_of
from ..errors import LimitExceeded, WorkflowMisuse


class Asking(Protocol):
    """The part of an execution that the checks need."""

    definition: WorkflowDefinition
    instance_id: str
    replaying: bool
    limits: WorkflowLimits
    exceeded: LimitExceeded | WorkflowMisuse | None
    notes: tuple[Note, ...]


def exceed(execution: Asking, what: str, limit: str, found: int) -> None:
    """Let an execution fail with a limit, unless it is replayed.

    Args:
        what: The thing that is too large, for people.
        limit: The name of a field of WorkflowLimits.
        found: The size or number of it.

    Raises:
        LimitExceeded: It is not replayed.
    """
    if execution.replaying:
        return
    what = f"{what} of workflow {execution.definition.name!r} in instance {execution.instance_id!r}"
    exceeded = LimitExceeded(what, limit=limit, found=found, maximum=getattr(execution.limits, limit))
    execution.exceeded = exceeded
    raise exceeded


def weigh(execution: Asking, what: str, payload: str) -> None:
    """Check the size of a payload that is not short, and note a large one for the log.

    Raises:
        LimitExceeded: It is too large.
    """
    found = bytes_of(payload)
    maximum = execution.limits.payload_bytes_max
    if found > maximum:
        exceed(execution, what, "payload_bytes_max", found)
    elif found > execution.limits.payload_bytes_warn and not execution.replaying:
        then = f"bytes; it fails above {maximum} (payload_bytes_max)"
        values = {"what": what, "limit": "payload_bytes_warn", "found": found, "then": then}
        execution.notes = (*execution.notes, Note(LIMIT_NEAR, values))


def plain_name(execution: Asking, what: str, name: Any) -> str:
    """Make a name plain text that can be stored: a `str` itself, without lone surrogates.

    Raises:
        WorkflowMisuse: It is no text.
        LimitExceeded: It is too long.
    """
    if not issubclass(type(name), str):
        shown = f" ({name!r})" if type(name) in (int, float, bool, type(None)) else ""
        raise WorkflowMisuse(f"{what} must be a str, not {type_name(name)}{shown}")
    # A subclass of str has methods of its own.
    plain = clean(str.__getitem__(name, slice(None)))
    if (found := bytes_of(plain)) > execution.limits.name_bytes_max:
        exceed(execution, f"{what} ({plain[:40]!r}…)", "name_bytes_max", found)
    return plain
