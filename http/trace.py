"""Reads the trace of a request from W3C's headers traceparent and tracestate; a start records it.

The rule: a header that is not in W3C's form counts as missing.

`http/dapr/workflows.py` and `http/management/call.py` read it.
"""

from starlette.requests import Request

from ..runtime.history.event import Trace
from ..runtime.observing.trace_context import trace_of_headers


def trace_of(request: Request) -> Trace | None:
    """Return the trace of the caller of a request; None if the header is missing or not in W3C's form."""
    return trace_of_headers(request.headers.get("traceparent"), request.headers.get("tracestate"))
