"""Expired values are deleted despite failures; a host that cannot delete them leaves them to the next reminder."""

import logging
from typing import Any

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.errors import HostStopping, MailboxFull
from perdure.actors.store.contract import Item, Write
from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.memory import MemoryStore
from perdure.journal.journal import Journal
from perdure.runtime.directory import AppAddresses
from perdure.runtime.state.actor import StateRecord
from perdure.runtime.state.expiry import AT_ONCE, Expiry
from perdure.runtime.state.message import BeginExpiry, ExpireItems, ItemsChanged, state_address
from perdure.testing.virtual_time import NEW_YEAR_2026_US, LoopClock, run_virtually

ADDRESS = state_address("s")
MADE = ItemsChanged(stale=False, refused=[])


class Actor:
    """Answers with its given errors and values, and then that the change was made."""

    def __init__(self, *answers: Any) -> None:
        self.answers = [*answers]
        self.asked: list[ExpireItems] = []

    async def ask(self, address: Address, body: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        self.asked.append(body)
        answer = self.answers.pop(0) if self.answers else MADE
        if isinstance(answer, Exception):
            raise answer
        return answer


def forget(actor: Actor, *, items: int = 2, later: bool = True) -> None:
    async def run() -> None:
        store = MemoryStore()
        await store.open()
        fences = await store.claim("h", now_us=1)
        names = [(f"{number}", Item(b"", number + 1, NEW_YEAR_2026_US - number)) for number in range(items)]
        if later:
            names.append(("later", Item(b"", 99, NEW_YEAR_2026_US + 10**9)))
        shard = next(shard for shard in fences)
        write = Write(key=1, address=ADDRESS, shard=shard, at_us=1, record=StateRecord(7, 1).pack(), items=names)
        await store.commit([write], fences)
        expiry = Expiry(store, LoopClock(), AppAddresses(), ask=actor.ask, journal=Journal())
        async with anyio.create_task_group() as tasks:
            await tasks.start(expiry.run)
            expiry.receive(Address("state-expiry", "s"), BeginExpiry())
            expiry.receive(Address("state-expiry", "s"), BeginExpiry())  # under way already
            await anyio.sleep(60)
            tasks.cancel_scope.cancel()

    run_virtually(run)


def test_what_has_expired_is_named_with_its_version_and_when_the_next_one_does() -> None:
    actor = Actor()
    forget(actor)
    assert actor.asked == [ExpireItems([("1", 2), ("0", 1)], NEW_YEAR_2026_US + 10**9, 7)]


def test_where_nothing_expires_later_no_reminder_is_asked_for() -> None:
    actor = Actor()
    forget(actor, later=False)
    assert actor.asked[-1].next_us == 0


def test_more_than_one_message_holds_are_named_in_several() -> None:
    # The actor of this test forgets nothing, so that the store has them still: the first message is not the last.
    actor = Actor(MADE, HostStopping())
    forget(actor, items=AT_ONCE + 1)
    assert [(len(message.items), message.next_us) for message in actor.asked] == [(AT_ONCE, -1)] * 2


@pytest.mark.parametrize("error", [StoreFailed("x"), MailboxFull(ADDRESS, messages_max=1)])
def test_what_is_not_taken_is_said_again(error: Exception) -> None:
    actor = Actor(error, error)
    forget(actor)
    assert len(actor.asked) == 3


def test_an_actor_that_knows_more_than_was_read_is_told_anew() -> None:
    actor = Actor(ItemsChanged(stale=True, refused=[]))
    forget(actor)
    assert len(actor.asked) == 2


def test_a_host_that_stops_leaves_it_to_the_next_reminder(caplog: pytest.LogCaptureFixture) -> None:
    actor = Actor(HostStopping())
    with caplog.at_level(logging.WARNING):
        forget(actor)
    assert len(actor.asked) == 1
    assert "expired values of state store 's' stay in the store" in caplog.text
