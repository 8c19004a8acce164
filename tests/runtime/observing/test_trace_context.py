"""A trace context is read in W3C's form, also as Go's SDK sends it; an unreadable one is no trace."""

import pytest

from perdure.runtime.observing.trace_context import (
    TraceContext,
    context_of,
    root_of_generation,
    span_of_dispatch,
    span_of_execution,
    trace_of_headers,
)

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"


def test_what_is_written_is_read_again() -> None:
    for context in (TraceContext(TRACE_ID, SPAN_ID, True, "a=b"), TraceContext(TRACE_ID, SPAN_ID, False)):
        assert context_of(context.trace) == context


def test_the_deprecated_form_is_sampled() -> None:
    assert context_of((TRACE_ID, SPAN_ID, None)) == TraceContext(TRACE_ID, SPAN_ID, True)


@pytest.mark.parametrize(
    "traceparent",
    [
        "", "x", TRACE_ID, PARENT[:-1], PARENT.upper(), f"ff{PARENT[2:]}", f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_no_trace(traceparent: str) -> None:
    assert context_of((traceparent, "", None)) is None
    assert trace_of_headers(traceparent, None) is None


def test_a_later_version_may_have_more_behind() -> None:
    context = context_of((f"01{PARENT[2:]}-more", "", None))
    assert context is not None
    assert context.span_id == SPAN_ID


def test_headers_keep_a_tracestate_that_is_not_too_long() -> None:
    assert trace_of_headers(PARENT, "a=b") == (PARENT, "", "a=b")
    assert trace_of_headers(PARENT, "a=" + "b" * 600) == (PARENT, "", None)
    assert trace_of_headers(None, "a=b") is None


def test_ids_follow_from_what_is_stored() -> None:
    assert span_of_execution("x") == span_of_execution("x") != span_of_execution("y")
    assert span_of_dispatch("x") != span_of_execution("x")
    root = root_of_generation("x")
    assert root == root_of_generation("x")
    assert context_of(root.trace) == root
