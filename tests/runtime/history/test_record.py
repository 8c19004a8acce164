"""The record of an instance is pinned, reads back unchanged, and describes it with both ends of the history."""

from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perdure import FailureDetails, Status
from perdure.actors.store.contract import Inspection
from perdure.runtime.history.event import (
    Event,
    EventSent,
    ExecutionCompleted,
    ExecutionStarted,
    ExecutionTerminated,
    Parent,
    TaskCompleted,
    TaskScheduled,
)
from perdure.runtime.history.record import (
    EVENT_KEY_BYTES,
    AsideMark,
    InstanceRecord,
    pack_outbox,
    state_of,
    status_in,
    unpack_outbox,
    unpack_record,
)
from perdure.runtime.history.row import CorruptHistory, RowPacker

from ...support.workflows.random_events import dates_us, names, parents, payloads

records = st.builds(
    InstanceRecord,
    st.sampled_from(Status),
    names,
    names,
    dates_us,
    payloads,
    st.none() | parents,
    payloads,
    st.booleans(),
    st.integers(0, 2**40),
    started_us=st.none() | dates_us,
    outbox=st.just(()) | st.just(((bytes(16), 20, 1, "i", "e", None),)),
    received=st.binary(max_size=32),
    set_aside=st.none() | st.builds(AsideMark, st.sampled_from(Status).map(int), names, st.booleans()),
    first_us=st.none() | dates_us,
    first_execution_id=st.none() | names,
    root=st.none() | names,
    tags=st.lists(st.tuples(names, names), max_size=3).map(tuple),
)
KEY = bytes(range(EVENT_KEY_BYTES))
PARENT = Parent("p", "px", 3, "pw")
FAILURE = FailureDetails(error_type="ValueError", message="no")
PACKER = RowPacker()


def test_the_form_of_a_record_is_pinned() -> None:
    assert InstanceRecord._fields == (
        *("status", "name", "execution_id", "created_us", "custom_status"),
        *("parent", "stall", "has_children", "generation", "remote", "version"),
        *("started_us", "outbox", "received", "set_aside"),
        *("first_us", "first_execution_id", "root", "tags", "parent_app"),
    )
    record = InstanceRecord(Status.STALLED, "w", "x", 17, "half", PARENT, "why", has_children=True, generation=2)
    packed = record.pack()
    assert msgpack.unpackb(packed) == [1, 8, "w", "x", 17, "half", ["p", "px", 3, "pw"], "why", True, 2, False, None]
    assert packed == bytes.fromhex("9c0108a177a17811a468616c6694a170a2707803a27077a3776879c302c2c0")
    aside = record._replace(set_aside=AsideMark(0, "poison", until_restart=True))
    assert msgpack.unpackb(aside.pack())[15:] == [[0, "poison", True]]
    later = record._replace(first_us=5, first_execution_id="x0", root="r", tags=(("a", "1"), ("b", "2")))
    assert msgpack.unpackb(later.pack())[12:] == [None, [], b"", None, 5, "x0", "r", [["a", "1"], ["b", "2"]]]


def test_what_few_instances_have_makes_only_their_records_longer() -> None:
    plain = InstanceRecord(Status.RUNNING, "w", "x", 17)
    assert len(msgpack.unpackb(plain.pack())) == 12
    sent = EventSent(1, "i", "e", "1")
    record = plain._replace(started_us=18, outbox=pack_outbox({KEY: sent}), received=KEY)
    assert msgpack.unpackb(record.pack())[12:] == [18, [[KEY, 20, 1, "i", "e", "1"]], KEY]
    assert msgpack.unpackb(plain._replace(root="r").pack())[12:] == [None, [], b"", None, None, None, "r"]
    assert unpack_outbox(unpack_record(record.pack()).outbox) == {KEY: sent}


@pytest.mark.parametrize(
    ("record", "began_us", "run_id", "root_id"),
    [
        (InstanceRecord(Status.RUNNING, "w", "x", 17), 17, "x", None),
        (InstanceRecord(Status.RUNNING, "w", "x", 17, parent=PARENT), 17, "x", "p"),
        (InstanceRecord(Status.RUNNING, "w", "x", 17, parent=PARENT, root="r"), 17, "x", "r"),
        (InstanceRecord(Status.RUNNING, "w", "y", 18, first_us=17, first_execution_id="x"), 17, "x", None),
        (unpack_record(msgpack.packb((1, 0, "w", "x", 17, None, ["p", "px", 3, "pw"]))), 17, "x", "p"),
    ],
)
def test_what_is_not_written_follows_from_what_is(
    record: InstanceRecord, began_us: int, run_id: str, root_id: str | None
) -> None:
    assert (record.began_us, record.run_id, record.root_id) == (began_us, run_id, root_id)


@pytest.mark.parametrize("packed", [((KEY, 99, 1),), ((KEY,),), (7,), ((),)])
def test_an_outbox_that_cannot_be_read_is_corrupt(packed: Any) -> None:
    with pytest.raises(CorruptHistory, match="outbox"):
        unpack_outbox(packed)


@given(records)
def test_a_record_comes_back_as_it_was(record: InstanceRecord) -> None:
    read = unpack_record(record.pack())
    assert read == record
    assert type(read.status) is Status
    assert read.parent is None or type(read.parent) is Parent


def test_a_record_of_a_newer_release_that_adds_to_its_end_is_read() -> None:
    record = InstanceRecord(Status.RUNNING, "w", "x", 17)
    assert unpack_record(msgpack.packb((1, *record, "later", 7))) == record


@pytest.mark.parametrize("fields", [7, 8, 9])
def test_a_record_of_an_earlier_release_with_fewer_fields_is_read(fields: int) -> None:
    record = InstanceRecord(Status.RUNNING, "w", "x", 17)
    assert unpack_record(msgpack.packb((1, *record)[:fields])) == record


def test_a_record_of_another_format_is_refused_and_says_which() -> None:
    with pytest.raises(CorruptHistory, match="a record has format 2; this release reads format 1"):
        unpack_record(msgpack.packb((2, *InstanceRecord(Status.RUNNING, "w", "x", 17))))


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\xc1",
        msgpack.packb(7),
        msgpack.packb((1, 0, "w")),
        msgpack.packb((1, 99, "w", "x", 17, None, None)),
        msgpack.packb((1, 0, "w", "x", 17, None, ("p",))),
        msgpack.packb((1, [], "w", "x", 17, None, None)),
        InstanceRecord(Status.RUNNING, "w", "x", 17).pack() + b"more",
    ],
)
def test_bytes_that_are_no_record_are_refused_with_their_length(packed: bytes) -> None:
    with pytest.raises(CorruptHistory, match=f"{len(packed)} bytes cannot be read"):
        unpack_record(packed)


@given(st.binary(max_size=60))
@example(b"\x97\x01\x00\xa1\xff\xa1x\x05\xc0\xc0")  # a name that is no UTF-8
@example(b"\x97\x01\x00\xa1w\xa1x\x05\xc0" + b"\x91" * 2000)  # nested too deeply
def test_any_bytes_are_a_record_or_corrupt(packed: bytes) -> None:
    try:
        record = unpack_record(packed)
    except CorruptHistory:
        return
    assert isinstance(record, InstanceRecord)


# The external state of an instance.


def inspection(record: InstanceRecord, *turns: list[Event], held: list[Event] | None = None) -> Inspection:
    entries = [PACKER.pack(at_us, turn, ()) for at_us, turn in enumerate(turns, start=100)]
    if held is not None:
        entries.append(PACKER.pack(100 + len(entries), None, held))
    first, last = (entries[0], entries[-1]) if entries else (None, None)
    return Inspection(record=record.pack(), first=first, last=last, updated_us=99 + len(entries))


STARTED = ExecutionStarted("w", '{"n":1}', "x", PARENT, version="2")


def test_a_running_instance_has_its_input_and_no_output() -> None:
    record = InstanceRecord(Status.RUNNING, "w", "x", 17, "half", PARENT, version="2")
    state = state_of("i", inspection(record, [STARTED, TaskScheduled(1, "a", None, "x-1")], [TaskCompleted(1, "1")]))
    assert (state.instance_id, state.execution_id, state.name, state.status) == ("i", "x", "w", Status.RUNNING)
    assert (state.created_us, state.updated_us) == (17, 101)
    assert (state.input, state.output, state.custom_status) == ('{"n":1}', None, "half")
    assert (state.parent_id, state.version) == ("p", "2")
    assert (state.failure, state.stall) == (None, None)


def test_a_pending_instance_has_its_input_though_its_code_has_not_run() -> None:
    state = state_of("i", inspection(InstanceRecord(Status.PENDING, "w", "x", 17), held=[STARTED]))
    assert (state.status, state.input) == (Status.PENDING, '{"n":1}')
    assert state.started_us is None


def test_an_instance_has_started_with_its_first_turn() -> None:
    record = InstanceRecord(Status.RUNNING, "w", "x", 17)
    assert state_of("i", inspection(record, [STARTED])).started_us == 100
    # If the first row has no turn, the record has the time of the first turn.
    held = inspection(record._replace(started_us=140), held=[STARTED])
    assert state_of("i", held).started_us == 140


def test_a_completed_instance_has_the_output_of_its_last_event() -> None:
    completed = ExecutionCompleted(2, Status.COMPLETED, '"done"')
    state = state_of("i", inspection(InstanceRecord(Status.COMPLETED, "w", "x", 17), [STARTED], [completed]))
    assert (state.input, state.output, state.failure) == ('{"n":1}', '"done"', None)


def test_an_instance_that_ended_in_its_first_turn_has_input_and_output() -> None:
    completed = ExecutionCompleted(1, Status.COMPLETED, "2")
    state = state_of("i", inspection(InstanceRecord(Status.COMPLETED, "w", "x", 17), [STARTED, completed]))
    assert (state.input, state.output) == ('{"n":1}', "2")


def test_a_failed_instance_has_what_it_failed_with_and_no_output() -> None:
    completed = ExecutionCompleted(1, Status.FAILED, None, FAILURE.pack())
    state = state_of("i", inspection(InstanceRecord(Status.FAILED, "w", "x", 17), [STARTED, completed]))
    assert (state.output, state.failure) == (None, FAILURE)


def test_a_terminated_instance_has_the_output_it_was_terminated_with() -> None:
    end: list[Event] = [ExecutionTerminated('"stop"', True), ExecutionCompleted(1, Status.TERMINATED, '"stop"')]
    state = state_of("i", inspection(InstanceRecord(Status.TERMINATED, "w", "x", 17), [STARTED], end))
    assert (state.status, state.output, state.failure) == (Status.TERMINATED, '"stop"', None)


def test_a_stalled_instance_says_why() -> None:
    record = InstanceRecord(Status.STALLED, "w", "x", 17, stall="code and history part ways")
    assert state_of("i", inspection(record, [STARTED])).stall == "code and history part ways"


@pytest.mark.parametrize("status", [status for status in Status if status.terminal])
def test_an_instance_that_has_ended_is_stalled_no_more(status: Status) -> None:
    # A record keeps the reason of the stall, out of which the instance was terminated.
    record = InstanceRecord(status, "w", "x", 17, stall="code and history part ways")
    assert state_of("i", inspection(record, [STARTED])).stall is None


def test_an_instance_that_is_set_aside_says_so() -> None:
    record = InstanceRecord(Status.STALLED, "w", "x", 17, stall="poison", set_aside=AsideMark(0, "poison"))
    state = state_of("i", inspection(record, [STARTED]))
    assert (state.status, state.stall, state.set_aside) == (Status.STALLED, "poison", True)


@pytest.mark.parametrize("record", [b"?", b"", InstanceRecord(Status.RUNNING, "w", "x", 17).pack()])
def test_an_instance_that_cannot_be_loaded_is_stalled_whatever_can_be_read_of_it(record: bytes) -> None:
    state = state_of("i", Inspection(record, b"?", b"?", 1, stalled="row 3 cannot be read"))
    assert (state.status, state.stall, state.output) == (Status.STALLED, "row 3 cannot be read", None)


def test_an_instance_without_a_history_is_described_from_its_record() -> None:
    state = state_of("i", inspection(InstanceRecord(Status.COMPLETED, "w", "x", 17)))
    assert (state.name, state.input, state.output) == ("w", None, None)


def test_damage_in_a_record_or_a_row_is_reported_and_not_passed_over() -> None:
    good = inspection(InstanceRecord(Status.COMPLETED, "w", "x", 17), [STARTED])
    for damaged in (
        Inspection(record=b"?", first=good.first, last=good.last, updated_us=1),
        Inspection(record=good.record, first=b"?", last=good.last, updated_us=1),
        Inspection(record=good.record, first=good.first, last=b"?", updated_us=1),
    ):
        with pytest.raises(CorruptHistory):
            state_of("i", damaged)


@pytest.mark.parametrize("status", Status)
def test_the_status_alone_is_that_of_the_whole_record(status: Status) -> None:
    short = InstanceRecord(status, "w", "x", 17)
    for record in (short, short._replace(tags=(("k", "v"),))):  # the second has a longer head
        assert status_in(record.pack()) is unpack_record(record.pack()).status is status


@pytest.mark.parametrize("packed", [b"", b"?", b"\x93\x02\x00\x00", b"\x93\x01\x63\x00", b"\xdc\x00"])
def test_the_status_of_what_is_no_record_cannot_be_read(packed: bytes) -> None:
    with pytest.raises(CorruptHistory):
        status_in(packed)
