"""Messages wait shard by shard, in their order: callers for a while, those of actors until they can go."""

import pytest

from perdure.actors.errors import WaitingRoomFull
from perdure.actors.hosting.shards.waiting_room import WaitingMessage, WaitingRoom
from perdure.actors.turn import Envelope
from perdure.actors.waiting.reply import Reply

from ....support.actors.counter_actor import counter


def asked(body: object, since_s: float = 0.0) -> WaitingMessage:
    return WaitingMessage(counter("a"), Envelope(body, Reply()), False, since_s)


def told(body: object, since_s: float = 0.0) -> WaitingMessage:
    return WaitingMessage(counter("a"), Envelope(body), False, since_s)


def test_messages_come_out_in_their_order_and_once() -> None:
    room = WaitingRoom()
    for number in range(3):
        room.put(7, told(number))
    room.put(8, told("other"))
    assert room.has(7)
    assert [each.envelope.body for each in room.take(7)] == [0, 1, 2]
    assert not room.has(7)
    assert room.take(7) == ()
    assert room.shards == (8,)


def test_callers_are_refused_when_too_many_wait_and_actors_are_not() -> None:
    room = WaitingRoom(messages_max=2)
    room.put(7, asked(1))
    room.put(7, told(2))
    with pytest.raises(WaitingRoomFull):
        room.put(7, asked(3))
    room.put(7, told(4))
    room.put(8, asked(5))  # of another shard
    # Messages that were taken out may come back, also behind later ones.
    room.put_back(7, asked(6))
    assert len(room) == 5


def test_a_caller_waits_so_long_and_no_longer_and_an_actor_for_as_long_as_it_takes() -> None:
    room = WaitingRoom(wait_s=10)
    room.put(7, told("first", 0))
    room.put(7, asked("early", 0))
    room.put(7, asked("late", 5))
    assert room.take_late(9.9) == ()
    assert [each.envelope.body for each in room.take_late(10)] == ["early"]
    assert [each.envelope.body for each in room.take_late(20)] == ["late"]
    assert [each.envelope.body for each in room.take(7)] == ["first"]


def test_a_shard_of_which_all_have_gone_has_nothing_to_wait_behind() -> None:
    room = WaitingRoom(wait_s=10)
    room.put(7, asked("only"))
    assert len(room.take_late(11)) == 1
    assert not room.has(7)
    assert len(room) == 0
