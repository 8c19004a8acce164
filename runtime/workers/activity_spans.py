"""The spans of activities that workers perform: one for each dispatch of an activity.

The rule: the id of such a span follows from the token of the dispatch. So the worker's own spans are below it, even if
another host passes the answer on, or has the instance by that time.

The dispatcher and its streams use it.
"""

from typing import Protocol

from ..history.event import Trace
from ..instance.message import Invoke
from ..observing.observer import Tracing
from ..observing.spans import activity_span
from ..observing.trace_context import context_of, span_of_dispatch
from .items import ActivityAnswer


class Given(Protocol):
    """An activity that was dispatched; `Job` of `stream.py` fulfils it."""

    token: str
    earlier_tokens: tuple[str, ...]
    sent_us: int | None
    first_sent_us: int | None


class ActivitySpans:
    """Makes the spans of activities that workers perform."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def trace_of(self, invoke: Invoke, token: str) -> Trace | None:
        """The trace that a worker is given with an activity: that of the activity's own span."""
        above = context_of(invoke.trace)
        if above is None or not above.sampled:
            return invoke.trace
        return above.at(span_of_dispatch(token)).trace

    def lost(self, invoke: Invoke, token: str, sent_us: int | None) -> None:
        """Note that an activity is dispatched again, because the stream of its worker has ended."""
        self._tell(invoke, token, sent_us, "its worker went away")

    def answered(self, invoke: Invoke, job: Given, answer: ActivityAnswer) -> None:
        """Note the answer that counts."""
        answering = answer.token or job.token
        failure = answer.failure
        error = f"{failure.error_type}: {failure.message}" if failure is not None else None
        for token in (*job.earlier_tokens, job.token):
            sent_us = job.first_sent_us if token in job.earlier_tokens else job.sent_us
            if token == answering:
                self._tell(invoke, token, sent_us, error)
            elif sent_us is not None:
                self._tell(invoke, token, sent_us, "it was dispatched twice, and the other worker has answered first")

    def _tell(self, invoke: Invoke, token: str, sent_us: int | None, error: str | None) -> None:
        above = context_of(invoke.trace)
        if above is None or not above.sampled:
            return
        now_us = self._tracing.now_us()
        self._tracing.span_ended(
            activity_span(
                invoke,
                above.at(span_of_dispatch(token)),
                above,
                began_us=min(sent_us, now_us) if sent_us is not None else now_us,
                ended_us=now_us,
                error=error,
            )
        )
