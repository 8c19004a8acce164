"""History on disk: one row for each turn, read back as it was written, or refused."""

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perdure.runtime.history.event import (
    Event,
    EventRaised,
    ExecutionStarted,
    ExecutionSuspended,
    PatchesApplied,
    TaskCompleted,
    TaskScheduled,
)
from perdure.runtime.history.row import CorruptHistory, Row, RowPacker, last_waits, split, unpack_row

from ...support.workflows.random_events import arrivals, dates_us, events, names

rows = st.builds(
    Row,
    dates_us,
    st.none() | st.lists(events, max_size=5),
    st.lists(arrivals, max_size=5),
    st.none() | st.integers(0, 9),
    st.none() | st.lists(names | st.integers(0, 9), max_size=3).map(tuple),
)
PACKER = RowPacker()


def test_the_form_of_a_row_is_pinned() -> None:
    turn: list[Event] = [TaskCompleted(1, '"done"'), TaskScheduled(2, "a", None, "x-2")]
    packed = PACKER.pack(17, turn, [EventRaised("e", None)])
    assert msgpack.unpackb(packed) == [1, 17, [[9, 1, '"done"'], [8, 2, "a", None, "x-2"]], [[16, "e", None]], None]
    assert packed == bytes.fromhex("95011192930901a622646f6e6522950802a161c0a3782d32919310a165c0c0")
    assert Row._fields == ("at_us", "turn", "held", "consumed", "waits")
    assert msgpack.unpackb(PACKER.pack(17, [], [], None, ("e", 3))) == [1, 17, [], [], None, ["e", 3]]


@given(st.lists(rows, max_size=4))
def test_rows_come_back_as_they_were_written_by_one_packer(history: list[Row]) -> None:
    packer = RowPacker()
    assert [unpack_row(packer.pack(*row)) for row in history] == history


def test_that_no_turn_ran_is_not_the_same_as_a_turn_in_which_nothing_was_asked() -> None:
    held = [ExecutionSuspended(None)]
    assert unpack_row(PACKER.pack(1, None, held)) == Row(1, None, held)
    assert unpack_row(PACKER.pack(1, [], held)) == Row(1, [], held)


def test_a_row_of_a_newer_release_that_adds_to_its_end_is_read() -> None:
    assert unpack_row(msgpack.packb((1, 5, None, [], 2, ["e"], "later", 7))) == Row(5, None, [], 2, ("e",))


def test_a_row_of_an_earlier_release_with_shorter_events_is_read() -> None:
    packed = msgpack.packb((1, 5, [(1, "w", None, "x")], []))
    assert unpack_row(packed) == Row(5, [ExecutionStarted("w", None, "x")], [])


def test_a_row_of_an_earlier_release_says_nothing_of_waits() -> None:
    assert unpack_row(msgpack.packb((1, 5, None, [], 2))) == Row(5, None, [], 2)


def test_the_waits_of_a_history_are_those_of_the_last_row_that_says_so() -> None:
    said, later = Row(1, [], [], None, ("a", "b")), Row(2, [], [])
    assert last_waits([]) == ()
    assert last_waits([Row(1, [], [])]) == ()
    assert last_waits([said, later]) == ("a", "b")
    assert last_waits([said, later, Row(3, [], [], None, ())]) == ()


def test_a_row_of_another_format_is_refused_and_says_which() -> None:
    with pytest.raises(CorruptHistory, match="a row has format 2; this release reads format 1"):
        unpack_row(msgpack.packb((2, 5, None, [])))


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\xc1",
        b"no row",
        msgpack.packb(None),
        msgpack.packb((1, 5)),
        msgpack.packb((1, 5, [(99, "unknown tag")], [])),
        msgpack.packb((1, 5, [()], [])),
        msgpack.packb((1, 5, [(9, 1, None, None, None, None, None, "one field too many")], [])),
        msgpack.packb((1, 5, 7, [])),
        msgpack.packb((1, 5, None, None)),
        msgpack.packb((1, 5, [([], 1)], [])),
        msgpack.packb((1, 5, None, [])) + b"more",
    ],
)
def test_bytes_that_are_no_row_are_refused_with_their_length(packed: bytes) -> None:
    with pytest.raises(CorruptHistory, match=f"{len(packed)} bytes cannot be read"):
        unpack_row(packed)


@given(st.binary(max_size=60))
@example(b"\xdf\xff\xff\xff\xff")  # a map of four billion, of which nothing follows
@example(b"\x93\x01\xd6\xff\x00\x00\x00\x00\x00")  # a timestamp
@example(b"\x94\x01\x05\xc0\x91\x92\x01\xa1\xff")  # text that is no UTF-8
@example(b"\x94\x01\x05\xc0\x91" + b"\x91" * 2000)  # nested too deeply
def test_any_bytes_are_a_row_or_corrupt(packed: bytes) -> None:
    try:
        row = unpack_row(packed)
    except CorruptHistory:
        return
    assert isinstance(row, Row)


@given(rows, st.data())
def test_a_row_that_lost_its_end_is_corrupt(row: Row, data: st.DataObject) -> None:
    packed = PACKER.pack(*row)
    cut = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(CorruptHistory):
        unpack_row(packed[:cut])


def test_a_turn_is_parted_into_what_arrived_and_what_was_asked_each_in_its_order() -> None:
    first, second = EventRaised("a", None), TaskCompleted(1, None)
    patches, task = PatchesApplied(("p",)), TaskScheduled(2, "a", None, "x-2")
    assert split([first, second, patches, task]) == ([first, second], [patches, task])
    assert split([]) == ([], [])


@given(st.lists(events))
def test_parting_loses_nothing(turn: list[object]) -> None:
    arrived, asked = split(turn)  # type: ignore[arg-type]
    assert sorted(map(repr, [*arrived, *asked])) == sorted(map(repr, turn))


@given(held=st.lists(arrivals, max_size=6), row=rows)
def test_a_turn_feeds_the_oldest_of_what_is_held(held: list[Event], row: Row) -> None:
    left = [*held]
    fed = row.taken_from(left)
    assert fed + left == held
    most = len(held) if row.consumed is None else min(row.consumed, len(held))
    assert len(fed) == (0 if row.turn is None else most)
