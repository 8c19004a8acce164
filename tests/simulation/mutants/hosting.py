"""Mutants of the layer of actors: commits, marks, activations, reminders, watches, the store."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.hosting import failures
from perdure.actors.hosting.activation import Activation
from perdure.actors.hosting.committer import Committer, TakenTurn
from perdure.actors.hosting.failures import Failures
from perdure.actors.hosting.host import Host
from perdure.actors.hosting.loader import Loader
from perdure.actors.hosting.release import Release
from perdure.actors.hosting.turn_loop import TurnLoop
from perdure.actors.reading import Reading
from perdure.actors.reminders.loop import ReminderLoop
from perdure.actors.reminders.window import ReminderWindow
from perdure.actors.store.contract import Write
from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.memory import MemoryStore
from perdure.actors.turn import Envelope
from perdure.actors.waiting.watch import Watches
from perdure.runtime.activities.actors import ActivityActors
from perdure.runtime.activities.lane import Lane
from perdure.runtime.directory import ACTIVITY, WORKFLOW
from perdure.runtime.history.record import unpack_record
from perdure.runtime.history.status import Status
from perdure.runtime.instance.message import Start, Suspend, TryAgain
from perdure.testing.simulation.machines.disk import SimDisk

from .catalogue import mutant


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


@mutant("E9", "E12", "E3")
def cleared_reminders_stay_in_the_store(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryStore, "_clear_reminder", lambda self, reminder: None)


@mutant("E9")
def timers_fire_early(patch: pytest.MonkeyPatch) -> None:
    original = ReminderWindow.pop_due

    def pop_due(self: ReminderWindow, now: Reading, *, limit: int) -> Any:
        return original(self, now._replace(wall_us=now.wall_us + 1_000_000), limit=limit)

    patch.setattr(ReminderWindow, "pop_due", pop_due)


@mutant("E6", "E3", "E8", "E10", "E16", rates={"store.fail": 0.1})
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


@mutant("E1", "E13", "E8", "E10")
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


@mutant("E13", "E14")
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


@mutant("E4")
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
    original = SimDisk.commit

    def again(write: Write) -> list[Write]:
        if write.record is None or write.address.type != WORKFLOW:
            return []
        record = unpack_record(write.record)
        if record.status is not Status.COMPLETED:
            return []
        running = record._replace(status=Status.RUNNING).pack()
        return [Write(key=write.key, address=write.address, shard=write.shard, at_us=write.at_us, record=running)]

    async def commit(self: SimDisk, writes: Sequence[Write], fences: Any) -> None:
        await original(self, [*writes, *(more for write in writes for more in again(write))], fences)

    patch.setattr(SimDisk, "commit", commit)


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


@mutant("E16")
def a_callback_of_the_loop_raises(patch: pytest.MonkeyPatch) -> None:
    original = ActivityActors._reply

    def reply(self: ActivityActors, invoke: Any, result: Any, failure: Any, began_us: Any = None) -> None:
        original(self, invoke, result, failure, began_us)
        asyncio.get_running_loop().call_soon(int, "no number")

    patch.setattr(ActivityActors, "_reply", reply)


@mutant("E1", "E13", rates={"store.fail": 0.1})
def a_refused_request_is_done_all_the_same(patch: pytest.MonkeyPatch) -> None:
    original = Failures.abandon

    def abandon(self: Failures, activation: Any, envelopes: Any, error: Any, *, marked: bool = False) -> None:
        again = [Envelope(each.body) for each in envelopes if each.refuse(error)]
        original(self, activation, [*envelopes, *again], error, marked=marked)

    patch.setattr(Failures, "abandon", abandon)


@mutant("E1")
def a_start_is_refused_though_it_is_done(patch: pytest.MonkeyPatch) -> None:
    original = Release.release
    refused: set[Address] = set()

    def release(self: Release, group: Sequence[TakenTurn]) -> None:
        for taken in group:
            if taken.activation.address in refused:
                continue
            refused.add(taken.activation.address)
            asked = [each.reply for each in taken.envelopes if isinstance(each.body, Start)]
            answers = taken.turn.replies
            answers[:] = [(reply, StoreFailed("refused") if reply in asked else told) for reply, told in answers]
        original(self, group)

    patch.setattr(Release, "release", release)


@mutant("E6")
def turns_of_one_commit_are_written_in_the_reverse_order(patch: pytest.MonkeyPatch) -> None:
    original = SimDisk.commit

    async def commit(self: SimDisk, writes: Sequence[Write], fences: Any) -> None:
        await original(self, writes[::-1], fences)

    patch.setattr(SimDisk, "commit", commit)


@mutant("E6", "E3", "E7", within=60)
def a_successor_does_not_wait_for_the_commit_of_the_one_before(patch: pytest.MonkeyPatch) -> None:
    # The turn breaks that follows one whose commit is under way.
    patch.setattr(Activation, "awaits_predecessor", property(lambda self: False))
    original = TurnLoop._take_turn

    def take(self: TurnLoop, activation: Activation) -> None:
        if activation.uncommitted and activation.key is not None and activation.key % 5 == 0:
            self._failures.abandon(activation, activation.take(), StoreFailed("broken"))
            return
        original(self, activation)

    patch.setattr(TurnLoop, "_take_turn", take)


@mutant("E6", "E3", "E7", "E2", "E13")
def an_activation_leaves_memory_while_its_commit_is_under_way(patch: pytest.MonkeyPatch) -> None:
    idle = property(lambda self: self.actor is not None and not self.mailbox and not self.runnable)
    patch.setattr(Activation, "idle", idle)


@mutant("E11", within=100, rates={"store.fail": 0.1})
def a_mark_that_could_not_be_taken_away_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    # What the first worlds have found: a commit that fails while it takes active marks away left them for ever.
    patch.setattr(failures, "_was_marked", lambda activation, void: False)


@mutant("E16", within=60, deploy="back and forth", rates={"deploy.now": 0.3})
def the_loaders_stream_is_closed_under_its_reader(patch: pytest.MonkeyPatch) -> None:
    # What a stop that comes as a batch has been read has met, in an order of steps that nothing rules out.
    async def run(self: Loader) -> None:
        read, filled = anyio.create_memory_object_stream[Any](0)
        async with anyio.create_task_group() as tasks, read, filled:
            tasks.start_soon(self._fill_in, filled)
            while True:
                await self._work.wait()
                while self._queue:
                    activations = [self._queue.popleft() for _ in range(min(len(self._queue), self.BATCH))]
                    self._loading += len(activations)
                    self._room.set()
                    await read.send((activations, await self._read(activations)))

    patch.setattr(Loader, "run", run)


@mutant("E12")
def a_watch_stays_behind(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Watches, "remove", lambda self, address, watch: None)


@mutant("E12")
def a_host_at_rest_looks_for_reminders_each_hour(patch: pytest.MonkeyPatch) -> None:
    original, pause_s = ReminderLoop._read_on, ReminderLoop._pause_s

    async def read_on(self: ReminderLoop) -> bool:
        await self._store.reminders(after=None, limit=1)
        return await original(self)

    patch.setattr(ReminderLoop, "_read_on", read_on)
    patch.setattr(ReminderLoop, "_pause_s", lambda self: min(3_600.0, pause_s(self)))


@mutant("E12")
def a_task_stays_behind_with_each_caller(patch: pytest.MonkeyPatch) -> None:
    original = Host.ask
    kept: list[Any] = []

    async def ask(self: Host, *given: Any, **named: Any) -> Any:
        kept.append(asyncio.get_running_loop().create_task(asyncio.sleep(1e9)))
        return await original(self, *given, **named)

    patch.setattr(Host, "ask", ask)


@mutant("E9", within=20)
def timers_fire_late(patch: pytest.MonkeyPatch) -> None:
    original = ReminderWindow.pop_due
    wait = ReminderWindow.wait_us

    def late(now: Reading) -> Reading:
        return now._replace(wall_us=now.wall_us - 20_000_000, monotonic_us=now.monotonic_us - 20_000_000)

    patch.setattr(ReminderWindow, "pop_due", lambda self, now, *, limit: original(self, late(now), limit=limit))
    patch.setattr(ReminderWindow, "wait_us", lambda self, now: wait(self, late(now)))


@mutant("E9", within=40, clock_is_set=True)
def turns_take_a_time_that_never_goes_back(patch: pytest.MonkeyPatch) -> None:
    original = TurnLoop._take_turn
    latest = 0

    def take(self: TurnLoop, activation: Any) -> None:
        nonlocal latest
        latest = max(latest, self._now_us()) if self.turns else self._now_us()
        now_us, self._now_us = self._now_us, lambda: latest
        try:
            original(self, activation)
        finally:
            self._now_us = now_us

    patch.setattr(TurnLoop, "_take_turn", take)


@mutant("E10", "E13")
def readers_see_the_state_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    original = Activation.committed

    def committed(self: Activation, write: Write, *, creates: bool) -> None:
        if self.outside is None or write.delete:
            original(self, write, creates=creates)

    patch.setattr(Activation, "committed", committed)


@mutant("E13")
def a_caller_that_suspends_is_never_answered(patch: pytest.MonkeyPatch) -> None:
    original = Release.release

    def release(self: Release, group: Sequence[TakenTurn]) -> None:
        for taken in group:
            asked = [each.reply for each in taken.envelopes if isinstance(each.body, Suspend)]
            taken.turn.replies[:] = [each for each in taken.turn.replies if each[0] not in asked]
        original(self, group)

    patch.setattr(Release, "release", release)


@mutant("E16")
def the_log_has_an_error_for_each_start(patch: pytest.MonkeyPatch) -> None:
    original = Host._start

    def start(self: Host, tasks: Any) -> None:
        original(self, tasks)
        logging.getLogger("perdure.actors.hosting.host").error("something is wrong with %s", "this")

    patch.setattr(Host, "_start", start)


@mutant("E17", "E10", within=40)
def a_lane_does_not_get_its_place_back(patch: pytest.MonkeyPatch) -> None:
    original = Lane.cancel

    def cancel(self: Lane[Any], job: Any) -> None:
        if job in self._scopes:
            self._running += 1
        original(self, job)

    patch.setattr(Lane, "cancel", cancel)


@mutant("E14")
def a_purged_instance_is_back_after_a_restart(patch: pytest.MonkeyPatch) -> None:
    delete, claim = MemoryStore._delete, MemoryStore.claim
    purged: dict[int, Any] = {}

    def deleted(self: MemoryStore, key: int) -> None:
        purged[key] = self._records.get(key)
        delete(self, key)

    async def claimed(self: MemoryStore, host: str, *, now_us: int) -> Any:
        for key, record in purged.items():
            if record is not None and record[0] not in self._keys:
                self._records[key] = record
                self._keys[record[0]] = key
        purged.clear()
        return await claim(self, host, now_us=now_us)

    patch.setattr(MemoryStore, "_delete", deleted)
    patch.setattr(MemoryStore, "claim", claimed)


@mutant(
    "E9", rates={"clock.step": 0.3}, clock_is_set=True, programs=lambda choices: [["nap", 5]], fates=("left alone",)
)
def a_step_back_is_for_timers_in_memory_only(patch: pytest.MonkeyPatch) -> None:
    original = ReminderWindow.set_back

    def set_back(self: ReminderWindow, before: Any, now: Any, *, within_us: int) -> None:
        original(self, before, now, within_us=within_us)
        self._steps.clear()

    patch.setattr(ReminderWindow, "set_back", set_back)
