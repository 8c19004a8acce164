"""Bugs planted in the engine, to see that the worlds find them: who checks the checkers.

Each is a patch of one place, and says which invariants may find it. A mutant for each fault that was ever mended.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from perdure.actors.address import Address
from perdure.actors.hosting import committer
from perdure.actors.hosting.committer import Committer, TakenTurn
from perdure.actors.hosting.failures import Failures
from perdure.actors.hosting.host import Host
from perdure.actors.hosting.release import Release
from perdure.actors.hosting.turn_loop import TurnLoop
from perdure.actors.reading import Reading
from perdure.actors.reminders.window import ReminderWindow
from perdure.actors.store.contract import Write
from perdure.actors.store.memory import MemoryStore
from perdure.actors.turn import Envelope
from perdure.runtime.activities.actors import ActivityActors
from perdure.runtime.history.record import unpack_record
from perdure.runtime.history.status import Status
from perdure.runtime.instance import effects
from perdure.runtime.instance.message import ACTIVITY, WORKFLOW, TryAgain
from perdure.runtime.instance.requests import steering


class Mutant(NamedTuple):
    """A planted bug."""

    name: str
    plant: Callable[[pytest.MonkeyPatch], None]
    found_by: frozenset[str]  # the invariants of which one finds it


MUTANTS: list[Mutant] = []


def mutant(*found_by: str) -> Callable[[Callable[[pytest.MonkeyPatch], None]], None]:
    """Add a mutant to the list; its name is the function's."""

    def add(plant: Callable[[pytest.MonkeyPatch], None]) -> None:
        MUTANTS.append(Mutant(plant.__name__.replace("_", " "), plant, frozenset(found_by)))

    return add


@contextmanager
def planted(bug: Mutant) -> Iterator[None]:
    """Have a bug in the engine until the block ends."""
    with pytest.MonkeyPatch.context() as patch:
        bug.plant(patch)
        yield


@mutant("E5")
def activities_begin_before_their_commit(patch: pytest.MonkeyPatch) -> None:
    original = TurnLoop._take_turn

    def take(self: TurnLoop, activation: Any) -> None:
        had = len(self._committer._filling)
        original(self, activation)
        for taken in self._committer._filling[had:]:
            for address, body in taken.turn.messages:
                if address.type == ACTIVITY:
                    self._routes[ACTIVITY](address, body)

    patch.setattr(TurnLoop, "_take_turn", take)


@mutant("E10", "E1")
def no_active_mark_is_set(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Committer, "_active_mark", lambda self, activation, turn: None)


@mutant("E11")
def active_marks_are_never_taken_away(patch: pytest.MonkeyPatch) -> None:
    original = Committer._active_mark
    patch.setattr(Committer, "_active_mark", lambda self, activation, turn: original(self, activation, turn) or None)
    patch.setattr(Committer, "retire", lambda self, activation, now_us: None)


@mutant("E10")
def recovery_does_not_ask_for_activities_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(steering, "invoke", lambda sheet, task: None)


@mutant("E10")
def recovery_does_not_tell_a_parent_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(steering, "tell_parent_again", lambda sheet: None)


@mutant("E9", "E12", "E3")
def cleared_reminders_stay_in_the_store(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryStore, "_clear_reminder", lambda self, reminder: None)


@mutant("E9")
def timers_fire_early(patch: pytest.MonkeyPatch) -> None:
    original = ReminderWindow.pop_due

    def pop_due(self: ReminderWindow, now: Reading, *, limit: int) -> Any:
        return original(self, now._replace(wall_us=now.wall_us + 1_000_000), limit=limit)

    patch.setattr(ReminderWindow, "pop_due", pop_due)


@mutant("E3", "E8", "E10", "E16")
def a_failed_commit_does_not_undo_later_turns(patch: pytest.MonkeyPatch) -> None:
    original = Committer._fail

    def fail(self: Committer, group: Sequence[TakenTurn], error: Any) -> None:
        later, self._filling = self._filling, []
        original(self, group, error)
        self._filling = later

    patch.setattr(Committer, "_fail", fail)


@mutant("E10")
def messages_of_a_failed_turn_are_lost(patch: pytest.MonkeyPatch) -> None:
    original = Failures.abandon

    def abandon(self: Failures, activation: Any, envelopes: Any, error: Any, *, marked: bool = False) -> None:
        original(self, activation, [each for each in envelopes if each.refuse(error)], error)

    patch.setattr(Failures, "abandon", abandon)


@mutant("E1", "E8", "E10")
def callers_are_answered_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    original = Committer.add

    def add(self: Committer, activation: Any, turn: Any, envelopes: Any, now_us: int) -> None:
        for reply, answer in turn.replies:
            if isinstance(answer, BaseException):
                reply.fail(answer)
            else:
                reply.succeed(answer)
        turn.replies.clear()
        original(self, activation, turn, envelopes, now_us)

    patch.setattr(Committer, "add", add)


@mutant("E14")
def a_purge_leaves_the_instance(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryStore, "_delete", lambda self, key: None)


@mutant("E17")
def activities_that_have_ended_stay_in_the_table(patch: pytest.MonkeyPatch) -> None:
    original = ActivityActors._reply

    def reply(self: ActivityActors, invoke: Any, result: Any, failure: Any, began_us: Any = None) -> None:
        original(self, invoke, result, failure, began_us)
        address = Address(ACTIVITY, f"{invoke.execution_id}:{invoke.task_id}:left")
        self._busy[address] = object()  # type: ignore[assignment]

    patch.setattr(ActivityActors, "_reply", reply)


@mutant("E4", "E8", "E3")
def an_event_is_delivered_twice(patch: pytest.MonkeyPatch) -> None:
    delivered: list[Any] = []
    original = Release.release

    def release(self: Release, group: Sequence[TakenTurn]) -> None:
        original(self, group)
        for taken in group:
            for body in (envelope.body for envelope in taken.envelopes):
                if type(body).__name__ == "RaiseEvent" and not any(body is other for other in delivered):
                    delivered.append(body)
                    self._mailroom.deliver(taken.activation.address, Envelope(body))

    patch.setattr(Release, "release", release)


@mutant("E2")
def an_instance_that_has_ended_runs_again(patch: pytest.MonkeyPatch) -> None:
    original = committer._in_parts

    def in_parts(taken: TakenTurn) -> Sequence[Write]:
        parts = original(taken)
        write = taken.write
        if write is None or write.record is None or write.address.type != WORKFLOW:
            return parts
        record = unpack_record(write.record)
        if record.status is not Status.COMPLETED:
            return parts
        again = record._replace(status=Status.RUNNING).pack()
        return (*parts, Write(key=write.key, address=write.address, shard=write.shard, at_us=write.at_us, record=again))

    patch.setattr(committer, "_in_parts", in_parts)


@mutant("E12")
def a_host_at_rest_looks_after_an_instance_each_hour(patch: pytest.MonkeyPatch) -> None:
    original = Host._start

    def start(self: Host, tasks: Any) -> None:
        original(self, tasks)
        loop = asyncio.get_running_loop()

        def look() -> None:
            self.send(Address(WORKFLOW, "nobody"), TryAgain())
            loop.call_later(3_600, look)

        loop.call_later(3_600, look)

    patch.setattr(Host, "_start", start)


@mutant("E15")
def a_child_has_the_link_of_another(patch: pytest.MonkeyPatch) -> None:
    original = effects._link

    def link(sheet: Any, child: Any) -> Any:
        right = original(sheet, child)
        return right._replace(task_id=right.task_id + 1_000)

    patch.setattr(effects, "_link", link)


@mutant("E16")
def a_callback_of_the_loop_raises(patch: pytest.MonkeyPatch) -> None:
    original = ActivityActors._reply

    def reply(self: ActivityActors, invoke: Any, result: Any, failure: Any, began_us: Any = None) -> None:
        original(self, invoke, result, failure, began_us)
        asyncio.get_running_loop().call_soon(int, "no number")

    patch.setattr(ActivityActors, "_reply", reply)
