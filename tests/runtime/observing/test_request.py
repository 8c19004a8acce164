"""A request has its own span, whether it fails or not; a request that is not sampled has none."""

from typing import Any

import anyio
import pytest

from perdure.runtime.instance.message import Start
from perdure.runtime.observing.request import traced_call, traced_start
from perdure.runtime.observing.spans import SpanKind
from perdure.runtime.observing.trace_context import TraceContext, context_of

from ...support.workflows.told_spans import NEW, TRACE, Told


def test_a_call_hands_its_own_place_on() -> None:
    told = Told()
    with traced_call(told, "/A/B", TRACE) as within:
        assert context_of(within) == TraceContext("0af7651916cd43dd8448eb211c80319c", NEW, sampled=True)
    [span] = told.spans
    assert (span.kind, span.name, span.parent, span.error) == (SpanKind.CALL, "/A/B", "b7ad6b7169203331", None)


def test_a_call_that_fails_is_a_span_that_failed() -> None:
    told = Told()
    with pytest.raises(ValueError, match="no"), traced_call(told, "/A/B", TRACE):
        raise ValueError("no")
    assert told.spans[0].error == "ValueError: no"


def test_without_spans_a_call_hands_its_callers_trace_on() -> None:
    with traced_call(None, "/A/B", TRACE) as within:
        assert within == TRACE


@pytest.mark.parametrize("trace", [TRACE, None])
def test_a_start_carries_its_span_if_that_is_sampled(trace: Any) -> None:
    told = Told()
    sent: list[Start] = []

    async def send(instance_id: str | None, start: Start) -> str:
        sent.append(start)
        return "made-up"

    assert anyio.run(traced_start, told, Start("w", None, "x", trace=trace), None, send) == "made-up"
    own = (f"00-0af7651916cd43dd8448eb211c80319c-{NEW}-01", "", None)
    assert [start.trace for start in sent] == [own if trace else None]
    ids = [dict(span.attributes)["durabletask.task.instance_id"] for span in told.spans]
    assert ids == (["made-up"] if trace else [])
