"""A request of the client is part of the trace of its program."""

import subprocess
import sys

import opentelemetry.trace as otel
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from perdure.client.api_server import ApiRequest
from perdure.client.trace import trace_headers

CONTEXT = SpanContext(
    0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, False, TraceFlags(1), TraceState([("a", "b")])
)


def test_headers_are_those_of_the_current_span() -> None:
    with otel.use_span(NonRecordingSpan(CONTEXT)):
        headers = ApiRequest("GET", "/api/v1/instances").all_headers
    assert headers["traceparent"] == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert headers["tracestate"] == "a=b"


def test_outside_of_a_span_there_are_none() -> None:
    assert trace_headers() == {}


def test_nothing_is_imported_for_it() -> None:
    program = (
        "import sys; from perdure.client.trace import trace_headers; assert trace_headers() == {}; "
        "assert 'opentelemetry' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
