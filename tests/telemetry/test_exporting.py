"""Spans reach real collectors: OTLP over HTTP and gRPC, and Zipkin, with the name of the service and the headers."""

from typing import Any

import pytest

from perdure.api.tracing import TraceProtocol, TraceTarget, TracingConfig
from perdure.runtime.observing.spans import EndedSpan, SpanKind
from perdure.runtime.observing.trace_context import TraceContext
from perdure.telemetry.exporting import Exporting, resource_of

from ..support.doors.collectors import otlp_over_grpc, otlp_over_http, zipkin

CONTEXT = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", sampled=True)
SPAN = EndedSpan(SpanKind.ACTIVITY, "pay", CONTEXT, "00f067aa0ba902b7", 1_000_000, 2_000_000, (("a", "b"),))

COLLECTORS = {
    TraceProtocol.OTLP_HTTP: (otlp_over_http, "http://127.0.0.1:{}/v1/traces"),
    TraceProtocol.OTLP_GRPC: (otlp_over_grpc, "127.0.0.1:{}"),
    TraceProtocol.ZIPKIN: (zipkin, "http://127.0.0.1:{}/api/v2/spans"),
}


@pytest.mark.parametrize("protocol", list(COLLECTORS))
def test_what_is_left_at_the_end_is_sent_first(protocol: TraceProtocol) -> None:
    collected, address = COLLECTORS[protocol]
    with collected() as collector:
        target = TraceTarget(
            protocol=protocol, endpoint=address.format(collector.port), insecure=True, headers=(("x-key", "secret"),)
        )
        exporting = Exporting(TracingConfig(targets=(target,), sampling=1.0))
        exporting.traces_of("shop").span_ended(SPAN)
        exporting.close()
        [span] = collector.spans
    assert (span.name, span.trace_id, span.span_id, span.parent_id) == (
        "activity||pay", CONTEXT.trace_id, CONTEXT.span_id, "00f067aa0ba902b7",
    )  # fmt: skip
    assert span.attributes["a"] == "b"
    assert span.service == "shop"
    if protocol is not TraceProtocol.ZIPKIN:
        assert collector.headers["x-key"] == "secret"


def test_the_variables_name_the_service_and_add_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=production")
    assert resource_of("shop").attributes["service.name"] == "shop"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "checkout")
    found: Any = resource_of("shop").attributes
    assert (found["service.name"], found["service.namespace"]) == ("checkout", "production")


@pytest.mark.parametrize(("sampling", "sampled"), [(1.0, True), (0.0, False)])
def test_a_rate_decides_where_the_caller_has_not_sampled(sampling: float, sampled: bool) -> None:
    exporting = Exporting(TracingConfig(sampling=sampling))
    traces = exporting.traces_of("shop")
    assert traces.begin(None, "x")[0].sampled is sampled
    assert traces.begin(CONTEXT, "x")[0].sampled
    # .NET's HTTP client sends a trace that is not sampled with each call of a program that has no tracing.
    unsampled, _ = traces.begin(CONTEXT._replace(sampled=False), "x")
    assert (unsampled.sampled, unsampled.trace_id) == (sampled, CONTEXT.trace_id)
    exporting.close()


def test_without_a_rate_the_variable_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    assert not Exporting(TracingConfig()).traces_of("shop").begin(CONTEXT, "x")[0].sampled
