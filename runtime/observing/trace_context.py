"""Trace contexts: the places of spans in traces, in the form of W3C's Trace Context, as events and messages carry them.

The rule: a text that cannot be read is no trace, and never an error. An id that has to be the same after a restart
follows from stored values; none is random.

Source: contract 3.18; https://www.w3.org/TR/trace-context/.
"""

import re
from hashlib import blake2b
from typing import NamedTuple

from ..history.event import Trace

# The version `ff` is forbidden. A later version than 00 may have more behind the flags.
TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(-.*)?"
)
SPAN_ID = re.compile(r"[0-9a-f]{16}")
TRACE_ID = re.compile(r"[0-9a-f]{32}")
NO_TRACE, NO_SPAN = "0" * 32, "0" * 16  # ids that W3C has as invalid
SAMPLED = 1  # the flag
STATE_CHARS_MAX = 512  # of a tracestate that is kept; W3C lets a longer one be dropped


class TraceContext(NamedTuple):
    """A span's place: the trace, and the span in it."""

    trace_id: str  # 32 hexadecimal digits
    span_id: str  # 16
    sampled: bool
    state: str | None = None  # W3C's tracestate

    @property
    def trace(self) -> Trace:
        """The form in which events and messages carry it."""
        return f"00-{self.trace_id}-{self.span_id}-{SAMPLED if self.sampled else 0:02x}", "", self.state

    def at(self, span_id: str) -> "TraceContext":
        """The place of another span in the same trace."""
        return self._replace(span_id=span_id)


def context_of(trace: Trace | None) -> TraceContext | None:
    """Read the trace of an event or a message; None if it is missing or cannot be read.

    Go's SDK sends the id of the trace alone, and the span's id beside it; such a trace is sampled (contract 3.18).
    """
    if trace is None:
        return None
    traceparent, span_id, state = trace
    found = TRACEPARENT.fullmatch(traceparent)
    if found is not None:
        trace_id, span_id, sampled = found["trace"], found["span"], bool(int(found["flags"], 16) & SAMPLED)
    elif TRACE_ID.fullmatch(traceparent) and SPAN_ID.fullmatch(span_id):
        trace_id, sampled = traceparent, True
    else:
        return None
    if trace_id == NO_TRACE or span_id == NO_SPAN:
        return None
    return TraceContext(trace_id, span_id, sampled, state)


def trace_of_headers(traceparent: str | None, tracestate: str | None) -> Trace | None:
    """Read a trace from the headers of a request; None if they are missing or not W3C's."""
    if traceparent is None or TRACEPARENT.fullmatch(traceparent) is None:
        return None
    state = tracestate if tracestate and len(tracestate) <= STATE_CHARS_MAX else None
    trace: Trace = (traceparent, "", state)
    return trace if context_of(trace) is not None else None


def span_of_execution(execution_id: str) -> str:
    """The id of the span of a generation, the same after each restart."""
    return _hex(f"execution/{execution_id}", SPAN_BYTES)


def span_of_dispatch(token: str) -> str:
    """The id of the span of an activity that a worker was given under a token, the same on each host."""
    return _hex(f"dispatch/{token}", SPAN_BYTES)


def root_of_generation(execution_id: str) -> TraceContext:
    """The root of a trace of its own for a generation, as Dapr makes one at each continue-as-new (contract 3.18)."""
    trace_id = _hex(f"generation/{execution_id}", TRACE_BYTES)
    return TraceContext(trace_id, _hex(f"root/{execution_id}", SPAN_BYTES), sampled=True)


SPAN_BYTES, TRACE_BYTES = 8, 16


def _hex(text: str, size: int) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()
