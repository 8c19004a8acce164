"""Activity actors perform each call once at a time, within limits, and always answer, unless they are stopped."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from perdure import ActivityContext, App, Settings
from perdure.actors.address import Address
from perdure.actors.hosting.flight_record import FlightRecord
from perdure.runtime.activities.actors import ActivityActors
from perdure.runtime.directory import ACTIVITY
from perdure.runtime.instance.message import ActivityDone, Invoke, Withdraw

from ...support.workflows.activities import (
    double_elsewhere,
    end_elsewhere,
    process_id_elsewhere,
    refuse_elsewhere,
    sleep_elsewhere,
)
from ...support.workflows.hard_exceptions import HARD_EXCEPTIONS, raise_elsewhere

pytestmark = pytest.mark.anyio


class World:
    """Activity actors, and the answers that they sent."""

    def __init__(self, *, flight: FlightRecord | None = None, **limits: Any) -> None:
        self.app = App("test")
        self.answers: list[tuple[str, ActivityDone]] = []
        self.now_us = 1_000_000  # Unix time
        self.running = 0
        self.peak = 0
        self.gate = anyio.Event()
        self.actors = ActivityActors(
            self.app,
            Settings(**limits),
            send=lambda address, body: self.answers.append((address.id, body)),
            now_us=lambda: self.now_us,
            flight=flight,
        )

        @self.app.activity
        async def gated(ctx: ActivityContext, n: int) -> int:
            self.running += 1
            self.peak = max(self.peak, self.running)
            await self.gate.wait()
            self.running -= 1
            return n

        @self.app.activity
        async def describe(ctx: ActivityContext) -> list[Any]:
            return [ctx.workflow_id, ctx.task_id, ctx.task_execution_id, ctx.activity_name]

        @self.app.activity
        def in_thread(ctx: ActivityContext, n: int = 7) -> int:
            return n * 2

        @self.app.activity
        async def cancels_itself(ctx: ActivityContext) -> None:
            raise anyio.get_cancelled_exc_class()("mine")

        @self.app.activity
        async def cancels_its_task(ctx: ActivityContext, waits: bool) -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            if waits:
                await anyio.sleep_forever()

        @self.app.activity
        async def leaves_a_scope_open(ctx: ActivityContext, cancelled: bool) -> None:
            scope = anyio.CancelScope()
            scope.__enter__()
            if cancelled:
                scope.cancel()
            await anyio.lowlevel.checkpoint()

        @self.app.activity
        async def raises_on_loop(ctx: ActivityContext, name: str) -> None:
            raise HARD_EXCEPTIONS[name]()

        @self.app.activity
        async def raises_later_on_loop(ctx: ActivityContext, name: str) -> None:
            await anyio.lowlevel.checkpoint()
            raise HARD_EXCEPTIONS[name]()

        @self.app.activity
        def raises_in_thread(ctx: ActivityContext, name: str) -> None:
            raise HARD_EXCEPTIONS[name]()

        @self.app.activity
        def raises_behind_a_decorator(ctx: ActivityContext, name: str) -> Awaitable[None]:
            async def raises() -> None:
                raise HARD_EXCEPTIONS[name]()

            return raises()

        @self.app.activity
        async def odd(ctx: ActivityContext) -> object:
            return object()

        self.app.activity(executor="process")(double_elsewhere)
        self.app.activity(executor="process")(refuse_elsewhere)
        self.app.activity(executor="process")(process_id_elsewhere)
        self.app.activity(executor="process")(raise_elsewhere)
        self.app.activity(executor="process")(end_elsewhere)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["World"]:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                await tasks.start(self.actors.run)
                yield self
                tasks.cancel_scope.cancel()

    def call(self, name: str, payload: str | None = None, task_id: int = 1, *, again: bool = False) -> None:
        address = Address(ACTIVITY, f"x:{task_id}")
        self.actors.receive(address, Invoke(name, payload, "i", "x", task_id, f"x-{task_id}", again=again))

    async def answer(self, name: str, payload: str | None = None) -> ActivityDone:
        self.call(name, payload)
        while not self.answers:
            await anyio.sleep(0.001)
        return self.answers.pop()[1]


async def test_an_activity_knows_who_asked_and_its_result_goes_there() -> None:
    async with World().open() as world:
        done = await world.answer("describe")
        assert done == ActivityDone("x", 1, '["i",1,"x-1","describe"]', None, 1_000_000)


async def test_a_plain_function_gets_its_default_when_there_is_no_input() -> None:
    async with World().open() as world:
        assert (await world.answer("in_thread")).result == "14"
        assert (await world.answer("in_thread", "4")).result == "8"


async def test_a_call_that_is_under_way_is_not_begun_a_second_time() -> None:
    async with World().open() as world:
        world.call("gated", "1")
        world.call("gated", "1")
        await anyio.wait_all_tasks_blocked()
        assert world.running == 1
        world.gate.set()
        await anyio.wait_all_tasks_blocked()
        assert len(world.answers) == 1


async def test_calls_beyond_the_limit_wait_for_their_turn() -> None:
    async with World(activities_max=2).open() as world:
        for task_id in range(5):
            world.call("gated", str(task_id), task_id)
        await anyio.wait_all_tasks_blocked()
        assert world.running == 2
        assert len(world.actors) == 5
        world.gate.set()
        await anyio.wait_all_tasks_blocked()
        assert world.peak == 2
        assert sorted(done.task_id for _, done in world.answers) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("name", "payload", "error_type"),
    [
        ("nobody", None, "ActivityNotRegisteredError"),
        ("gated", '"text"', "PayloadError"),
        ("odd", None, "PayloadError"),
        ("cancels_itself", None, "CancelledError"),
    ],
)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_whatever_goes_wrong_is_an_answer(name: str, payload: str | None, error_type: str) -> None:
    async with World().open() as world:
        done = await world.answer(name, payload)
        assert done.failure is not None
        assert done.failure.error_type == error_type


async def test_stopping_lets_running_ones_finish_and_begins_no_others() -> None:
    async with World(activities_max=1).open() as world:
        world.call("gated", "1", 1)
        world.call("gated", "2", 2)
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.actors.stop, 5.0)
            await anyio.wait_all_tasks_blocked()
            world.gate.set()
        assert [done.task_id for _, done in world.answers] == [1]
        world.call("describe")
        await anyio.wait_all_tasks_blocked()
        assert len(world.answers) == 1


async def test_what_does_not_finish_in_time_is_cancelled_and_answers_nothing() -> None:
    async with World().open() as world:
        world.call("gated", "1")
        await anyio.wait_all_tasks_blocked()
        await world.actors.stop(0.01)
        assert world.answers == []


async def test_without_an_app_a_call_is_left_for_a_process_that_has_one() -> None:
    actors = ActivityActors(None, Settings(), send=lambda address, body: pytest.fail("answered"), now_us=lambda: 0)
    actors.receive(Address(ACTIVITY, "x:1"), Invoke("a", None, "i", "x", 1, "x-1"))
    assert len(actors) == 0


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_activity_can_run_in_another_process_and_its_errors_come_back() -> None:
    import os  # noqa: PLC0415

    async with World().open() as world:
        assert (await world.answer("double_elsewhere", "21")).result == "42"
        assert (await world.answer("process_id_elsewhere")).result != str(os.getpid())
        failure = (await world.answer("refuse_elsewhere")).failure
        assert failure is not None
        assert (failure.error_type, failure.message) == ("LookupError", "not here")


RAISING = ("raises_on_loop", "raises_later_on_loop", "raises_in_thread", "raises_behind_a_decorator", "raise_elsewhere")


@pytest.mark.parametrize("where", RAISING)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_whatever_an_activity_raises_is_its_failure_and_no_other_suffers(where: str) -> None:
    # Given an activity that is under way,
    async with World().open() as world:
        world.call("gated", "1", task_id=7)
        # when another one raises an exception of any kind,
        for name in HARD_EXCEPTIONS:
            done = await world.answer(where, json.dumps(name))
            # then that one fails,
            assert done.failure is not None, name
            assert done.result is None
        # and the one under way ends with its own result.
        world.gate.set()
        while not world.answers:
            await anyio.sleep(0.001)
        assert world.answers.pop()[1] == ActivityDone("x", 7, "1", None, 1_000_000)


@pytest.mark.parametrize(
    ("name", "payload", "fails"),
    [
        ("cancels_its_task", "true", True),
        ("cancels_its_task", "false", False),
        ("leaves_a_scope_open", "true", True),
        ("leaves_a_scope_open", "false", False),
    ],
)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_activity_that_meddles_with_its_task_cancels_no_other(name: str, payload: str, fails: bool) -> None:
    async with World(activities_max=1).open() as world:
        for _ in range(3):
            assert ((await world.answer(name, payload)).failure is not None) is fails
            assert (await world.answer("describe")).failure is None
        # Activities that Perdure cancels still answer nothing.
        world.call("gated", "1")
        await anyio.wait_all_tasks_blocked()
        await world.actors.stop(0.01)
        assert world.answers == []


async def test_cancellation_from_outside_is_no_failure_of_an_activity() -> None:
    # Ctrl-C in a program that embeds the engine has the same effect.
    for _ in range(5):
        async with World().open() as world:
            for task_id in range(10):
                world.call("gated", "1", task_id)
            await anyio.wait_all_tasks_blocked()
        assert world.answers == []


async def test_an_activity_whose_process_ends_has_failed_and_the_next_one_has_another_process() -> None:
    async with World().open() as world:
        assert (await world.answer("end_elsewhere")).failure is not None
        assert (await world.answer("double_elsewhere", "21")).result == "42"


def under_way(path: Path) -> list[tuple[bytes, bytes]]:
    """The activities that the next process would suspect."""
    after = FlightRecord(path, actor_type="workflow", slots=4)
    after.open()
    after.close()
    return [(suspect.name, suspect.what) for suspect in after.suspects]


@pytest.mark.parametrize("ends", [False, True])
async def test_an_attempt_is_noted_while_it_is_under_way_in_this_process(tmp_path: Path, ends: bool) -> None:
    flight = FlightRecord(tmp_path / "flight", actor_type="workflow", slots=4)
    flight.open()
    async with World(flight=flight).open() as world:
        world.call("gated", "1")
        world.call("in_thread", task_id=2)
        while not world.answers:
            await anyio.sleep(0.001)
        if ends:
            world.gate.set()
            while len(world.answers) < 2:
                await anyio.sleep(0.001)
        assert under_way(tmp_path / "flight") == ([] if ends else [(b"i", b"x:1")])


# Activities that their instance has withdrawn.


def withdrawn(*task_ids: int, ended: bool) -> Withdraw:
    return Withdraw("i", "x", task_ids, ended)


@pytest.mark.parametrize("ended", [False, True])
async def test_what_has_not_begun_is_not_performed_any_more(ended: bool) -> None:
    async with World(activities_max=1).open() as world:
        for task_id in range(4):
            world.call("gated", str(task_id), task_id)
        await anyio.wait_all_tasks_blocked()
        world.actors.withdraw(withdrawn(1, 2, 9, ended=ended))
        assert len(world.actors) == 2
        world.gate.set()
        await anyio.wait_all_tasks_blocked()
        assert [done.result for _, done in world.answers] == ["0", "3"]


async def test_what_has_begun_goes_on_when_its_instance_completes_and_is_cancelled_when_it_is_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with World(activities_max=1).open() as world:
        world.call("gated", "1", 1)
        world.call("gated", "2", 2)
        await anyio.wait_all_tasks_blocked()
        world.actors.withdraw(withdrawn(1, ended=False))
        await anyio.wait_all_tasks_blocked()
        assert len(world.actors) == 2
        assert "withdrawn" not in caplog.text, "nothing was"
        world.actors.withdraw(withdrawn(1, ended=True))
        assert "1 activities of 'i' are withdrawn" in caplog.text
        await anyio.wait_all_tasks_blocked()
        # It answers nothing, and the next activity gets its place.
        world.gate.set()
        await anyio.wait_all_tasks_blocked()
        assert [done.task_id for _, done in world.answers] == [2]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_whatever_an_activity_does_with_its_cancellation_it_answers_nothing_and_no_other_suffers() -> None:
    async with World(activities_max=2).open() as world:
        world.call("gated", "1", 100)

        @world.app.activity
        async def meddles(ctx: ActivityContext, how: str) -> str:
            task = asyncio.current_task()
            assert task is not None
            try:
                await anyio.sleep_forever()
            except asyncio.CancelledError:
                if how == "cancels its task, too":
                    task.cancel()
                    await anyio.sleep_forever()
                if how == "leaves a scope open":
                    anyio.CancelScope().__enter__()
                if how == "takes its cancellation back":
                    task.uncancel()
                if how == "raises another cancellation":
                    raise asyncio.CancelledError("mine") from None
                if how in HARD_EXCEPTIONS:
                    raise HARD_EXCEPTIONS[how]() from None
                if how == "lets it pass":
                    raise
            return "done all the same"

        meddling = (
            "cancels its task, too",
            "leaves a scope open",
            "takes its cancellation back",
            "raises another cancellation",
            "lets it pass",
            "returns",
        )
        for task_id, how in enumerate((*meddling, *HARD_EXCEPTIONS)):
            world.call("meddles", json.dumps(how), task_id)
            world.call("describe", None, 1_000 + task_id)
            await anyio.wait_all_tasks_blocked()
            assert world.answers == [], how
            world.actors.withdraw(withdrawn(task_id, ended=True))
            # The next activity gets its place.
            while not world.answers:
                await anyio.sleep(0.001)
            await anyio.wait_all_tasks_blocked()
            assert [done.task_id for _, done in world.answers] == [1_000 + task_id], how
            assert world.answers.pop()[1].failure is None
        world.gate.set()
        while not world.answers:
            await anyio.sleep(0.001)
        assert world.answers.pop()[1] == ActivityDone("x", 100, "1", None, 1_000_000)
        assert len(world.actors) == 0


async def test_activities_that_are_withdrawn_while_all_are_cancelled_answer_nothing() -> None:
    for _ in range(5):
        async with World().open() as world:
            for task_id in range(10):
                world.call("gated", "1", task_id)
            await anyio.wait_all_tasks_blocked()
            world.actors.withdraw(withdrawn(*range(5), ended=True))
        assert world.answers == []


async def test_what_an_abandoned_thread_raises_harms_nothing() -> None:
    let_go = threading.Event()
    async with World(activity_threads_max=1).open() as world:

        @world.app.activity
        def hang_and_raise(ctx: ActivityContext, name: str) -> None:
            assert let_go.wait(20)
            raise HARD_EXCEPTIONS[name]()

        for name in ("interrupt", "exit"):
            let_go.clear()
            world.call("hang_and_raise", json.dumps(name), 1)
            await anyio.sleep(0.05)
            world.actors.withdraw(withdrawn(1, ended=True))
            let_go.set()
            assert (await world.answer("in_thread", "1")).result == "2"
        assert world.answers == []


async def test_a_withdrawal_is_for_one_generation() -> None:
    async with World(activities_max=1).open() as world:
        world.call("gated", "1")
        await anyio.wait_all_tasks_blocked()
        world.actors.withdraw(Withdraw("i", "another", (1,), True))
        world.gate.set()
        await anyio.wait_all_tasks_blocked()
        assert len(world.answers) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_activity_in_another_process_is_cancelled_with_its_process() -> None:
    async with World(activity_processes_max=1).open() as world:
        world.app.activity(executor="process")(sleep_elsewhere)
        world.call("sleep_elsewhere", "60", 1)
        world.call("double_elsewhere", "21", 2)
        await anyio.sleep(0.2)
        world.actors.withdraw(withdrawn(1, ended=True))
        while not world.answers:
            await anyio.sleep(0.001)
        assert [done.result for _, done in world.answers] == ["42"]


async def test_a_thread_that_hangs_gives_its_place_back_until_as_many_do_as_the_limit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    let_go = threading.Event()
    async with World(activity_threads_max=2).open() as world:

        @world.app.activity
        def hang(ctx: ActivityContext) -> None:
            assert let_go.wait(20)

        async def hang_and_withdraw(*task_ids: int) -> None:
            for task_id in task_ids:
                world.call("hang", None, task_id)
            await anyio.sleep(0.1)
            world.actors.withdraw(withdrawn(*task_ids, ended=True))
            await anyio.sleep(0.05)

        async def performs(task_id: int) -> bool:
            world.answers.clear()
            world.call("in_thread", "1", task_id)
            with anyio.move_on_after(0.3):
                while not world.answers:
                    await anyio.sleep(0.001)
            return bool(world.answers)

        try:
            # As many as the limit: all places are given back.
            await hang_and_withdraw(1, 2)
            assert await performs(3)
            assert "2 threads perform activities of instances that have ended" in caplog.text
            # One more takes a place, two more take both.
            await hang_and_withdraw(4)
            assert await performs(5)
            await hang_and_withdraw(6)
            assert not await performs(7)
        finally:
            let_go.set()
        # When the threads end, all is as before.
        while not world.answers:
            await anyio.sleep(0.001)
        assert await performs(8)


# Activities that hang, and are performed once more because a person asks for it.


class Tries:
    """An activity whose tries end when the test says so, in any order."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.begun: list[str] = []
        self.gates: list[anyio.Event] = []

        @world.app.activity
        async def hangs(ctx: ActivityContext) -> int:
            number = len(self.begun)
            self.begun.append(ctx.task_execution_id)
            self.gates.append(anyio.Event())
            await self.gates[number].wait()
            return number

    async def begin(self, count: int) -> None:
        for number in range(count):
            self.world.call("hangs", again=number > 0)
            while len(self.begun) <= number:
                await anyio.sleep(0.001)

    async def answers(self, count: int) -> list[str | None]:
        with anyio.move_on_after(1 if count else 0.02):
            while len(self.world.answers) < max(count, 1):
                await anyio.sleep(0.001)
        return [done.result for _, done in self.world.answers]


@pytest.mark.parametrize("first", [0, 1, 2])
async def test_of_several_tries_of_one_activity_the_first_answer_counts(first: int) -> None:
    async with World().open() as world:
        tries = Tries(world)
        await tries.begin(3)
        assert tries.begun == ["x-1"] * 3, "the key is the same"
        assert len(world.actors) == 1
        tries.gates[first].set()
        assert await tries.answers(1) == [str(first)]
        assert len(world.actors) == 0
        for gate in tries.gates:
            gate.set()
        await anyio.sleep(0.01)
        assert len(world.answers) == 1


async def test_an_activity_that_has_not_begun_is_not_given_out_again() -> None:
    async with World(activities_max=1).open() as world:
        tries = Tries(world)
        world.call("gated", "7", task_id=2)
        world.call("hangs")
        world.call("hangs", again=True)
        world.gate.set()
        while not tries.begun:
            await anyio.sleep(0.001)
        tries.gates[0].set()
        assert await tries.answers(2) == ["7", "0"]
        assert tries.begun == ["x-1"]


async def test_a_second_try_that_waits_for_room_is_not_begun_once_the_first_has_answered() -> None:
    async with World(activities_max=1).open() as world:
        tries = Tries(world)
        await tries.begin(1)
        world.call("hangs", again=True)
        tries.gates[0].set()
        assert await tries.answers(1) == ["0"]
        world.gate.set()
        world.call("gated", "7", task_id=2)
        assert await tries.answers(2) == ["0", "7"]
        assert tries.begun == ["x-1"]


@pytest.mark.parametrize("ended", [True, False])
async def test_all_tries_are_withdrawn_together(ended: bool) -> None:
    async with World().open() as world:
        tries = Tries(world)
        await tries.begin(2)
        world.actors.withdraw(withdrawn(1, ended=ended))
        if not ended:
            # A begun activity continues, and its instance drops the answer.
            tries.gates[0].set()
            assert await tries.answers(1) == ["0"]
        else:
            for gate in tries.gates:
                gate.set()
            assert await tries.answers(0) == []
        assert len(world.actors) == 0


async def test_an_activity_can_hang_again_after_a_restart_of_its_instance() -> None:
    async with World().open() as world:
        tries = Tries(world)
        await tries.begin(1)
        world.call("hangs")  # the instance was loaded again, and asks again
        await anyio.sleep(0.01)
        assert tries.begun == ["x-1"]
        tries.gates[0].set()
        assert await tries.answers(1) == ["0"]
        await tries.begin(0)
        world.call("hangs", again=True)  # the activity is not under way any more, so this is the first try
        while len(tries.begun) < 2:
            await anyio.sleep(0.001)
        tries.gates[1].set()
        assert await tries.answers(2) == ["0", "1"]


async def test_activities_of_an_instance_that_has_left_are_not_begun_and_what_has_begun_answers() -> None:
    async with World(activities_max=1).open() as world:
        world.call("gated", "1", 1)
        world.call("gated", "2", 2)
        await anyio.wait_all_tasks_blocked()
        world.actors.leave(lambda instance_id: instance_id == "i", cancel=False)
        world.gate.set()
        await anyio.wait_all_tasks_blocked()
        assert [done.task_id for _, done in world.answers] == [1]
        assert len(world.actors) == 0


async def test_activities_of_a_host_that_was_found_dead_are_cancelled_and_answer_nothing() -> None:
    async with World(activities_max=1).open() as world:
        world.call("gated", "1", 1)
        world.call("gated", "2", 2)
        await anyio.wait_all_tasks_blocked()
        world.actors.leave(lambda instance_id: instance_id == "other", cancel=True)
        assert len(world.actors) == 2
        world.actors.leave(lambda instance_id: True, cancel=True)
        await anyio.wait_all_tasks_blocked()
        assert len(world.actors) == 0
        # The place is free again.
        world.gate.set()
        assert (await world.answer("gated", "3")).result == "3"
        assert world.answers == []
