"""The actor of an operation counts each step once, and has the same state after a restart."""

from typing import Any

import pytest

from perdure.actors.store.contract import Stored
from perdure.actors.turn import RECOVER, Envelope, Turn
from perdure.actors.waiting.reply import Reply
from perdure.runtime.history.attribution import By
from perdure.runtime.history.audit import unpack_audit
from perdure.runtime.operations.bulk.actor import (
    ERRORS_MAX,
    Advance,
    Begin,
    Cancel,
    Forget,
    Look,
    OperationActor,
    OperationActorType,
    OperationNotFound,
    RunOperation,
    operation_address,
)
from perdure.runtime.operations.bulk.operation import ItemError, OperationProgress, OperationState
from tests.support.workflows.bulk_operations import MOMENT_US, operation

ADDRESS = operation_address("op")
LATER_US = MOMENT_US + 5


class Restarted:
    """An actor, and its rows in the store."""

    def __init__(self) -> None:
        self.record: bytes | None = None
        self.entries: list[bytes] = []
        self.actor = self._activated()

    def _activated(self) -> OperationActor:
        stored = None
        if self.record is not None:
            stored = Stored(key=1, record=self.record, entries=self.entries, active=True)
        return OperationActorType().activate(ADDRESS, stored)

    def restart(self) -> None:
        self.actor = self._activated()

    def tell(self, *bodies: Any) -> Turn:
        turn = self.actor.turn([Envelope(body, Reply()) for body in bodies], LATER_US)
        self.record = None if turn.delete else turn.record or self.record
        if turn.entry is not None:
            self.entries.append(turn.entry)
        return turn


def step(number: int, *, done: int = 2, errors: int = 0, last: bool = False) -> Advance:
    failed = [ItemError(f"{number}-{index}", "it is finished") for index in range(errors)]
    return Advance(OperationProgress(f"after {number}", done, errors, 1, number), failed, last)


def answered(turn: Turn) -> Any:
    [(_, answer)] = turn.replies
    return answer


@pytest.fixture
def begun() -> Restarted:
    actor = Restarted()
    actor.tell(Begin(operation()))
    return actor


def test_a_beginning_is_recorded_and_the_runner_is_told() -> None:
    turn = Restarted().tell(Begin(operation()))

    assert turn.record == operation().pack()
    assert turn.facets == operation().facets()
    assert [body for _, body in turn.messages] == [RunOperation(operation())]
    assert turn.busy
    assert not turn.quiet


def test_a_second_beginning_begins_nothing(begun: Restarted) -> None:
    begun.tell(step(0))

    turn = begun.tell(Begin(operation()))

    assert not turn.messages
    assert answered(turn).operation.progress.done == 2


def test_its_beginning_and_its_cancellation_stand_in_the_audit(begun: Restarted) -> None:
    began = Restarted().tell(Begin(operation()))
    cancelled = begun.tell(Cancel(By("bob", "api", "stop it")))

    entries = [unpack_audit(row.body) for turn in (began, cancelled) for row in turn.audit]
    assert [(entry.actor, entry.action, entry.operation, entry.reason, entry.detail) for entry in entries] == [
        ("ada", "bulk", "op", "no longer wanted", "begun: terminate 3 instances"),
        ("bob", "bulk", "op", "stop it", "cancelled: terminate 3 instances"),
    ]
    assert not begun.tell(Begin(operation()), Cancel(By()), Look()).audit


def test_steps_are_added_and_the_position_is_the_last_one(begun: Restarted) -> None:
    begun.tell(step(0))
    begun.restart()
    status = answered(begun.tell(step(1, errors=1)))

    assert status.operation.progress == OperationProgress("after 1", done=4, failed=1, skipped=2, steps=2)
    assert status.errors == (ItemError("1-0", "it is finished"),)
    assert status.operation.updated_us == LATER_US


def test_a_step_that_is_told_twice_counts_once(begun: Restarted) -> None:
    begun.tell(step(0, errors=1))

    turn = begun.tell(step(0, errors=1))

    assert turn.record is None
    assert turn.entry is None
    assert answered(turn).operation.progress.done == 2


def test_the_last_step_completes_it(begun: Restarted) -> None:
    turn = begun.tell(step(0, last=True))

    status = answered(turn)
    assert status.operation.state is OperationState.COMPLETED
    assert status.operation.ended_us == LATER_US
    assert turn.quiet
    assert not turn.busy


def test_after_a_cancellation_the_step_under_way_counts_and_no_other_runs(begun: Restarted) -> None:
    begun.tell(Cancel(By()))

    status = answered(begun.tell(step(0, last=True)))

    assert status.operation.state is OperationState.CANCELED
    assert status.operation.progress.done == 2
    assert not begun.tell(RECOVER).messages


def test_what_has_ended_is_not_cancelled(begun: Restarted) -> None:
    begun.tell(step(0, last=True))

    assert answered(begun.tell(Cancel(By()))).operation.state is OperationState.COMPLETED


def test_after_a_restart_the_runner_is_told_where_it_goes_on(begun: Restarted) -> None:
    begun.tell(step(0))
    begun.restart()

    [(_, run)] = begun.tell(RECOVER).messages

    assert run.operation.progress.cursor == "after 0"


def test_the_first_thousand_errors_are_kept_and_all_are_counted(begun: Restarted) -> None:
    for number in range(3):
        begun.tell(step(number, errors=400))
    begun.restart()

    status = answered(begun.tell(Look()))

    assert len(status.errors) == ERRORS_MAX
    assert status.operation.progress.failed == 1_200


def test_only_what_has_ended_is_forgotten(begun: Restarted) -> None:
    running = begun.tell(Forget())
    assert answered(running) is False
    assert not running.delete

    begun.tell(step(0, last=True))
    assert begun.tell(Forget()).delete
    assert isinstance(answered(begun.tell(Look())), OperationNotFound)


@pytest.mark.parametrize("body", [Look(), Cancel(By()), step(0)], ids=lambda body: type(body).__name__)
def test_an_operation_that_is_not_there_is_said_to_be_missing(body: Any) -> None:
    error = answered(Restarted().tell(body))

    assert str(error) == "there is no operation 'op'. GET /api/v1/operations lists them."
