"""Traces: the spans of an engine as OpenTelemetry's (`Tracing` of `runtime/observing/observer.py`).

The rule: a span is exported once, complete, and only of a trace that is sampled. Its name, its kind and its attributes
are Dapr's.

    engine.trace(traces_of(provider))  # before the engine is entered

Spans are made when they have ended, so a processor's `on_start` is never called; it gets them with `on_end`. Importing
this needs the extra `otel`. `daemon/telemetry/tracing.py` makes them for a daemon.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import time_ns

from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.status import Status, StatusCode

from ..actors.release import own_release
from ..runtime.observing.spans import EndedSpan, SpanChoice, SpanKind
from ..runtime.observing.trace_context import TraceContext

logger = logging.getLogger(__name__)

SCOPE = "perdure"
DAPRS_CHOICE = SpanChoice()

# Source: durabletask-go, `helpers/tracing.go`; of calls dapr, `pkg/diagnostics/grpc_tracing.go`.
KINDS = {
    SpanKind.CREATE: otel.SpanKind.CLIENT,
    SpanKind.WORKFLOW: otel.SpanKind.SERVER,
    SpanKind.ACTIVITY: otel.SpanKind.SERVER,
    SpanKind.TIMER: otel.SpanKind.INTERNAL,
    SpanKind.EVENT: otel.SpanKind.CONSUMER,
    SpanKind.TURN: otel.SpanKind.INTERNAL,
    SpanKind.CALL: otel.SpanKind.CLIENT,
}


class Traces:
    """Makes OpenTelemetry's spans from an engine's spans.

    Args:
        processor: Takes the spans.
        resource: The service to which the spans belong.
        sampler: Decides for a start without a trace; for others it sees the flag of their trace.
        choice: The kinds of spans to make.
        now_us: The wall clock; Unix time, microseconds.
    """

    def __init__(
        self,
        processor: SpanProcessor,
        *,
        resource: Resource,
        sampler: Sampler,
        choice: SpanChoice = DAPRS_CHOICE,
        ids: IdGenerator | None = None,
        now_us: Callable[[], int] = lambda: time_ns() // 1_000,
    ) -> None:
        self.choice = choice
        self.now_us = now_us
        self._processor = processor
        self._resource = resource
        self._sampler = sampler
        self._ids = ids or RandomIdGenerator()
        self._scope = InstrumentationScope(SCOPE, own_release())

    def begin(self, parent: TraceContext | None, name: str) -> tuple[TraceContext, TraceContext | None]:
        """Begin a span, under the span of the caller if there is one."""
        above = _span_context(parent) if parent is not None else otel.get_current_span().get_span_context()
        if above.is_valid:
            parent = _context_of(above)
            within, trace_id = otel.set_span_in_context(NonRecordingSpan(above)), above.trace_id
        else:
            within, trace_id = otel_context.Context(), self._ids.generate_trace_id()
        result = self._sampler.should_sample(within, trace_id, name, kind=otel.SpanKind.CLIENT)
        state = result.trace_state.to_header() if result.trace_state is not None else None
        span_id = otel.format_span_id(self._ids.generate_span_id())
        context = TraceContext(
            otel.format_trace_id(trace_id), span_id, result.decision is Decision.RECORD_AND_SAMPLE, state or None
        )
        return context, parent

    def span_ended(self, span: EndedSpan) -> None:
        """Hand a span that has ended to OpenTelemetry. An error is logged, and the span is lost."""
        try:
            self._processor.on_end(self._readable(span))
        except Exception:  # a user's processor may raise any exception
            logger.exception("a span of kind %s was lost", span.kind)

    def current(self, context: TraceContext) -> AbstractContextManager[None]:
        """Make a span OpenTelemetry's current span while the context is entered."""
        return _current(_span_context(context))

    def _readable(self, span: EndedSpan) -> ReadableSpan:
        context = _span_context(span.context)
        parent = _span_context(span.context.at(span.parent)) if span.parent is not None else None
        ended_us = self.now_us() if span.ended_us is None else span.ended_us
        if span.kind is SpanKind.CALL:
            name = span.name
        else:
            name = f"{span.kind}||{span.name}" if span.name else span.kind.value
        return ReadableSpan(
            name=name,
            context=context,
            parent=parent,
            resource=self._resource,
            attributes=dict(span.attributes),
            events=[Event(each.name, dict(each.attributes), each.at_us * 1_000) for each in span.events],
            links=[Link(_span_context(span.link))] if span.link is not None else [],
            kind=KINDS[span.kind],
            status=Status(StatusCode.ERROR, span.error) if span.error is not None else Status(StatusCode.UNSET),
            start_time=span.began_us * 1_000,
            end_time=max(span.began_us, ended_us) * 1_000,
            instrumentation_scope=self._scope,
        )


def traces_of(provider: otel.TracerProvider, choice: SpanChoice = DAPRS_CHOICE) -> Traces:
    """Make traces that use a provider's processor, for an engine that a program embeds.

    Raises:
        TypeError: It is not a provider of OpenTelemetry's SDK; a provider of the API alone exports nothing.
    """
    if not isinstance(provider, TracerProvider):  # a caller without types may pass the API's
        raise TypeError(
            f"a TracerProvider of the SDK was expected, not {provider!r}. Give the one that your program "
            "has set up, or set one up: opentelemetry.trace.set_tracer_provider."
        )
    processor: SpanProcessor = provider.get_tracer(SCOPE).span_processor  # type: ignore[attr-defined]  # the SDK's tracer has it
    return Traces(processor, resource=provider.resource, sampler=provider.sampler, choice=choice)


@contextmanager
def _current(context: SpanContext) -> Iterator[None]:
    token = otel_context.attach(otel.set_span_in_context(NonRecordingSpan(context)))
    try:
        yield
    finally:
        otel_context.detach(token)


def _span_context(context: TraceContext) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT)
    state = TraceState.from_header([context.state]) if context.state else None
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), True, flags, state)


def _context_of(context: SpanContext) -> TraceContext:
    return TraceContext(
        otel.format_trace_id(context.trace_id),
        otel.format_span_id(context.span_id),
        context.trace_flags.sampled,
        context.trace_state.to_header() or None,
    )
