"""Messages to the actor of a state store are the same at another host."""

import pytest

from perdure.actors.cluster.vocabulary import NotPortable
from perdure.runtime.state.message import (
    BeginExpiry,
    ChangeItems,
    ExpireItems,
    ItemChange,
    ItemsChanged,
    SeenItem,
    state_address,
)
from perdure.runtime.words import vocabulary

SAID = [
    ChangeItems([ItemChange("a||ü", b"\0\xff", "3", True, 5), ItemChange("b", None)], True, {"a": SeenItem(1, 2)}, 9),
    ExpireItems([("a", 1)], -1, 4),
    ItemsChanged(False, [(0, "why")]),
]


@pytest.mark.parametrize("message", SAID, ids=lambda message: type(message).__name__)
def test_a_message_crosses(message: object) -> None:
    words = vocabulary()
    assert words.hear(*words.say(message)) == message


def test_what_a_host_tells_itself_does_not_cross() -> None:
    with pytest.raises(NotPortable):
        vocabulary().say(BeginExpiry())


def test_all_keys_of_a_store_have_one_actor() -> None:
    assert state_address("statestore") == ("state", "statestore"), "it stands on disks"


def test_a_change_depends_on_what_is_there_if_it_says_so() -> None:
    assert not ItemChange("a", b"").conditional
    assert ItemChange("a", b"", first_write=True).conditional
    assert ItemChange("a", b"", etag="1").conditional
