"""Exporting: the exporters of a daemon's spans, made from its configuration.

The rule: OpenTelemetry's own variables (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER,
OTEL_BSP_... and so on), as its libraries read them, apply where the configuration has no value. Importing this module
needs the extra `otel`. `daemon/telemetry/tracing.py` uses it.
"""

from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased

from ..api.tracing import TraceProtocol, TraceTarget, TracingConfig
from ..runtime.observing.spans import SpanChoice
from .traces import Traces

OTLP_HTTP_PATH = "/v1/traces"


class Exporting:
    """The destinations of a daemon's spans, and the threads that send them."""

    def __init__(self, config: TracingConfig) -> None:
        self._processor: SpanProcessor = _processor_of(config.targets)
        sampler = sampler_of(config.sampling) if config.sampling is not None else None
        # The provider chooses a sampler by the variables if the configuration has no sampler.
        self._sampler = TracerProvider(sampler=sampler, shutdown_on_exit=False).sampler
        self._choice = SpanChoice(turns=config.turns, own_generations=config.own_generations)

    def traces_of(self, app_id: str) -> Traces:
        """Make the spans of an app.

        The name of their service is the app's, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES has another.
        """
        return Traces(self._processor, resource=resource_of(app_id), sampler=self._sampler, choice=self._choice)

    def close(self) -> None:
        """Send the remaining spans, and stop. It blocks until the collector answers or the exporter's timeout."""
        self._processor.shutdown()


def sampler_of(rate: float) -> Sampler:
    """Make a sampler for the traces that the caller has sampled, and for a share of the others.

    The flag of a caller that has *not* sampled is ignored: .NET's HTTP client, and so Dapr's SDK for .NET, sends such a
    context with each call of a program without tracing. daprd makes the spans of its activities nevertheless.
    """
    share = TraceIdRatioBased(rate)
    return ParentBased(share, remote_parent_not_sampled=share)


def resource_of(app_id: str) -> Resource:
    """The resource of the spans: a service with the app's id as its name, and values of the OTEL_ variables."""
    return Resource.create({SERVICE_NAME: app_id}).merge(OTELResourceDetector().detect())


def _processor_of(targets: tuple[TraceTarget, ...]) -> SpanProcessor:
    processor = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call]
    for target in targets:
        processor.add_span_processor(BatchSpanProcessor(EXPORTERS[target.protocol](target)))
    return processor


def _options(target: TraceTarget) -> dict[str, Any]:
    return {
        "endpoint": target.endpoint,
        "headers": dict(target.headers) or None,
        "timeout": target.timeout_s,
    }


def _otlp_http(target: TraceTarget) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  a third of a second

    return OTLPSpanExporter(**_options(target))


def _otlp_grpc(target: TraceTarget) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  as above

    return OTLPSpanExporter(**_options(target), insecure=target.insecure)


def _zipkin(target: TraceTarget) -> SpanExporter:
    from opentelemetry.exporter.zipkin.json import ZipkinExporter  # noqa: PLC0415  as above

    return ZipkinExporter(endpoint=target.endpoint)


EXPORTERS: dict[TraceProtocol, Callable[[TraceTarget], SpanExporter]] = {
    TraceProtocol.OTLP_HTTP: _otlp_http,
    TraceProtocol.OTLP_GRPC: _otlp_grpc,
    TraceProtocol.ZIPKIN: _zipkin,
    TraceProtocol.CONSOLE: lambda target: ConsoleSpanExporter(),
}
