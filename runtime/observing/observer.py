"""Protocols of observers, which count workflows and activities that have ended.

The rule: an observer is notified of the end of a workflow once, after the commit
that holds it. After a crash between the two it is not notified.

`telemetry/metrics.py` fulfils the first three. The engine notifies an `Observer`, and the door
of remote workers an `ActivityWatch`. `telemetry/traces.py` fulfils `Tracing`.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol

from ...actors.address import Address
from ..history.status import Status
from .spans import EndedSpan, SpanChoice
from .trace_context import TraceContext


class Observer(Protocol):
    """Is notified of the ends of workflows and of the app's own activities.

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
    """Is notified of the activities of remote workers."""

    def activity_given(self, name: str, took_s: float) -> None:
        """An activity was sent to a worker; the sending took `took_s` seconds."""
        ...

    def activity_ended(self, name: str, status: str, took_s: float) -> None:
        """After `took_s` seconds the worker has answered (SUCCESS, FAILED), or left it to another (RECOVERABLE)."""
        ...


class OperationWatch(Protocol):
    """Is notified of the operations that callers request of a facade."""

    def operation(self, name: str) -> AbstractContextManager[None]:
        """Make the context of an operation: it is left when the operation ends, with the error of one that fails.

        Args:
            name: The method of the facade, `start` for example. The methods that it calls itself are not reported.
        """
        ...

    def of_app(self, app_id: str) -> "OperationWatch":
        """The watch of the operations on the instances of an app."""
        ...


class Tracing(Protocol):
    """Takes spans. It is called on the event loop, and must neither wait nor raise."""

    @property
    def choice(self) -> SpanChoice:
        """Which spans are made."""
        ...

    def now_us(self) -> int:
        """The wall clock; Unix time, microseconds."""
        ...

    def begin(self, parent: TraceContext | None, name: str) -> tuple[TraceContext, TraceContext | None]:
        """Give a new span its place, and say which span is above it.

        Args:
            parent: The span that the caller has named; None: the span that is current in the caller's code, if there is
                one.
            name: The span's.

        Returns:
            The place, in the trace of the parent, or else in a new one that may not be sampled; and the parent.
        """
        ...

    def span_ended(self, span: EndedSpan) -> None:
        """Take a span that has ended. Its trace is sampled."""
        ...

    def current(self, context: TraceContext) -> AbstractContextManager[None]:
        """Make a context in which the spans that user code begins are below one of ours."""
        ...


class Ended(NamedTuple):
    """An instance has ended. Sent to the audience."""

    name: str  # the workflow's
    status: int  # a Status
    took_us: int  # since the instance was created


class Audience:
    """The listeners to the commits of an engine's turns. There are none at first."""

    def __init__(self) -> None:
        self.observer: Observer | None = None
        self.tracing: Tracing | None = None

    def tell_end(self, address: Address, ended: Ended) -> None:
        """Notify the observer that an instance has ended."""
        if self.observer is not None:
            self.observer.workflow_ended(ended.name, Status(ended.status), ended.took_us / 1e6)

    def tell_spans(self, address: Address, spans: Sequence[EndedSpan]) -> None:
        """Hand spans that have ended to the tracing."""
        if self.tracing is not None:
            for span in spans:
                self.tracing.span_ended(span)


class Unwatched:
    """Ignores all operations."""

    def operation(self, name: str) -> AbstractContextManager[None]:
        return NOTHING

    def of_app(self, app_id: str) -> "Unwatched":
        return self


NOTHING = nullcontext()
UNWATCHED = Unwatched()
