"""An actor that cannot be read answers that it is stalled, keeps its messages, and can be purged."""

import pytest

from perdure.actors.address import Address
from perdure.actors.errors import ActorStalled
from perdure.actors.hosting.unreadable import Unreadable
from perdure.actors.store.audit import AuditRow
from perdure.actors.turn import Envelope
from perdure.actors.waiting.reply import Reply

ADDRESS = Address("counter", "a")


def unreadable(*, exists: bool = True, active: bool = True) -> Unreadable:
    return Unreadable(
        ADDRESS,
        "row 3 is torn",
        exists=exists,
        active=active,
        purges=lambda body: body == "purge",
        audit=lambda body, now_us: (AuditRow("purge", "ada", f"{body} at {now_us}".encode()),),
    )


def test_a_request_gets_an_error_that_says_why_and_what_can_be_done() -> None:
    turn = unreadable().turn([Envelope("add", Reply())], 1)
    ((_, answer),) = turn.replies
    assert isinstance(answer, ActorStalled)
    assert str(answer) == "counter/a is stalled: row 3 is torn. Nothing is written to it; it can be purged."


@pytest.mark.parametrize("active", [True, False])
def test_nothing_is_written(active: bool) -> None:
    turn = unreadable(active=active).turn([Envelope("add", Reply())], 1)
    assert not turn.writes()
    assert turn.busy is active  # so the active mark stays as it is


def test_a_purge_deletes_it() -> None:
    actor = unreadable()
    turn = actor.turn([Envelope("purge", Reply())], 1)
    assert (turn.delete, turn.busy, [answer for _, answer in turn.replies]) == (True, False, [None])
    assert [row.body for row in turn.audit] == [b"purge at 1"]
    actor.close()


def test_of_two_purges_one_is_audited() -> None:
    turn = unreadable().turn([Envelope("purge", Reply()), Envelope("purge", Reply())], 1)
    assert [row.body for row in turn.audit] == [b"purge at 1"]


def test_one_whose_key_is_not_known_cannot_be_purged() -> None:
    turn = unreadable(exists=False).turn([Envelope("purge", Reply())], 1)
    assert not turn.delete
    assert isinstance(turn.replies[0][1], ActorStalled)
