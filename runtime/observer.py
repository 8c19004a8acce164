"""Observers: who is told what came to an end, such as a counter for Prometheus.

The one law: what an observer is told of a workflow is durable. It is told once
while the process lives, and a crash may take the word but not the deed.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from .history.status import Status


class Observer(Protocol):
    """Called on the event loop, between turns; it must not wait, nor raise."""

    def workflow_ended(self, name: str, status: Status, took_s: float) -> None:
        """A generation of an instance has ended, so long after its beginning."""
        ...

    def app_activity_ended(self, name: str, *, failed: bool, took_s: float) -> None:
        """The app's own activity has run, once. Those of remote workers are not told here."""
        ...


SUCCESS, FAILED, RECOVERABLE = "success", "failed", "recoverable"  # Dapr's words for how an execution ends


class ActivityWatch(Protocol):
    """Is told what becomes of activities."""

    def activity_given(self, name: str, took_s: float) -> None:
        """A worker was sent one; the sending took so long."""
        ...

    def activity_ended(self, name: str, status: str, took_s: float) -> None:
        """After so long a worker has answered (SUCCESS, FAILED), or another is to do it (RECOVERABLE)."""
        ...


class OperationWatch(Protocol):
    """Is told of the operations that callers ask of a facade."""

    def operation(self, name: str) -> AbstractContextManager[None]:
        """Make the context of an operation: it is left when the operation ends, with the error of one that fails.

        Args:
            name: The method of the facade, `start` for example. What a method asks of others is not told.
        """
        ...


class Unwatched:
    """Takes no note of any operation."""

    def operation(self, name: str) -> AbstractContextManager[None]:
        return NOTHING


NOTHING = nullcontext()
UNWATCHED = Unwatched()
