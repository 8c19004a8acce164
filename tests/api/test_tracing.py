"""The configuration of traces is shown without secrets."""

from perdure.api.tracing import TraceProtocol, TraceTarget, TracingConfig


def test_headers_and_passwords_are_not_shown() -> None:
    target = TraceTarget(
        protocol=TraceProtocol.OTLP_HTTP, endpoint="https://me:secret@c:4318/v1/traces", headers=(("x-key", "secret"),)
    )
    config = TracingConfig(targets=(target, TraceTarget(protocol=TraceProtocol.ZIPKIN)), sampling=0.5)
    assert config.shown == {
        "targets": ["otlp-http c:4318/v1/traces", "zipkin OTEL_ variables"],
        "sampling": 0.5,
        "turns": False,
    }
