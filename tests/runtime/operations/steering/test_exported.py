"""An export reads back unchanged, and any other text is refused with the number of the line."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure import FailureDetails, Status
from perdure.runtime.history.event import (
    ExecutionCompleted,
    ExecutionStarted,
    Parent,
    TaskFailed,
    TaskScheduled,
    TimerFired,
)
from perdure.runtime.history.record import InstanceRecord
from perdure.runtime.history.row import Row, RowPacker, unpack_row
from perdure.runtime.operations.steering.exported import FORMAT, ExportHeader, ExportReader, ImportMalformed, lines_of

from ....support.examples import examples
from ....support.workflows.random_events import events

STARTED = ExecutionStarted("w", '"in"', "x1")
RECORD = InstanceRecord(Status.COMPLETED, "w", "x1", 1_000)
ROWS = [
    Row(1_000, None, [STARTED]),
    Row(1_001, [TaskScheduled(1, "a", None, "x1-1")], [], 1, ("go", 7)),
    Row(1_002, [], []),
    Row(1_003, [TimerFired(2, 5, b"\x00\xff"), ExecutionCompleted(3, 1, '"out"')], [TimerFired(4, 6)]),
]
HEADER = ExportHeader("i", RECORD, 1_003)


def read(lines: Any) -> tuple[ExportHeader, list[Row]]:
    reader = ExportReader()
    for line in lines:
        reader.feed(line)
    return reader.end(), [unpack_row(entry) for entry in reader.entries]


def as_stored(rows: Any) -> list[Row]:
    packer = RowPacker()
    return [unpack_row(packer.pack(*row)) for row in rows]


def test_the_lines_are_those_of_the_documents() -> None:
    lines = [json.loads(line) for line in lines_of(HEADER, ROWS)]
    assert lines == [
        {
            "format": "perdure-instance-1",
            "id": "i",
            "changed_us": 1_003,
            "record": {"status": "COMPLETED", "name": "w", "execution_id": "x1", "created_us": 1_000},
        },
        {
            "turn": 0,
            "at_us": 1_000,
            "ran": False,
            "held": True,
            "event": {"type": "ExecutionStarted", "name": "w", "input": '"in"', "execution_id": "x1"},
        },
        {
            "turn": 1,
            "at_us": 1_001,
            "consumed": 1,
            "waits": ["go", 7],
            "event": {
                "type": "TaskScheduled",
                "event_id": 1,
                "name": "a",
                "input": None,
                "task_execution_id": "x1-1",
            },
        },
        {"turn": 2, "at_us": 1_002},
        {
            "turn": 3,
            "at_us": 1_003,
            "event": {"type": "TimerFired", "timer_id": 2, "fire_at_us": 5, "wire": {"base64": "AP8="}},
        },
        {"turn": 3, "event": {"type": "ExecutionCompleted", "event_id": 3, "status": 1, "result": '"out"'}},
        {"turn": 3, "held": True, "event": {"type": "TimerFired", "timer_id": 4, "fire_at_us": 6}},
    ]


def test_what_was_written_is_read_as_it_was() -> None:
    assert read(lines_of(HEADER, ROWS)) == (HEADER, as_stored(ROWS))


def test_every_field_of_a_record_comes_back_but_what_stays_with_the_daemon() -> None:
    record = InstanceRecord(
        Status.FAILED,
        "w",
        "x2",
        1_000,
        "half",
        Parent("p", "px", 3, "pw"),
        "stalled",
        True,
        2,
        True,
        "v2",
        1_001,
        ((b"k" * 16, 20, 1, "r", "e", None),),
        b"\x01" * 16,
        None,
        900,
        "x1",
        "root",
        (("a", "1"), ("b", "2")),
    )
    header, _ = read(lines_of(ExportHeader("i", record, 5), ROWS))
    assert header.record == record._replace(outbox=(), stall=None)


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(st.tuples(st.none() | st.lists(events, max_size=3), st.lists(events, max_size=2)), max_size=4))
def test_any_events_come_back_as_they_were(turns: list[Any]) -> None:
    rows = [Row(1, [STARTED], []), *(Row(2, turn, held) for turn, held in turns)]
    rows.append(Row(3, [ExecutionCompleted(1, 1)], []))
    lines = lines_of(HEADER, rows)
    assert read(lines) == (HEADER, as_stored(rows))
    assert lines_of(*read(lines)) == lines


@pytest.mark.parametrize("text", ["\ud800", "\x00", "é", '{"a":1}', "\u2028"])
def test_any_text_is_one_line(text: str) -> None:
    failure = FailureDetails(error_type="E", message=text.replace("\ud800", "?")).pack()
    rows = [Row(1, [STARTED, TaskFailed(1, failure), ExecutionCompleted(1, 1, json.dumps(text))], [])]
    lines = lines_of(HEADER, rows)
    assert all(line.count(b"\n") == 1 and line.isascii() for line in lines)
    assert read(lines)[1] == as_stored(rows)


def test_empty_lines_are_passed_over() -> None:
    assert read([b"\n", *lines_of(HEADER, ROWS), b"", b"  \r\n"]) == (HEADER, as_stored(ROWS))


def head(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(lines_of(HEADER, ROWS)[0])
    return {**values, **changes}


def record(**changes: Any) -> dict[str, Any]:
    return head(record={**head()["record"], **changes})


def event(**fields: Any) -> dict[str, Any]:
    return {"turn": 1, "at_us": 5, "event": fields}


BEGIN = {"turn": 0, "at_us": 1, "event": {"type": "ExecutionStarted", "name": "w", "input": None, "execution_id": "x"}}
END = {"turn": 1, "at_us": 2, "event": {"type": "ExecutionCompleted", "event_id": 1, "status": 1}}

MALFORMED: dict[str, list[Any]] = {
    "nothing": [],
    "no json": [b"{"],
    "no utf-8": [b"\xff"],
    "no object": [b"[]"],
    "deep": [b"[" * 100_000],
    "another format": [head(format=FORMAT + "0")],
    "no format": [{}],
    "no id": [head(id=None)],
    "a surrogate in the id": [head(id="\ud800")],
    "no record": [head(record=None)],
    "no status": [record(status="DONE")],
    "a number for a name": [record(name=7)],
    "a surrogate in the name": [record(name="\ud800")],
    "a time that is none": [record(created_us=2**70)],
    "a time that is a text": [head(changed_us="now")],
    "a time too large": [head(changed_us=2**63)],
    "a field that there is not": [record(colour="red")],
    "a mark of the daemon": [record(set_aside=[1, "x", False])],
    "too many tags": [record(tags=[[str(n), ""] for n in range(17)])],
    "tags of three": [record(tags=[["a", "b", "c"]])],
    "only a header": [head()],
    "no start": [head(), event(type="TimerFired", timer_id=1, fire_at_us=2)],
    "no end": [head(), BEGIN],
    "an end before the end": [head(), BEGIN, END, {"turn": 2, "at_us": 3}],
    "a turn left out": [head(), BEGIN, {**END, "turn": 2}],
    "a turn twice": [head(), BEGIN, END, END],
    "a turn without a time": [head(), BEGIN, {"turn": 1, "event": END["event"]}],
    "a turn that is no number": [head(), {**BEGIN, "turn": "0"}],
    "no turn": [head(), {"event": BEGIN["event"]}],
    "an event that was fed by no turn": [head(), BEGIN, {**END, "ran": False}],
    "an unknown event": [head(), BEGIN, event(type="Exploded")],
    "no type": [head(), BEGIN, event(name="x")],
    "no event": [head(), BEGIN, {"turn": 1, "at_us": 5, "event": None}],
    "a field too many": [head(), BEGIN, event(type="TimerFired", timer_id=1, fire_at_us=2, colour="red")],
    "a field too few": [head(), BEGIN, event(type="TimerFired", timer_id=1)],
    "a field of another type": [head(), BEGIN, event(type="TimerFired", timer_id="1", fire_at_us=2)],
    "no bytes": [head(), BEGIN, event(type="TimerFired", timer_id=1, fire_at_us=2, wire={"base64": "?"})],
    "a failure that is none": [head(), BEGIN, event(type="TaskFailed", task_id=1, failure=["E"])],
    "a huge number": [head(), BEGIN, event(type="TimerFired", timer_id=2**80, fire_at_us=2), END],
    "a surrogate": [head(), BEGIN, event(type="EventRaised", name="\ud800", input=None), {**END, "turn": 2}],
    "waits that are none": [head(), {**BEGIN, "waits": [[]]}],
}


@pytest.mark.parametrize("lines", MALFORMED.values(), ids=MALFORMED)
def test_anything_but_an_export_is_refused_with_the_number_of_the_line(lines: list[Any]) -> None:
    packed = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    with pytest.raises(ImportMalformed) as refused:
        read(packed)
    assert 1 <= refused.value.line <= len(lines) + 1
    assert str(refused.value).startswith(f"line {refused.value.line} is not of an export of Perdure: ")
