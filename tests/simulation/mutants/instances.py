"""Mutants of the layer of workflows: history, replay, recovery, children, activities."""

from typing import Any, cast

import pytest

from perdure.actors import text
from perdure.actors.turn import Envelope
from perdure.runtime.activities import actors as activities
from perdure.runtime.activities.actors import ActivityActors
from perdure.runtime.authoring import codec
from perdure.runtime.execution import drive
from perdure.runtime.execution.child_ids import child_id
from perdure.runtime.execution.pending import Pending
from perdure.runtime.history.event import ChildCompleted, EventRaised, TaskCompleted, TimerCreated
from perdure.runtime.history.row import RowPacker
from perdure.runtime.instance import effects, ending, native, receiving, turn
from perdure.runtime.instance.message import ChildDone
from perdure.runtime.instance.receiving import RECEIVERS
from perdure.runtime.instance.requests import steering
from perdure.runtime.instance.sheet import TurnSheet
from perdure.runtime.operations.reading import waiting

from .catalogue import mutant


@mutant("E10")
def recovery_does_not_ask_for_activities_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(steering, "invoke_again", lambda sheet, task: None)


@mutant("E10", rates={"kill.unheard": 0.1}, within=60)
def recovery_does_not_tell_a_parent_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(steering, "tell_parent_again", lambda sheet: None)


@mutant("E15")
def a_child_has_the_link_of_another(patch: pytest.MonkeyPatch) -> None:
    original = effects._link

    def link(sheet: Any, child: Any) -> Any:
        right = original(sheet, child)
        return right._replace(task_id=right.task_id + 1_000)

    patch.setattr(effects, "_link", link)


@mutant("E5", rates={"store.fail": 0.1})
def answered_activities_are_asked_for_again(patch: pytest.MonkeyPatch) -> None:
    # What the worlds have found: an answer that comes together with a recovery.
    patch.setattr(turn, "drop_answered", lambda sheet: None)


@mutant("E5", rates={"store.slow": 0.3}, fates=("repaired",))
def an_answer_does_not_withdraw_a_repaired_activity(patch: pytest.MonkeyPatch) -> None:
    # What the worlds have found: an answer that comes while a repair is being committed.
    patch.setattr(receiving, "drop_asked_again", lambda sheet, task_id: None)


@mutant("E5", within=40)
def work_of_a_terminated_instance_goes_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ActivityActors, "withdraw", lambda self, message: None)


@mutant("E15", rates={"store.fail": 0.1})
def a_parent_hears_of_an_end_twice(patch: pytest.MonkeyPatch) -> None:
    original = RECEIVERS[ChildDone]

    def receive(sheet: TurnSheet, envelope: Envelope) -> None:
        done = envelope.body
        if sheet.awaits(done.execution_id) and done.task_id not in sheet.actor.open.children and not done.failure:
            sheet.arrive(ChildCompleted(done.task_id, done.result))
        original(sheet, envelope)

    patch.setitem(cast("dict[Any, Any]", RECEIVERS), ChildDone, receive)


@mutant("E4", within=60)
def continue_as_new_hands_events_on_twice(patch: pytest.MonkeyPatch) -> None:
    original = ending.continue_as_new

    def continue_as_new(sheet: TurnSheet, outcome: Any, unfed: Any) -> None:
        original(sheet, outcome, unfed)
        sheet.holding += [each for each in sheet.holding if isinstance(each, EventRaised)]

    patch.setattr(native, "continue_as_new", continue_as_new)


@mutant("E3")
def a_row_has_an_answer_twice(patch: pytest.MonkeyPatch) -> None:
    original = RowPacker.pack

    def pack(self: RowPacker, at_us: int, turn: Any, *rest: Any) -> bytes:
        if turn is not None:
            turn = [each for event in turn for each in ([event] * 2 if isinstance(event, TaskCompleted) else [event])]
        return original(self, at_us, turn, *rest)

    patch.setattr(RowPacker, "pack", pack)


@mutant("E7")
def a_row_has_timers_for_another_date(patch: pytest.MonkeyPatch) -> None:
    original = RowPacker.pack

    def pack(self: RowPacker, at_us: int, turn: Any, *rest: Any) -> bytes:
        if turn is not None:
            later = [
                each._replace(fire_at_us=each.fire_at_us + 1) if isinstance(each, TimerCreated) else each
                for each in turn
            ]
            turn = later
        return original(self, at_us, turn, *rest)

    patch.setattr(RowPacker, "pack", pack)


# A child that its parent does not wait for, and one with its number in the next generation.
OUTRUN = [["outrun", [["nap", 100]], 0.01], ["again", [["outrun", [["nap", 0.01]], 200]]]]


@mutant("E8", "E10", "E11", "E15", program=OUTRUN)
def ids_of_children_do_not_name_their_generation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(drive, "child_id", lambda parent_id, number, execution_id: child_id(parent_id, number, None))


@mutant("E3", "E7", "E8", "E10")
def a_row_lacks_held_events(patch: pytest.MonkeyPatch) -> None:
    original = RowPacker.pack

    def pack(self: RowPacker, at_us: int, turn: Any, held: Any, *rest: Any) -> bytes:
        return original(self, at_us, turn, held if turn is None else (), *rest)

    patch.setattr(RowPacker, "pack", pack)


@mutant("E7", "E8", "E10", "E16", within=20, deploy="back and forth")
def replay_decides_by_the_policies_of_today(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Pending, "_is_alone", lambda self, call: False)


@mutant("E7", "E8", "E10", deploy="forward")
def replay_forgets_the_patches_of_the_history(patch: pytest.MonkeyPatch) -> None:
    original = drive.Execution.__init__

    def init(self: Any, *given: Any, patches: Any = (), **named: Any) -> None:
        original(self, *given, **named)

    patch.setattr(drive.Execution, "__init__", init)


@mutant("E8")
def the_number_of_an_attempt_is_forgotten_in_a_restart(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(effects, "_attempt", lambda actor, task: 1)


@mutant("E8", "E10", "E16", within=20)
def an_error_without_a_text_is_described(patch: pytest.MonkeyPatch) -> None:
    def no_text(value: object, method: str, error: BaseException) -> str:
        raise error

    patch.setattr(text, "_no_text", no_text)


@mutant("E8", "E10", "E16", within=20)
def an_interrupt_in_an_activity_ends_the_host(patch: pytest.MonkeyPatch) -> None:
    original: Any = vars(activities)["failure_of"]

    def failure_of(error: BaseException, **named: Any) -> Any:
        if isinstance(error, KeyboardInterrupt):
            raise error
        return original(error, **named)

    patch.setattr(activities, "failure_of", failure_of)


@mutant("E8", within=20)
def not_a_number_becomes_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(codec, "_finite", lambda value: True)


@mutant("E10", within=40)
def an_instance_does_not_say_what_event_it_waits_for(patch: pytest.MonkeyPatch) -> None:
    original = waiting._open
    patch.setattr(
        waiting, "_open", lambda *given: [each for each in original(*given) if each.kind is not waiting.WaitKind.EVENT]
    )
