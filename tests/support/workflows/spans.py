"""An engine whose spans stay in memory, and how a trace of them is drawn."""

from collections.abc import Iterable, Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler

from perdure.runtime.observing.spans import SpanChoice
from perdure.telemetry.traces import Traces


class Memory:
    """Spans in memory, and what makes them."""

    def __init__(self, choice: SpanChoice | None = None, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self.traces = Traces(
            SimpleSpanProcessor(self._exporter),
            resource=Resource({"service.name": "shop"}),
            sampler=sampler or ParentBased(ALWAYS_ON),
            choice=choice or SpanChoice(),
        )

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    @property
    def names(self) -> list[str]:
        return sorted(span.name for span in self.spans)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        [span] = self.named(name)
        return span


def trace_ids(spans: Iterable[ReadableSpan]) -> set[int]:
    return {span.context.trace_id for span in spans}


def tree(spans: Sequence[ReadableSpan]) -> list[str]:
    """Draw spans as lines: two blanks for each span above, the children in the order of their beginnings."""
    by_parent: dict[int | None, list[ReadableSpan]] = {}
    known = {span.context.span_id for span in spans}
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        above = span.parent.span_id if span.parent is not None and span.parent.span_id in known else None
        by_parent.setdefault(above, []).append(span)
    lines: list[str] = []

    def draw(above: int | None, depth: int) -> None:
        for span in by_parent.get(above, []):
            lines.append("  " * depth + span.name)
            draw(span.context.span_id, depth + 1)

    draw(None, 0)
    return lines
