"""The notes of a generation hold what its span needs, and can be made again from its history."""

from perdure.runtime.history.event import (
    Event,
    EventRaised,
    ExecutionStalled,
    ExecutionSuspended,
    TimerCreated,
    TimerFired,
)
from perdure.runtime.history.row import Row
from perdure.runtime.observing.spans import (
    EVENTS_MAX,
    SpanChoice,
    SpanKind,
    SpanNotes,
    next_trace,
    notes_of,
)

TRACE = ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "", None)


def notes() -> SpanNotes:
    made = notes_of(TRACE, "x")
    assert made is not None
    return made


def ended(told: SpanNotes) -> list[tuple[str, int]]:
    span = told.ended("w", "COMPLETED", instance_id="i", version=None, began_us=0, ended_us=9, error=None)
    return [(event.name, event.at_us) for event in span.events]


def test_a_trace_that_is_not_sampled_or_cannot_be_read_has_no_notes() -> None:
    assert notes_of(None, "x") is None
    assert notes_of(("x", "", None), "x") is None
    assert notes_of((TRACE[0][:-1] + "0", "", None), "x") is None


def test_a_history_gives_the_notes_that_its_turns_gave() -> None:
    turns: list[tuple[int, list[Event]]] = [
        (1, [TimerCreated(1, 50)]),
        (2, [ExecutionSuspended("lunch"), EventRaised("go", "1")]),
        (3, [ExecutionStalled("code has changed")]),
    ]
    live, again = notes(), notes()
    for at_us, events in turns:
        live.take_in(at_us, events, "i")
    again.remember(Row(at_us, events[:1], events[1:]) for at_us, events in turns)
    assert ended(live) == ended(again) == [
        ("Execution suspended", 2), ("Received external event", 2), ("Execution stalled", 3),
    ]  # fmt: skip
    assert live.timers == again.timers == {1: 1}


def test_a_timer_begins_where_it_was_set_and_ends_where_it_fired() -> None:
    told = notes()
    assert told.take_in(1, [TimerCreated(7, 50)], "i") == []
    [span] = told.take_in(60, [TimerFired(7, 50)], "i")
    assert (span.kind, span.began_us, span.ended_us) == (SpanKind.TIMER, 1, 60)
    assert dict(span.attributes)["durabletask.fire_at"] == "1970-01-01T00:00:00Z"
    assert told.timers == {}


def test_two_events_of_one_name_are_two_spans() -> None:
    spans = notes().take_in(1, [EventRaised("go", None), EventRaised("go", None)], "i")
    assert len({span.context.span_id for span in spans}) == 2


def test_no_more_moments_are_kept_than_a_span_may_have() -> None:
    told = notes()
    spans = told.take_in(1, [EventRaised("go", None)] * (EVENTS_MAX + 5), "i")
    assert (len(told.events), len(spans)) == (EVENTS_MAX, EVENTS_MAX + 5)


def test_the_next_generation_stays_in_the_trace_or_begins_one_of_its_own() -> None:
    told = notes()
    assert next_trace(told, "y", SpanChoice()) == (TRACE, None)
    own, link = next_trace(told, "y", SpanChoice(own_generations=True))
    assert own[0].split("-")[1] != TRACE[0].split("-")[1]
    assert link == told.context
