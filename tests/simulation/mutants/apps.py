"""Mutants of apps that ask each other: calls, children of the other app, and the ways back."""

from typing import Any

import pytest

from perdure.actors.turn import Recover, Turn
from perdure.runtime.activities.calls import CallActor
from perdure.runtime.instance import native, receiving
from perdure.runtime.instance.sheet import TurnSheet
from perdure.runtime.operations.retention.policy import Retention

from .catalogue import mutant


@mutant("E10", kind="apps")
def a_later_generation_forgets_the_app_of_its_parent(patch: pytest.MonkeyPatch) -> None:
    original = vars(native)["continue_as_new"]

    def continue_as_new(sheet: TurnSheet, *given: Any) -> None:
        original(sheet, *given)
        assert sheet.actor.record is not None
        sheet.actor.record = sheet.actor.record._replace(parent_app=None)

    patch.setattr(native, "continue_as_new", continue_as_new)


@mutant("E10", kind="apps")
def the_answer_of_a_call_stays_in_its_app(patch: pytest.MonkeyPatch) -> None:
    def answer(self: CallActor, record: Any, turn: Turn) -> None:
        turn.messages.append((self._kind.own.instance(record.invoke.instance_id), record.done))

    patch.setattr(CallActor, "_answer", answer)


@mutant("E10", "E17", kind="apps", rates={"kill.begun": 0.1, "kill.effect": 0.1})
def a_call_is_not_recovered(patch: pytest.MonkeyPatch) -> None:
    original = CallActor._receive

    def receive(self: CallActor, body: Any, turn: Turn) -> None:
        if not isinstance(body, Recover):
            original(self, body, turn)

    patch.setattr(CallActor, "_receive", receive)


@mutant("E5", kind="apps", rates={"kill.before": 0.05})
def a_call_is_performed_before_its_commit(patch: pytest.MonkeyPatch) -> None:
    original = CallActor._perform

    def perform(self: CallActor, invoke: Any, turn: Turn) -> None:
        original(self, invoke, turn)
        turn.early, turn.messages = [*turn.early, turn.messages[-1]], turn.messages[:-1]

    patch.setattr(CallActor, "_perform", perform)


@mutant("E11", kind="apps", instances_max=6, savers=0, retention=Retention())
def a_call_that_was_called_off_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    # What the worlds have found: an answer that comes while a recovery that asks for it again is being committed.
    original = vars(receiving)["drop_asked_again"]

    def drop(sheet: TurnSheet, task: Any) -> None:
        turn = sheet.actor.asked_again
        original(sheet, task)
        assert turn is not None
        turn.called_off = 0

    patch.setattr(receiving, "drop_asked_again", drop)
