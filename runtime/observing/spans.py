"""Spans: the steps of an instance, as parts of a trace. The names and attributes are Dapr's.

The rule: a span is made from values alone, when it has ended, and reported once, after the commit that holds its end.
The notes that an instance keeps for its spans (`SpanNotes`) can be made again from its history.

Turns, the facade, the activity actors and the dispatcher make them; `telemetry/traces.py` exports them.
Source: contract 3.18; durabletask-go, `helpers/tracing.go` and `backend/orchestration.go`.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeAlias

from ..history.event import (
    STALL_REASONS,
    Event,
    EventRaised,
    ExecutionResumed,
    ExecutionStalled,
    ExecutionSuspended,
    TimerCreated,
    TimerFired,
    Trace,
)
from ..history.row import Row
from .trace_context import TraceContext, context_of, root_of_generation, span_of_execution

Attribute: TypeAlias = tuple[str, str | int | tuple[str, ...]]

# Events that are remembered of a span: as many as OpenTelemetry keeps of one.
EVENTS_MAX = 128

# Timers whose beginnings are remembered. The spans of further ones begin where they end.
TIMERS_MAX = 1_000


class SpanKind(StrEnum):
    """The kinds of spans, by the first part of their names."""

    CREATE = "create_orchestration"  # a request to start an instance
    WORKFLOW = "orchestration"  # a generation of an instance, from its first turn to its end
    ACTIVITY = "activity"  # one attempt
    TIMER = "timer"  # from its setting until it fired
    EVENT = "orchestration_event"  # an event that an instance was sent
    TURN = "turn"  # a turn with its commit; ours, on request
    CALL = "call"  # a call of a method, whose name is the span's


class SpanEvent(NamedTuple):
    """A moment of a span."""

    name: str
    at_us: int  # Unix time, microseconds
    attributes: tuple[Attribute, ...]


class EndedSpan(NamedTuple):
    """A span that has ended."""

    kind: SpanKind
    name: str  # of the workflow, the activity or the event; of a timer ""
    context: TraceContext
    parent: str | None  # the id of the span above it; None: it is a root
    began_us: int  # Unix time, microseconds
    ended_us: int | None  # None: it ends when it is reported
    attributes: tuple[Attribute, ...] = ()
    events: tuple[SpanEvent, ...] = ()
    error: str | None = None  # why it failed
    link: TraceContext | None = None  # of a later generation in a trace of its own: the span of the one before


class SpanChoice(NamedTuple):
    """Which spans an engine makes beside Dapr's."""

    turns: bool = False  # one for each turn
    # A generation that continues as new begins a trace of its own, as in Dapr; else it stays in that of the first.
    own_generations: bool = False


class SpanNotes:
    """The facts of a generation that its span needs, kept in the record of its instance.

    Args:
        above: The context in which the generation began.
        parent: The id of the span above it; None: it is the root of a trace.
        context: Of the span of the generation.
        link: The span of the generation before, if that is in another trace.
    """

    __slots__ = ("above", "context", "events", "link", "parent", "timers")

    def __init__(
        self, above: TraceContext, context: TraceContext, link: TraceContext | None, *, parent: str | None
    ) -> None:
        self.above = above
        self.parent = parent
        self.context = context
        self.link = link
        self.events: list[SpanEvent] = []
        self.timers: dict[int, int] = {}  # by id: when each was set; Unix time, microseconds

    def remember(self, rows: Iterable[Row]) -> None:
        """Take in a history, whose spans have been reported."""
        for row in rows:
            self._take_in(row.at_us, (*(row.turn or ()), *row.held))

    def take_in(self, at_us: int, events: Iterable[Event], instance_id: str) -> list[EndedSpan]:
        """Take in the events of a turn, and return the spans of the events that have one."""
        return [
            self._span_of(at_us, event, began_us, instance_id, place)
            for place, (event, began_us) in enumerate(self._take_in(at_us, events))
        ]

    def _take_in(self, at_us: int, events: Iterable[Event]) -> list[tuple[TimerFired | EventRaised, int]]:
        """Take in events; return the ones that have spans, each with its beginning."""
        spans: list[tuple[TimerFired | EventRaised, int]] = []
        for event in events:
            if isinstance(event, TimerCreated):
                if len(self.timers) < TIMERS_MAX:
                    self.timers[event.event_id] = at_us
            elif isinstance(event, TimerFired):
                spans.append((event, self.timers.pop(event.timer_id, at_us)))
            elif isinstance(event, NOTABLE):
                if len(self.events) < EVENTS_MAX:
                    self.events.append(_moment(at_us, event))
                if isinstance(event, EventRaised):
                    spans.append((event, at_us))
        return spans

    def _span_of(
        self, at_us: int, event: TimerFired | EventRaised, began_us: int, instance_id: str, place: int
    ) -> EndedSpan:
        whose: tuple[Attribute, ...] = (("durabletask.task.instance_id", instance_id),)
        if isinstance(event, EventRaised):
            kind, name = SpanKind.EVENT, event.name
            what: tuple[Attribute, ...] = (("durabletask.type", "event"), ("durabletask.event.name", event.name))
        else:
            kind, name = SpanKind.TIMER, ""
            what = (
                ("durabletask.type", "timer"),
                ("durabletask.fire_at", _rfc3339(event.fire_at_us)),
                ("durabletask.task.task_id", event.timer_id),
            )
        span_id = span_of_execution(f"{self.context.span_id}/{kind}/{place}/{at_us}")
        return EndedSpan(kind, name, self.context.at(span_id), self.context.span_id, began_us, at_us, (*what, *whose))

    def ended(
        self,
        name: str,
        status: str,
        *,
        instance_id: str,
        version: str | None,
        began_us: int,
        ended_us: int,
        error: str | None,
        patches: Sequence[str] = (),
    ) -> EndedSpan:
        """Make the span of a generation that has ended.

        Args:
            name: The workflow's.
            status: The word for how it has ended.
            began_us, ended_us: Unix time, microseconds.
            error: Why it has failed.
        """
        attributes: list[Attribute] = [
            ("durabletask.type", "orchestration"),
            ("durabletask.task.name", name),
            ("durabletask.task.instance_id", instance_id),
            ("durabletask.runtime_status", status),
        ]
        if version:
            attributes.append(("durabletask.task.version", version))
        if patches:
            attributes.append(("applied_patches", tuple(patches)))
        return EndedSpan(
            SpanKind.WORKFLOW,
            name,
            self.context,
            self.parent,
            began_us,
            ended_us,
            tuple(attributes),
            tuple(self.events),
            error,
            self.link,
        )

    def turn(self, name: str, instance_id: str, *, began_us: int, fed: int, asked: int) -> EndedSpan:
        """Make the span of a turn. It ends when it is reported, after the commit."""
        attributes: tuple[Attribute, ...] = (
            ("durabletask.type", "turn"),
            ("durabletask.task.name", name),
            ("durabletask.task.instance_id", instance_id),
            ("perdure.turn.fed", fed),
            ("perdure.turn.asked", asked),
        )
        context = self.context.at(span_of_execution(f"{self.context.span_id}/turn/{began_us}"))
        return EndedSpan(SpanKind.TURN, name, context, self.context.span_id, began_us, None, attributes)


NOTABLE = (EventRaised, ExecutionSuspended, ExecutionResumed, ExecutionStalled)


def _moment(at_us: int, event: EventRaised | ExecutionSuspended | ExecutionResumed | ExecutionStalled) -> SpanEvent:
    """Describe an event that stands on the span of its generation, in Dapr's words."""
    if isinstance(event, EventRaised):
        size = len((event.input or "").encode("utf-8", "surrogatepass"))
        return SpanEvent("Received external event", at_us, (("name", event.name), ("size", size)))
    if isinstance(event, ExecutionSuspended):
        return SpanEvent("Execution suspended", at_us, (("reason", event.reason or ""),))
    if isinstance(event, ExecutionResumed):
        return SpanEvent("Execution resumed", at_us, (("reason", event.reason or ""),))
    return SpanEvent(
        "Execution stalled", at_us, (("reason", STALL_REASONS[event.reason]), ("description", event.description))
    )


def notes_of(trace: Trace | None, execution_id: str, link: TraceContext | None = None) -> SpanNotes | None:
    """Begin the notes of a generation; None without a trace, or if it is not sampled."""
    above = context_of(trace)
    if above is None or not above.sampled:
        return None
    # The root of a generation's own trace is a place without a span.
    parent = above.span_id if above != root_of_generation(execution_id) else None
    return SpanNotes(above, above.at(span_of_execution(execution_id)), link, parent=parent)


def next_trace(notes: SpanNotes, execution_id: str, choice: SpanChoice) -> tuple[Trace, TraceContext | None]:
    """The trace of the generation that follows, and the span that it is linked to if that is in another trace."""
    if choice.own_generations:
        return root_of_generation(execution_id).trace, notes.context
    return notes.above.trace, None


def start_span(
    name: str,
    instance_id: str,
    context: TraceContext,
    parent: TraceContext | None,
    *,
    began_us: int,
    ended_us: int,
    error: str | None,
) -> EndedSpan:
    """Make the span of a request to start an instance."""
    attributes = (
        ("durabletask.type", "orchestration"),
        ("durabletask.task.name", name),
        ("durabletask.task.instance_id", instance_id),
    )
    above = parent.span_id if parent is not None else None
    return EndedSpan(SpanKind.CREATE, name, context, above, began_us, ended_us, attributes, error=error)


class AskedActivity(Protocol):
    """An activity that was requested; `Invoke` of `runtime/instance/message.py` fulfils it."""

    @property
    def name(self) -> str:
        """The name of the activity."""
        ...

    @property
    def instance_id(self) -> str:
        """The id of the instance that requested it."""
        ...

    @property
    def task_id(self) -> int:
        """The event id of the request."""
        ...

    @property
    def attempt(self) -> int | None:
        """The number of the try, from 1; None if it is unknown."""
        ...


def activity_span(
    asked: AskedActivity,
    context: TraceContext,
    above: TraceContext,
    *,
    began_us: int,
    ended_us: int,
    error: str | None = None,
) -> EndedSpan:
    """Make the span of one attempt of an activity.

    Args:
        above: The span of the generation that requested it.
        began_us, ended_us: Unix time, microseconds.
    """
    attributes: tuple[Attribute, ...] = (
        ("durabletask.type", "activity"),
        ("durabletask.task.name", asked.name),
        ("durabletask.task.task_id", asked.task_id),
        ("durabletask.task.instance_id", asked.instance_id),
    )
    if asked.attempt is not None:
        attributes = (*attributes, ("perdure.attempt", asked.attempt))
    return EndedSpan(SpanKind.ACTIVITY, asked.name, context, above.span_id, began_us, ended_us, attributes, error=error)


def _rfc3339(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
