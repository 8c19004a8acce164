"""Work goes to one worker at a time, comes back when that worker leaves, and is answered once (contract 3.5, 4.5)."""

from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from perdure.actors.address import Address
from perdure.actors.errors import HostStopping
from perdure.runtime.directory import WORK
from perdure.runtime.history.event import EventRaised
from perdure.runtime.instance.message import (
    ActivityDone,
    RemoteAnswer,
    Stalled,
    TryAgain,
    Withdraw,
    WorkflowAnswer,
)
from perdure.runtime.workers.items import ActivityAnswer, ActivityItem, WorkflowItem, WorkUnknown
from perdure.runtime.workers.limits import DispatchLimits

from ...support.workflows.remote_workers import World, call, turn

pytestmark = pytest.mark.anyio


async def test_work_waits_for_a_worker_and_its_answer_goes_to_the_instance() -> None:
    world = World()
    work, invoke = turn(), call()
    world.ask(work)
    world.call(invoke)
    async with world.worker() as worker:
        item = await worker.next()
        assert isinstance(item, WorkflowItem)
        assert (item.instance_id, item.execution_id, item.past, item.cached_count) == ("i", "x", [], None)
        await world.answer(item)
        item = await worker.next()
        assert isinstance(item, ActivityItem)
        assert (item.name, item.task_execution_id) == ("a", "x-1")
        await world.answer(item)
    [(_, turn_answer), (_, done)] = world.sent
    assert isinstance(turn_answer, RemoteAnswer)
    assert turn_answer.work == work.settle()
    assert done == ActivityDone("x", 1, "1", None, 1_000_000)


async def test_what_a_worker_that_went_has_not_answered_goes_to_another_with_a_new_token() -> None:
    world = World()
    world.ask(turn())
    async with world.worker() as worker:
        first = await worker.next()
    async with world.worker() as worker:
        again = await worker.next()
        assert again.instance_id == first.instance_id
        assert again.token != first.token
        # An answer under the old token is void from any worker; an answer under the new token counts.
        await world.answer(first)
        assert world.sent == []
        await world.answer(again)
        assert len(world.sent) == 1


async def test_an_answer_without_a_token_counts() -> None:
    world = World()
    world.call(call())
    async with world.worker() as worker:
        await world.answer(await worker.next(), token="")
    assert len(world.sent) == 1


async def test_an_answer_without_a_waiter_is_refused_with_daprs_words() -> None:
    world = World()
    with pytest.raises(WorkUnknown, match=r"^unknown instance ID: i$"):
        await world.dispatcher.complete_workflow(WorkflowAnswer("i", "", ()))
    with pytest.raises(WorkUnknown, match=r"^unknown instance ID/task ID combo: i/3$"):
        await world.dispatcher.complete_activity(ActivityAnswer("i", 3, "", None, None))


async def test_work_that_is_asked_for_again_is_given_once_and_newer_work_takes_its_place() -> None:
    world = World()
    async with world.worker() as worker:
        world.ask(turn(position=2))
        world.ask(turn(position=2))
        first = await worker.next()
        assert await worker.idle()
        world.ask(turn(position=4))
        second = await worker.next()
        assert len(second.past) == 4
        await world.answer(first)
        assert world.sent == []


async def test_a_turn_that_also_feeds_what_came_later_waits_for_the_answer_to_the_first() -> None:
    world = World()
    async with world.worker() as worker:
        world.ask(turn(fed=[EventRaised("a", None)]))
        await worker.next()
        world.ask(turn(fed=[EventRaised("a", None), EventRaised("b", None)]))
        assert await worker.idle()


async def test_an_answer_to_a_turn_that_was_not_sent_is_void() -> None:
    world = World()
    async with world.worker() as worker:
        world.call(call(1))
        await worker.next()
        world.ask(turn(patience_s=60))
        await world.dispatcher.complete_workflow(WorkflowAnswer("i", "", ()))
        assert world.sent == []
        assert len(world.dispatcher) == 2


async def test_a_turn_that_feeds_something_else_takes_the_place_of_one_whose_commit_failed() -> None:
    world = World()
    async with world.worker() as worker:
        world.ask(turn(fed=[EventRaised("a", None)]))
        void = await worker.next()
        world.ask(turn(fed=[EventRaised("b", None)]))
        valid = await worker.next()
        await world.answer(void)
        assert world.sent == []
        await world.answer(valid)
        assert len(world.sent) == 1


async def test_an_activity_of_a_new_generation_takes_the_place_of_one_with_its_number() -> None:
    world = World()
    async with world.worker() as worker:
        world.call(call(execution_id="x"))
        old = await worker.next()
        world.call(call(execution_id="y"))
        new = await worker.next()
        await world.answer(old)
        assert world.sent == []
        await world.answer(new)
        assert world.sent == [("i", ActivityDone("y", 1, "1", None, 1_000_000))]


async def test_work_goes_to_the_worker_that_has_least() -> None:
    world = World()
    async with world.worker() as first, world.worker() as second:
        for task_id in range(4):
            world.call(call(task_id))
        assert [(await each.next()).task_id for each in (first, second, first, second)] == [0, 1, 2, 3]


async def test_a_worker_has_no_more_than_it_can_keep() -> None:
    world = World(activities_per_stream_max=2)
    async with world.worker() as worker:
        for task_id in range(3):
            world.call(call(task_id))
        held = [await worker.next(), await worker.next()]
        assert await worker.idle()
        await world.answer(held[0])
        assert (await worker.next()).task_id == 2


@pytest.mark.parametrize("limits", [{"activities_max": 1}, {"activity_max": {"a": 1}}], ids=["of all", "of one name"])
async def test_a_limit_lets_the_next_in_when_one_is_answered(limits: dict[str, Any]) -> None:
    world = World(**limits)
    async with AsyncExitStack() as stack:
        worker = await stack.enter_async_context(world.worker())
        world.call(call(1))
        world.call(call(2))
        first = await worker.next()
        assert await worker.idle()
        await world.answer(first)
        assert (await worker.next()).task_id == 2


async def test_a_limit_for_one_name_does_not_hold_back_another() -> None:
    world = World(workflow_max={"w": 1})
    async with world.worker() as worker:
        world.ask(turn("i1"))
        world.ask(turn("i2"))
        world.ask(turn("i3", name="other"))
        assert [(await worker.next()).instance_id for _ in range(2)] == ["i1", "i3"]


async def test_a_stalled_instance_tries_again_when_a_worker_comes() -> None:
    world = World()
    world.dispatcher.receive(Address(WORK, "i"), Stalled())
    async with world.worker():
        assert world.sent == [("i", TryAgain())]
    async with world.worker():
        assert len(world.sent) == 1


async def test_stopping_ends_the_streams_and_accepts_no_worker() -> None:
    world = World()
    async with world.worker() as worker:
        world.dispatcher.stop()
        with pytest.raises(StopAsyncIteration):
            await worker.next()
    with pytest.raises(HostStopping):
        async with world.worker():
            pass


# The windows of a worker.


async def test_activities_and_turns_have_a_window_each_and_neither_takes_the_others_room() -> None:
    world = World()
    async with world.worker() as worker:
        for task_id in range(120):
            world.call(call(task_id))
        given = [await worker.next() for _ in range(80)]
        assert await worker.idle()
        # The turn of another instance comes, and twenty activities of that instance.
        for each in range(30):
            world.ask(turn(f"i{each}"))
        turns = [await worker.next() for _ in range(20)]
        assert all(isinstance(item, WorkflowItem) for item in turns)
        assert await worker.idle()
        # Room for one kind is not lent to the other.
        await world.answer(turns[0])
        assert isinstance(await worker.next(), WorkflowItem)
        assert await worker.idle()
        await world.answer(given[0])
        assert isinstance(await worker.next(), ActivityItem)
        assert await worker.idle()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"activities_per_stream_max": 81}, "at most 100 together, not 101"),
        ({"workflows_per_stream_max": 0}, "workflows_per_stream_max must be at least 1, not 0"),
    ],
)
def test_a_worker_cannot_be_given_more_than_every_sdk_keeps(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DispatchLimits(**limits)


async def test_instances_are_taken_in_turn() -> None:
    world = World(activities_max=1)
    for instance_id, task_id in (("a", 1), ("a", 2), ("a", 3), ("b", 1)):
        world.call(replace(call(task_id), instance_id=instance_id))
    order = []
    async with world.worker() as worker:
        for _ in range(4):
            item = await worker.next()
            order.append((item.instance_id, item.task_id))
            await world.answer(item)
    assert order == [("a", 1), ("b", 1), ("a", 2), ("a", 3)]


# Activities that their instance has withdrawn.


async def test_a_withdrawn_activity_is_sent_to_no_worker() -> None:
    world = World(activities_per_stream_max=1)
    world.call(call(1))
    async with world.worker() as worker:
        for task_id in (2, 3, 4):
            world.call(call(task_id))
        # One is with the stream and not sent yet, the others wait.
        world.dispatcher.withdraw(Withdraw("i", "x", (1, 2, 4, 9)))
        assert (await worker.next()).task_id == 3
        assert await worker.idle()
        assert len(world.dispatcher) == 1


async def test_a_withdrawal_is_for_one_generation_and_one_instance() -> None:
    world = World()
    world.call(call(1))
    world.dispatcher.withdraw(Withdraw("i", "another", (1,), True))
    world.dispatcher.withdraw(Withdraw("j", "x", (1,), True))
    async with world.worker() as worker:
        assert (await worker.next()).task_id == 1


@pytest.mark.parametrize("ended", [False, True])
async def test_what_a_lost_worker_had_is_not_sent_again_if_it_was_withdrawn(ended: bool) -> None:
    world = World()
    async with world.worker() as worker:
        world.call(call(1))
        world.call(call(2))
        world.ask(turn())
        for _ in range(3):
            await worker.next()
        world.dispatcher.withdraw(Withdraw("i", "x", (1,), ended))
    async with world.worker() as worker:
        kinds = [type(await worker.next()) for _ in range(1 if ended else 2)]
        assert kinds == ([ActivityItem] if ended else [WorkflowItem, ActivityItem])
        assert await worker.idle()
        assert len(world.dispatcher) == len(kinds)


async def test_a_worker_may_still_answer_what_was_withdrawn_and_its_room_is_free_then() -> None:
    world = World(activities_max=1)
    async with world.worker() as worker:
        world.call(call(1))
        item = await worker.next()
        world.dispatcher.withdraw(Withdraw("i", "x", (1,), True))
        world.call(call(2))
        assert await worker.idle()
        await world.answer(item)
        assert (await worker.next()).task_id == 2


async def test_a_stalled_instance_that_was_ended_does_not_try_again() -> None:
    world = World()
    world.dispatcher.receive(Address(WORK, "i"), Stalled())
    world.dispatcher.withdraw(Withdraw("i", "x", (), True))
    async with world.worker():
        assert world.sent == []


async def test_a_withdrawal_of_very_many_takes_no_time() -> None:
    world = World()
    for task_id in range(20_000):
        world.call(call(task_id))
    with anyio.fail_after(2):
        world.dispatcher.withdraw(Withdraw("i", "x", range(20_000), True))
        await anyio.lowlevel.checkpoint()
    assert len(world.dispatcher) == 0


# Activities that hang, and are given out once more because a person asks for it.


async def test_an_activity_that_hangs_goes_to_another_worker_and_the_first_answer_counts() -> None:
    for first_answers in (True, False):
        world = World()
        async with world.worker() as one, world.worker() as other:
            world.call(call())
            first = await one.next()
            world.call(replace(call(), again=True))
            again = await other.next()
            assert again.token != first.token
            assert again.task_execution_id == first.task_execution_id
            await world.answer(first if first_answers else again)
            assert len(world.sent) == 1
            assert len(world.dispatcher) == 0
            with pytest.raises(WorkUnknown):
                await world.answer(again if first_answers else first)


async def test_with_one_worker_it_is_given_to_the_same_once_more() -> None:
    world = World()
    async with world.worker() as worker:
        world.call(call())
        first = await worker.next()
        world.call(replace(call(), again=True))
        again = await worker.next()
        assert again.token != first.token
        await world.answer(first)
        assert len(world.sent) == 1


@pytest.mark.parametrize("token", ["first", ""])
async def test_an_answer_counts_while_the_second_try_waits_for_room(token: str) -> None:
    world = World(activities_max=1)
    async with world.worker() as worker:
        world.call(call())
        first = await worker.next()
        world.call(call(2))  # takes the room when the first is given up
        world.call(replace(call(), again=True))
        await world.answer(first, **({} if token else {"token": ""}))
        assert [done.task_id for _, done in world.sent] == [1]
        assert (await worker.next()).task_id == 2


async def test_what_waits_for_a_worker_is_not_given_out_twice() -> None:
    world = World()
    world.call(call())
    world.call(replace(call(), again=True))
    async with world.worker() as worker:
        await worker.next()
        assert await worker.idle()


async def test_an_activity_whose_worker_went_waits_for_the_next_if_it_is_asked_for_again() -> None:
    world = World()
    async with world.worker() as worker:
        world.call(call())
        first = await worker.next()
    world.call(replace(call(), again=True))
    async with world.worker() as worker:
        second = await worker.next()
        assert second.token != first.token
        assert await worker.idle()
        await world.answer(second)
    assert len(world.sent) == 1
    assert len(world.dispatcher) == 0


async def test_an_activity_that_was_given_out_again_can_be_withdrawn() -> None:
    world = World()
    async with world.worker() as worker:
        world.call(call())
        first = await worker.next()
        world.call(replace(call(), again=True))
        await worker.next()
        world.dispatcher.withdraw(Withdraw("i", "x", (1,)))
        await world.answer(first)  # its worker may still answer
        assert len(world.dispatcher) == 0


async def test_a_lost_worker_gives_back_what_was_given_out_again() -> None:
    world = World()
    async with world.worker() as one:
        world.call(call())
        first = await one.next()
        async with world.worker() as other:
            world.call(replace(call(), again=True))
            await other.next()
        third = await one.next()
        assert third.token != first.token
        await world.answer(first)
        assert len(world.sent) == 1


async def test_jobs_of_an_instance_that_has_left_go_to_no_worker_and_its_answers_are_refused() -> None:
    world = World()
    world.ask(turn())
    world.call(call())
    async with world.worker() as worker:
        item = await worker.next()
        world.dispatcher.leave(lambda instance_id: instance_id == "other")
        assert len(world.dispatcher) == 2
        world.dispatcher.leave(lambda instance_id: instance_id == "i")
        assert len(world.dispatcher) == 0
        with pytest.raises(WorkUnknown):
            await world.answer(item)
        # The work of an instance that comes back is done.
        world.call(call(2))
        while not isinstance(again := await worker.next(), ActivityItem) or again.task_id != 2:
            pass
        await world.answer(again)
    assert [done.task_id for _, done in world.sent] == [2]


async def test_what_a_worker_without_tokens_has_of_a_shard_that_has_gone_holds_nothing_back_when_it_is_here_again() -> (
    None
):
    world = World()
    async with world.worker(agent="dapr-js-sdk") as worker:
        # Given a turn and an activity at such a worker,
        world.ask(turn())
        world.call(call())
        for _ in range(2):
            await worker.next()
        # when their shard goes to another host, which gets the answers, and comes back,
        world.dispatcher.leave(lambda instance_id: True)
        world.ask(turn(position=1))
        world.call(call(execution_id="y"))
        # then the next ones are given out.
        assert {type(await worker.next()) for _ in range(2)} == {WorkflowItem, ActivityItem}
