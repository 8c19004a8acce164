"""The trace of a request: W3C's headers traceparent and tracestate, as a start carries them on.

The rule: a header that breaks the form of W3C is taken for none.

`http/dapr/workflows.py` and `http/management/call.py` read it.
"""

from starlette.requests import Request

from ..runtime.history.event import Trace
from ..runtime.observing.trace_context import trace_of_headers


def trace_of(request: Request) -> Trace | None:
    """Read the trace that the caller of a request is part of; None: it is part of none, or the header is not W3C's."""
    return trace_of_headers(request.headers.get("traceparent"), request.headers.get("tracestate"))
