"""Activations are kept up to a limit, and none leaves while work depends on it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from perdure.actors.errors import MailboxFull
from perdure.actors.hosting.activation import Activation, Activations
from perdure.actors.turn import Envelope, Turn
from perdure.actors.waiting.reply import Reply

from ...support.actors.counter_actor import counter


class Nobody:
    was_stalled = False
    log_fields: Mapping[str, Any] = MappingProxyType({})

    def turn(self, envelopes: object, now_us: int) -> Turn:
        return Turn()

    def close(self) -> None:
        pass


def idle(name: str) -> Activation:
    activation = Activation(counter(name), 0)
    activation.actor = Nobody()
    return activation


def names(table: Activations) -> list[str]:
    return [activation.address.id for activation in table]


def test_the_least_recently_used_leaves_first() -> None:
    table = Activations(2)
    for name in "abc":
        table.add(idle(name))
    table.get(counter("a"))
    for surplus in table.surplus():
        table.remove(surplus)
    assert names(table) == ["c", "a"]


@pytest.mark.parametrize("busy", ["loading", "mailbox", "runnable", "uncommitted"])
def test_no_activation_leaves_memory_while_something_depends_on_it(busy: str) -> None:
    table = Activations(0)
    activation = idle("a")
    match busy:
        case "loading":
            activation.actor = None
        case "mailbox":
            activation.mailbox.append(Envelope("x"))
        case "runnable":
            activation.runnable = True
        case "uncommitted":
            activation.uncommitted = 1
    table.add(activation)
    assert list(table.surplus()) == []


def test_the_search_for_an_activation_that_may_leave_is_bounded() -> None:
    table = Activations(0)
    for number in range(1_000):
        activation = idle(str(number))
        activation.uncommitted = 1
        table.add(activation)
    table.add(idle("free"))
    assert list(table.surplus()) == []  # it gave up before it came to the free one
    found = []
    for _ in range(1_000):
        for surplus in table.surplus():
            table.remove(surplus)
            found.append(surplus.address.id)
    assert found == ["free"]  # and found it later, because those looked at go behind


def test_a_mailbox_has_a_limit_for_those_who_wait_for_an_answer_only() -> None:
    activation = idle("a")
    activation.accept(Envelope("x"), messages_max=1)
    activation.accept(Envelope("x"), messages_max=1)
    with pytest.raises(MailboxFull) as caught:
        activation.accept(Envelope("x", Reply()), messages_max=1)
    assert "1 messages waiting" in str(caught.value)
    assert len(activation.take()) == 2
    assert not activation.mailbox


def test_removing_an_activation_leaves_its_successor_alone() -> None:
    table = Activations(2)
    first, second = idle("a"), idle("a")
    table.add(first)
    table.remove(first)
    table.add(second)
    table.remove(first)
    assert table.get(counter("a")) is second


def test_what_waits_for_an_actor_that_cannot_be_read_leaves_room_for_callers() -> None:
    # Given an actor that cannot be read, for which a message without a reply waits,
    activation = Activation(counter("a"), 0)
    activation.accept(Envelope("x"), messages_max=1)
    activation.stalled = "unreadable"
    # then one caller has room, for a purge, and the next one has none.
    activation.accept(Envelope("x", Reply()), messages_max=1)
    with pytest.raises(MailboxFull):
        activation.accept(Envelope("x", Reply()), messages_max=1)
