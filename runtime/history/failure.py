"""Failures: the facts of an exception that are stored, enough to show it and to raise it again elsewhere.

The rule: a failure is a value, and its packed form never changes its meaning, because files
hold it. A failure can be made of any exception, even if the exception's own methods fail.

Activities, children and workflows fail with one. Source: contract 3.15
(TaskFailureDetails).
"""

import traceback
from dataclasses import dataclass, replace
from typing import Any

from ...actors.text import cut, described, text_of, type_name


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCall:
    """The activity or the child whose failure caused this failure."""

    kind: str  # ACTIVITY_CALL or CHILD_CALL
    name: str  # of the activity, or of the child's workflow
    id: int | str  # the event id of the attempt; of a child its instance id
    attempt: int | None = None  # the number of the attempt, from 1 on; None: a worker's code did not say
    # The failure of the call, where it is not the `inner` one: SDKs have it in their message only.
    failure: "FailureDetails | None" = None

    def pack(self) -> tuple[Any, ...]:
        """The form in which it reaches the disk; pinned by a test."""
        packed = (self.kind, self.name, self.id, self.attempt)
        return packed if self.failure is None else (*packed, self.failure.pack())

    @classmethod
    def unpack(cls, packed: Any) -> "FailedCall":
        """Read the call that `pack` has written."""
        kind, name, id_, attempt, *rest = packed
        return cls(
            kind=kind, name=name, id=id_, attempt=attempt, failure=FailureDetails.unpack(rest[0]) if rest else None
        )

    def __str__(self) -> str:
        kind = "activity" if self.kind == ACTIVITY_CALL else "child workflow"
        which = f"task {self.id}" if self.kind == ACTIVITY_CALL else repr(self.id)
        return f"{kind} {self.name!r} ({which})" + (f", attempt {self.attempt}" if self.attempt is not None else "")


ACTIVITY_CALL, CHILD_CALL = "activity", "child"  # these reach the disk


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureDetails:
    """A failure as it stands in history and on the wire."""

    error_type: str  # the exception's class name
    message: str  # the exception's text
    stack_trace: str | None = None  # as Python prints it; of other languages as their SDK has it
    inner: "FailureDetails | None" = None  # the failure of the exception's cause
    non_retriable: bool = False  # no retry policy tries the call again
    wire: bytes | None = None  # the parts from an SDK without a field here: a serialized TaskFailureDetails
    # The failed call, if code has failed because of an activity or a child. It is never sent to a worker.
    call: FailedCall | None = None

    @property
    def cause(self) -> "FailureDetails | None":
        """The failure that led to this one: that of the exception's cause, or of the activity or child."""
        return self.inner if self.inner is not None or self.call is None else self.call.failure

    @property
    def failed_call(self) -> FailedCall | None:
        """The activity or child that failed, also where the code raised an error of its own because of it."""
        failure: FailureDetails | None = self
        while failure is not None:
            if failure.call is not None:
                return failure.call
            failure = failure.cause
        return None

    @property
    def failure_of_call(self) -> "FailureDetails | None":
        """The failure of that activity or child; None if there is none."""
        failure: FailureDetails | None = self
        while failure is not None:
            if failure.call is not None:
                return failure.cause
            failure = failure.cause
        return None

    @property
    def with_causes(self) -> "FailureDetails":
        """The same, with the failure of a call as its `inner` one where the code that failed has none of its own."""
        cause = self.cause
        return self if cause is None else replace(self, inner=cause.with_causes)

    @property
    def trace(self) -> str:
        """The failure and its causes as people read them, each with its own stack."""
        parts: list[str] = []
        failure: FailureDetails | None = self
        while failure is not None:
            parts.append(f"{failure.error_type}: {failure.message}")
            if failure.stack_trace:
                parts.append(failure.stack_trace.rstrip("\n"))
            if failure.cause is not None:
                parts.append(f"Caused by {failure.call}:" if failure.call is not None else "Caused by:")
            failure = failure.cause
        return "\n".join(parts)

    def pack(self) -> tuple[Any, ...]:
        """The form in which a failure reaches the disk; pinned by a test."""
        inner = self.inner.pack() if self.inner is not None else None
        packed = (self.error_type, self.message, self.stack_trace, inner, self.non_retriable)
        if self.call is not None:
            return (*packed, self.wire, self.call.pack())
        return packed if self.wire is None else (*packed, self.wire)

    @classmethod
    def unpack(cls, packed: Any) -> "FailureDetails":
        """Read the failure that `pack` has written."""
        error_type, message, stack_trace, inner, non_retriable, *rest = packed
        return cls(
            error_type=error_type,
            message=message,
            stack_trace=stack_trace,
            inner=cls.unpack(inner) if inner is not None else None,
            non_retriable=non_retriable,
            wire=rest[0] if rest else None,
            call=FailedCall.unpack(rest[1]) if len(rest) > 1 and rest[1] is not None else None,
        )


class CarriesFailure(Exception):
    """An exception that carries the failure of an activity or a child."""

    details: FailureDetails
    call: FailedCall | None = None


# The attributes as Python itself keeps them. A class may define its own of the same name, and those may raise or lie.
_traceback_of = BaseException.__dict__["__traceback__"].__get__
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_suppresses_context = BaseException.__dict__["__suppress_context__"].__get__
_members_of = BaseExceptionGroup.__dict__["exceptions"].__get__

# Of a traceback of more frames than both together, as a recursion has it, only the first and the last are kept.
FIRST_FRAMES, LAST_FRAMES = 32, 96
NOTES_MAX = 16
MEMBERS_MAX = 16  # of an exception group
CAUSES_MAX = 8


def failure_of(error: BaseException, *, frames_skipped: int = 0, depth: int = CAUSES_MAX) -> FailureDetails:
    """Describe an exception. This is the one function that looks at an exception of user code, and it never raises.

    Args:
        error: The exception.
        frames_skipped: The number of outermost frames to leave out: those of this package, which are of no use to the
            user.
        depth: How many causes to follow; a longer chain, or a loop, is cut there.

    Returns:
        A failure whose texts can be stored, each of 64 KiB at most. Notes and the members of an exception group stand
        at the end of its stack trace. A part that cannot be read, because the exception's own methods fail, is replaced
        by a sentence that says so.
    """
    cause = _cause_of(error)
    if cause is None and not _suppresses_context(error):
        cause = _context_of(error)
    stack_trace = _frames(error, frames_skipped) + _notes(error) + _members(error)
    inner, call = _carried(error)
    if inner is None and cause is not None and depth > 0:
        inner = failure_of(cause, depth=depth - 1)
    return FailureDetails(
        error_type=type_name(error),
        message=text_of(error),
        stack_trace=cut(stack_trace) or None,
        inner=inner,
        non_retriable=_non_retriable(error),
        call=call,
    )


def _carried(error: BaseException) -> tuple[FailureDetails | None, FailedCall | None]:
    """The failure of an activity or child that an exception carries, and the call that failed."""
    if not issubclass(type(error), CarriesFailure):
        return None, None
    try:
        details: Any = getattr(error, "details", None)
        call: Any = getattr(error, "call", None)
    except BaseException:
        return None, None
    if type(details) is not FailureDetails:
        return None, None
    return shortened(details), call if type(call) is FailedCall else None


def shortened(failure: FailureDetails, causes_max: int = CAUSES_MAX) -> FailureDetails:
    """A failure with at most `causes_max` causes below it: the first ones, and the last, which is the origin.

    Children of children pass their failures up, so a chain may be as long as a tree is deep.
    """
    chain = [failure]
    while (inner := chain[-1].inner) is not None:
        chain.append(inner)
    if len(chain) <= causes_max + 1:
        return failure
    made = chain[-1]
    for each in reversed(chain[:causes_max]):
        made = replace(each, inner=made)
    return made


def _frames(error: BaseException, skipped: int) -> str:
    first = _traceback_of(error)
    while first is not None and skipped > 0:
        first, skipped = first.tb_next, skipped - 1
    count, frame = 0, first
    while frame is not None:
        count, frame = count + 1, frame.tb_next
    try:
        if count <= FIRST_FRAMES + LAST_FRAMES:
            return "".join(traceback.format_tb(first))
        left_out = f"  ... {count - FIRST_FRAMES - LAST_FRAMES:,} frames are left out here ...\n"
        ends = traceback.format_tb(first, FIRST_FRAMES), traceback.format_tb(first, -LAST_FRAMES)
        return "".join((*ends[0], left_out, *ends[1]))
    except BaseException as failed:  # the lines come from loaders, and a loader may be user code
        return f"(the lines of the stack cannot be had: {type_name(failed)})\n" if first is not None else ""


def _notes(error: BaseException) -> str:
    try:
        notes: Any = getattr(error, "__notes__", None)
    except BaseException:
        return ""
    if type(notes) not in (list, tuple):
        return ""
    return "".join(f"note: {text_of(note)}\n" for note in notes[:NOTES_MAX])


def _members(error: BaseException) -> str:
    if not issubclass(type(error), BaseExceptionGroup):
        return ""
    members = _members_of(error)
    return "".join(
        f"{number} of {len(members)} in the group: {described(member)}\n"
        for number, member in enumerate(members[:MEMBERS_MAX], 1)
    )


def _non_retriable(error: BaseException) -> bool:
    try:
        return getattr(error, "non_retriable", False) is True
    except BaseException:
        return False
