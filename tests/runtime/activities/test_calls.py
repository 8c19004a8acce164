"""A call exists until its answer has arrived, and its activity is performed again only while it has no answer."""

from typing import Any

import pytest

from perdure.actors.address import Address
from perdure.actors.store.contract import Stored
from perdure.actors.turn import RECOVER, Envelope, SetAside, Turn
from perdure.runtime.activities.calls import ENDS_ITS_HOSTS, CallActorType
from perdure.runtime.directory import AppAddresses
from perdure.runtime.history.failure import FailureDetails
from perdure.runtime.history.row import CorruptHistory
from perdure.runtime.instance.message import ActivityDone, Invoke, Withdraw

BANK = AppAddresses("shop").of("bank")
CALL = Address("call@bank", "x1:4")
ASKED = Invoke("pay", "5", "order", "x1", 4, "k", caller="shop")
PERFORMED = Invoke("pay", "5", "order", "x1", 4, "k", caller="shop", call="x1:4")
DONE = ActivityDone("x1", 4, "6", None, 17)
ANSWER = (Address("workflow", "order"), DONE)


class Call:
    """A call, and its record in the store."""

    def __init__(self) -> None:
        self.kind = CallActorType(BANK)
        self.record: bytes | None = None
        self.actor = self.kind.activate(CALL, None)

    def send(self, *bodies: Any) -> Turn:
        turn = self.actor.turn([Envelope(body) for body in bodies], 1)
        self.record = None if turn.delete else turn.record or self.record
        return turn

    def restart(self) -> Turn:
        assert self.record is not None
        self.actor.close()
        self.actor = self.kind.activate(CALL, Stored(key=1, record=self.record, entries=(), active=True))
        return self.send(RECOVER)


def test_what_is_asked_for_is_performed_by_this_app_on_behalf_of_the_call() -> None:
    call = Call()
    turn = call.send(ASKED)
    assert turn.messages == [(Address("activity@bank", "x1:4"), PERFORMED)]
    assert (turn.busy, turn.passing) == (True, False)


def test_its_answer_goes_to_the_instance_and_then_it_may_be_forgotten() -> None:
    call = Call()
    call.send(ASKED)
    turn = call.send(DONE)
    assert turn.messages == [ANSWER]
    assert (turn.busy, turn.quiet, turn.passing) == (False, True, True)


def test_what_is_asked_again_is_performed_once_and_answered_again() -> None:
    call = Call()
    call.send(ASKED)
    assert call.send(ASKED).messages == []
    call.send(DONE)
    assert call.send(ASKED).messages == [ANSWER]


def test_after_a_restart_it_is_performed_again_if_there_is_no_answer() -> None:
    call = Call()
    call.send(ASKED)
    assert call.restart().messages == [(Address("activity@bank", "x1:4"), PERFORMED)]
    failure = FailureDetails(error_type="E", message="m")
    failed = ActivityDone("x1", 4, None, failure, 17)
    call.send(failed)
    assert call.restart().messages == [(Address("workflow", "order"), failed)]


def test_one_that_hangs_is_performed_beside_itself() -> None:
    call = Call()
    call.send(ASKED)
    [(_, again)] = call.send(Invoke("pay", "5", "order", "x1", 4, "k", again=True, caller="shop")).messages
    assert again.again
    assert again.call == "x1:4"


def test_one_that_is_withdrawn_is_forgotten_and_so_is_its_activity() -> None:
    call = Call()
    call.send(ASKED)
    turn = call.send(Withdraw("order", "x1", (4,), True))
    assert turn.delete
    assert turn.messages == [(Address("withdraw@bank", "x1:4"), Withdraw("x1:4", "x1", (4,), True))]
    assert call.send(DONE).messages == []


def test_one_whose_activity_ends_its_hosts_fails_for_its_asker_without_another_try() -> None:
    call = Call()
    call.send(ASKED)
    # The verdict comes first: the activity does not begin.
    turn = call.send(SetAside("poison"), RECOVER)
    ((to, done), *_) = turn.messages
    assert to == Address("workflow", "order")
    assert isinstance(done, ActivityDone)
    assert done.failure == FailureDetails(error_type=ENDS_ITS_HOSTS, message="poison", non_retriable=True)
    assert all(message == (to, done) for message in turn.messages)
    assert (turn.busy, turn.passing) == (False, True)
    # A call that has its answer keeps it.
    call = Call()
    call.send(ASKED)
    call.send(DONE)
    assert call.send(SetAside("poison")).messages == []


def test_one_that_cannot_be_read_says_so() -> None:
    with pytest.raises(CorruptHistory):
        CallActorType(BANK).activate(CALL, Stored(key=1, record=b"\xc1", entries=(), active=True))
