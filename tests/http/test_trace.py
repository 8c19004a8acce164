"""The W3C trace headers of a request become the trace of a start."""

import pytest
from starlette.requests import Request

from perdure.http.trace import trace_of

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("headers", "trace"),
    [
        ({}, None),
        ({"traceparent": PARENT}, (PARENT, "", None)),
        ({"traceparent": PARENT, "tracestate": "a=b"}, (PARENT, "", "a=b")),
        ({"traceparent": "nonsense"}, None),
    ],
)
def test_a_trace_is_read_or_is_none(headers: dict[str, str], trace: object) -> None:
    scope = {"type": "http", "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
    assert trace_of(Request(scope)) == trace
