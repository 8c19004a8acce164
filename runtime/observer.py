"""Protocols of observers, which count workflows and activities that have ended.

The one law: an observer is told of the end of a workflow after the commit that
holds it, and once. After a crash between the two it is not told.

`telemetry/metrics.py` fulfils them. The engine tells an `Observer`, and the door
of remote workers an `ActivityWatch`.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from .history.status import Status


class Observer(Protocol):
    """Is told of the ends of workflows and of the app's own activities.

    It is called on the event loop, between turns, and must neither wait nor raise.
    """

    def workflow_ended(self, name: str, status: Status, took_s: float) -> None:
        """A generation of an instance has ended, `took_s` seconds after its beginning."""
        ...

    def app_activity_ended(self, name: str, *, failed: bool, took_s: float) -> None:
        """An activity of the app has run once, for `took_s` seconds. Activities of remote workers do not count here."""
        ...


SUCCESS, FAILED, RECOVERABLE = "success", "failed", "recoverable"  # Dapr's words for how an execution ends


class ActivityWatch(Protocol):
    """Is told of the activities of remote workers."""

    def activity_given(self, name: str, took_s: float) -> None:
        """An activity was sent to a worker; the sending took `took_s` seconds."""
        ...

    def activity_ended(self, name: str, status: str, took_s: float) -> None:
        """After `took_s` seconds the worker has answered (SUCCESS, FAILED), or left it to another (RECOVERABLE)."""
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
