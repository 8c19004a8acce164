"""W3C's trace headers for the current span of the calling program, if it uses OpenTelemetry.

The rule: it imports no library. A program without OpenTelemetry sends no such header.
"""

import sys


def trace_headers() -> dict[str, str]:
    """Make the headers; empty without a current span."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return {}
    context = api.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    headers = {"traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"}
    if state := context.trace_state.to_header():
        headers["tracestate"] = state
    return headers
