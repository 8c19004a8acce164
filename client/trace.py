"""The trace of a caller: W3C's headers of the span that is current in its program, if that has OpenTelemetry.

The rule: nothing is imported for it. A program without OpenTelemetry sends no such header.
"""

import sys


def trace_headers() -> dict[str, str]:
    """Make the headers; none if no span is current."""
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
