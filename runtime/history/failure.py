"""Failures: the facts of an exception that are stored, enough to show it and to raise it again elsewhere.

The one law: a failure is a value, and its packed form never changes its meaning,
because files hold it.

Activities, children and workflows fail with one. Source: contract 3.15
(TaskFailureDetails).
"""

import traceback
from dataclasses import dataclass
from typing import Any

from ..text import clean


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureDetails:
    """A failure as it stands in history and on the wire."""

    error_type: str  # the exception's class name
    message: str
    stack_trace: str | None = None
    inner: "FailureDetails | None" = None
    non_retriable: bool = False
    wire: bytes | None = None  # the parts from an SDK without a field here: a serialized TaskFailureDetails

    def pack(self) -> tuple[Any, ...]:
        """The form in which a failure reaches the disk; pinned by a test."""
        inner = self.inner.pack() if self.inner is not None else None
        packed = (self.error_type, self.message, self.stack_trace, inner, self.non_retriable)
        return packed if self.wire is None else (*packed, self.wire)

    @classmethod
    def unpack(cls, packed: Any) -> "FailureDetails":
        error_type, message, stack_trace, inner, non_retriable, *rest = packed
        return cls(
            error_type=error_type,
            message=message,
            stack_trace=stack_trace,
            inner=cls.unpack(inner) if inner is not None else None,
            non_retriable=non_retriable,
            wire=rest[0] if rest else None,
        )


def failure_of(error: BaseException, *, frames_skipped: int = 0, depth: int = 8) -> FailureDetails:
    """Describe an exception.

    Args:
        error: The exception.
        frames_skipped: The number of outermost frames to leave out: those of this package, which tell the user nothing.
        depth: How many causes to follow; a longer chain, or a loop, is cut there.
    """
    frames = traceback.extract_tb(error.__traceback__)[frames_skipped:]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return FailureDetails(
        error_type=type(error).__name__,
        message=clean(str(error)),
        stack_trace=clean("".join(traceback.format_list(frames))) or None,
        inner=failure_of(cause, depth=depth - 1) if cause is not None and depth > 0 else None,
        non_retriable=getattr(error, "non_retriable", False) is True,
    )
