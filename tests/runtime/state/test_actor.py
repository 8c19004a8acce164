"""The actor of a state store decides on changes by the recent writes and by the etags that callers have read."""

from typing import Any

import msgpack
import pytest

from perdure.actors.store.contract import Item, Stored
from perdure.actors.turn import Envelope, ReminderDue, Turn
from perdure.actors.waiting.reply import Reply
from perdure.runtime.directory import AppAddresses
from perdure.runtime.history.row import CorruptHistory
from perdure.runtime.state import actor as actor_module
from perdure.runtime.state.actor import (
    EXPIRY,
    ROUND_US,
    RecentItems,
    StateActor,
    StateActorType,
    StateRecord,
    refusal,
    unpack_state,
)
from perdure.runtime.state.message import (
    BeginExpiry,
    ChangeItems,
    ExpireItems,
    ItemChange,
    ItemsChanged,
    SeenItem,
    state_address,
)

NOW_US = 1_000_000_000
ADDRESS = state_address("s")


def actor(record: StateRecord | None = None) -> StateActor:
    stored = None
    if record is not None:
        stored = Stored(key=1, record=record.pack(), entries=(), active=False)
    return StateActorType(AppAddresses()).activate(ADDRESS, stored)


def change(
    *changes: ItemChange, whole: bool = False, seen: dict[str, SeenItem] | None = None, seen_at: int = 0
) -> ChangeItems:
    nothing = {each.name: SeenItem(0, 0) for each in changes if each.conditional}  # of a store that is empty
    return ChangeItems([*changes], whole, nothing if seen is None else seen, seen_at)


def take(state: StateActor, *bodies: Any, now_us: int = NOW_US) -> tuple[Turn, list[ItemsChanged]]:
    turn = state.turn([Envelope(body, Reply()) for body in bodies], now_us)
    return turn, [answer for _, answer in turn.replies]


MADE = ItemsChanged(stale=False, refused=[])
STALE = ItemsChanged(stale=True, refused=[])


# Changes.


def test_changes_of_all_callers_are_made_in_their_order_in_one_turn() -> None:
    state = actor()
    turn, answers = take(
        state,
        change(ItemChange("a", b"1"), ItemChange("b", b"1"), ItemChange("a", b"2")),
        change(ItemChange("b", None)),
    )
    assert answers == [MADE, MADE]
    assert turn.items == [("a", Item(b"1", 1)), ("b", Item(b"1", 2)), ("a", Item(b"2", 3)), ("b", None)]
    assert turn.record == StateRecord(version=4).pack()


def test_a_turn_that_changes_nothing_writes_nothing() -> None:
    turn, answers = take(actor(), change(ItemChange("a", b"1", etag="9")))
    assert answers == [ItemsChanged(stale=False, refused=[(0, "state not exist or expired for key=a")])]
    assert not turn.writes()


def test_a_right_etag_is_taken_and_a_wrong_one_is_refused() -> None:
    state = actor()
    take(state, change(ItemChange("a", b"1")))
    _, answers = take(
        state, change(ItemChange("a", b"2", etag="1")), change(ItemChange("a", b"3", etag="1")),
        change(ItemChange("a", None, etag="2")),
    )  # fmt: skip
    assert answers == [
        MADE,
        ItemsChanged(stale=False, refused=[(0, "state etag not match for key=a: current=2, expect=1")]),
        MADE,
    ]


def test_the_first_write_is_the_only_one_that_finds_nothing() -> None:
    first = ItemChange("a", b"1", first_write=True)
    _, answers = take(actor(), change(first), change(first))
    assert answers == [MADE, ItemsChanged(stale=False, refused=[(0, "item already exists and no etag was passed")])]


def test_changes_that_are_each_for_themselves_see_those_before_them() -> None:
    turn, answers = take(
        actor(),
        change(
            ItemChange("a", b"1"),
            ItemChange("a", b"2", etag="9"),
            ItemChange("a", b"3", etag="1"),
            ItemChange("b", b"1", etag="1"),
            ItemChange("c", b"1"),
        ),
    )
    assert [position for position, _ in answers[0].refused] == [1, 3]
    assert [(name, item.value) for name, item in turn.items if item] == [("a", b"1"), ("a", b"3"), ("c", b"1")]


def test_a_transaction_is_whole_or_not_at_all_and_its_etags_are_those_before_it() -> None:
    state = actor()
    take(state, change(ItemChange("a", b"1")))
    turn, answers = take(state, change(ItemChange("b", b"1"), ItemChange("a", b"2", etag="7"), whole=True))
    assert [position for position, _ in answers[0].refused] == [1]
    assert turn.items == []
    # The second change of "a" has the etag of before the first one.
    turn, answers = take(state, change(ItemChange("a", b"2", etag="1"), ItemChange("a", b"3", etag="1"), whole=True))
    assert answers == [MADE]
    assert [item.value for _, item in turn.items if item] == [b"2", b"3"]


# Etags that callers have read.


def test_what_a_caller_has_read_counts_if_nothing_is_known_that_is_newer() -> None:
    state = actor(StateRecord(version=10))
    asked = ItemChange("a", b"2", etag="4")
    _, answers = take(state, change(asked, seen={"a": SeenItem(4, 0)}, seen_at=10))
    assert answers == [MADE]
    # The value has been written since: the earlier etag does not count any more.
    _, answers = take(state, change(asked, seen={"a": SeenItem(4, 0)}, seen_at=10))
    assert answers[0].refused == [(0, "state etag not match for key=a: current=11, expect=4")]


def test_a_caller_that_has_read_too_early_reads_again() -> None:
    # Given a state store that this activation knows from version 10 on,
    state = actor(StateRecord(version=10))
    # then it does not know the changes of a value since version 9,
    asked = change(ItemChange("b", b"1"), ItemChange("a", b"2", etag="4"), seen={"a": SeenItem(4, 0)}, seen_at=9)
    turn, answers = take(state, asked)
    assert answers == [STALE]
    assert turn.items == [], "nothing is done then"
    # nor without having read.
    assert take(state, change(ItemChange("a", b"2", first_write=True), seen={}, seen_at=99))[1] == [STALE]


def test_an_actor_remembers_so_many_writes_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor_module, "RECENT_MAX", 2)
    recent = RecentItems(5)
    for version, name in enumerate(["a", "b", "a", "c"], start=6):
        recent.put(name, SeenItem(version, 0), version)
    # "b" was written at 7, and is forgotten: nothing is known about earlier reads.
    assert recent.floor == 7
    assert recent.now("b", SeenItem(2, 0), 6) is None
    assert recent.now("b", SeenItem(7, 0), 7) == SeenItem(7, 0)
    assert recent.now("a", SeenItem(2, 0), 6) == SeenItem(8, 0)


def test_a_value_that_was_deleted_lately_is_known_to_be_gone() -> None:
    state = actor(StateRecord(version=10))
    take(state, change(ItemChange("a", None)))
    _, answers = take(state, change(ItemChange("a", b"1", etag="4"), seen={"a": SeenItem(4, 0)}, seen_at=10))
    assert answers[0].refused == [(0, "state not exist or expired for key=a")]


def test_a_value_whose_time_is_over_is_not_there() -> None:
    there = SeenItem(4, NOW_US)
    assert refusal(ItemChange("a", b"", first_write=True), there, NOW_US - 1) is not None
    assert refusal(ItemChange("a", b"", first_write=True), there, NOW_US) is None
    assert refusal(ItemChange("a", b"", etag="4"), there, NOW_US - 1) is None
    assert refusal(ItemChange("a", b"", etag="4"), there, NOW_US) == "state not exist or expired for key=a"


# Expiry.


def rounded(us: int) -> int:
    return -(-us // ROUND_US) * ROUND_US


def test_a_value_that_expires_sets_a_reminder_and_an_earlier_one_takes_its_place() -> None:
    state = actor()
    turn, _ = take(state, change(ItemChange("a", b"1", ttl_us=60_000_000)))
    due_us = rounded(NOW_US + 60_000_000)
    assert turn.items == [("a", Item(b"1", 1, NOW_US + 60_000_000))]
    assert turn.reminders_set == [(EXPIRY, due_us)]
    assert turn.record == StateRecord(1, due_us).pack()
    turn, _ = take(state, change(ItemChange("b", b"1", ttl_us=90_000_000)))
    assert (turn.reminders_set, turn.reminders_cleared) == ([], [])
    turn, _ = take(state, change(ItemChange("c", b"1", ttl_us=1)))
    assert turn.reminders_cleared == [(EXPIRY, due_us)]
    assert turn.reminders_set == [(EXPIRY, rounded(NOW_US + 1))]


def test_a_reminder_begins_the_expiry_and_stays_until_it_is_done() -> None:
    state = actor(StateRecord(version=9, due_us=NOW_US))
    turn = state.turn([Envelope(ReminderDue(EXPIRY, NOW_US))], NOW_US)
    assert [(address.type, address.id, body) for address, body in turn.messages] == [
        ("state-expiry", "s", BeginExpiry())
    ]
    assert not turn.writes()
    # The last message of an expiry clears the reminder, and sets the next one.
    turn, answers = take(state, ExpireItems([("a", 3)], NOW_US + 7, 9))
    assert answers == [MADE]
    assert turn.items == [("a", None)]
    assert turn.reminders_cleared == [(EXPIRY, NOW_US)]
    assert turn.reminders_set == [(EXPIRY, rounded(NOW_US + 7))]


def test_a_reminder_that_is_not_the_one_that_was_set_is_cleared() -> None:
    turn = actor(StateRecord(version=9, due_us=NOW_US)).turn([Envelope(ReminderDue(EXPIRY, 5))], NOW_US)
    assert turn.reminders_cleared == [(EXPIRY, 5)]
    assert turn.messages == []


def test_a_value_that_was_saved_anew_meanwhile_stays_and_its_time_counts() -> None:
    state = actor(StateRecord(version=9, due_us=NOW_US))
    take(state, change(ItemChange("a", b"new", ttl_us=ROUND_US)))
    turn, answers = take(state, ExpireItems([("a", 3), ("b", 4)], 0, 9))
    assert answers == [MADE]
    assert turn.items == [("b", None)]
    assert turn.reminders_set == [(EXPIRY, rounded(NOW_US + ROUND_US))], "though the reader has not seen it"


def test_what_is_not_the_last_message_leaves_the_reminder() -> None:
    state = actor(StateRecord(version=9, due_us=NOW_US))
    turn, _ = take(state, ExpireItems([("a", 3)], -1, 9))
    assert turn.items == [("a", None)]
    assert (turn.reminders_cleared, turn.reminders_set) == ([], [])


def test_an_expiry_that_was_read_too_early_is_read_again() -> None:
    turn, answers = take(actor(StateRecord(version=9, due_us=NOW_US)), ExpireItems([("a", 3)], 0, 8))
    assert answers == [STALE]
    assert not turn.writes()


# The record.


def test_a_record_is_read_back_and_what_is_none_is_damage() -> None:
    record = StateRecord(3, 4)
    assert unpack_state(record.pack()) == record
    assert record.pack() == msgpack.packb((1, 3, 4)), "it stands on disks"
    for other in (b"", b"\x93\x02\x03\x04", b"\x93\x01\xa1x\x04", b"\x01"):
        with pytest.raises(CorruptHistory):
            unpack_state(other)


def test_actors_in_memory_are_counted() -> None:
    kind = StateActorType(AppAddresses())
    first = kind.activate(ADDRESS, None)
    assert kind.in_memory == 1
    first.close()
    assert kind.in_memory == 0
    assert not kind.purges(BeginExpiry())
