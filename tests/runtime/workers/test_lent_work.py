"""Activities that workers have move with their shard: they are given out once, and answered once."""

from collections.abc import Callable

import pytest

from perdure.runtime.instance.message import ActivityDone, Withdraw
from perdure.runtime.workers.items import ActivityAnswer, WorkUnknown
from perdure.runtime.workers.lent import LentJob

from ...support.workflows.remote_workers import World, call

pytestmark = pytest.mark.anyio

LENT = LentJob("i", "x", 1, "giver", 7, "token", "stream")
ON_ITS_WAY = LentJob("i", "x", 1, "giver", 7)


def anybody(instance_id: str) -> bool:
    return True


async def test_the_giver_says_what_workers_have_and_gives_out_no_more() -> None:
    # Given a worker with one activity, and another that waits for room,
    world = World(activities_max=1)
    async with world.worker() as worker:
        world.call(call(1))
        world.call(call(2))
        item = await worker.next()
        # when their shard is about to be given away,
        [lent] = world.dispatcher.lent.lend(anybody, "me")
        assert lent == LentJob("i", "x", 1, "me", 1_000_000, item.token, "")
        await world.answer(item)
        assert await worker.idle()
        # and is not given after all, then the one that waited is given out;
        world.dispatcher.lent.keep(anybody)
        assert (await worker.next()).task_id == 2


async def test_what_was_held_back_is_forgotten_with_the_shard() -> None:
    world = World()
    world.call(call(1))
    assert world.dispatcher.lent.lend(anybody, "me") == []
    world.dispatcher.leave(anybody)
    world.dispatcher.lent.keep(anybody)
    async with world.worker() as worker:
        assert await worker.idle()


async def test_a_job_that_a_worker_has_is_not_given_out_by_the_new_owner_and_its_answer_counts() -> None:
    world = World()
    async with world.worker() as worker:
        world.dispatcher.streams[0].id = "stream"
        world.dispatcher.lent.borrow([LENT])
        world.call(call(1))
        assert await worker.idle()
        await world.dispatcher.complete_activity(ActivityAnswer("i", 1, "token", "1", None))
        assert world.sent == [("i", ActivityDone("x", 1, "1", None, 7))]
        assert len(world.dispatcher) == 0


async def test_a_job_whose_worker_goes_is_given_to_another() -> None:
    world = World()
    async with world.worker() as other:
        async with world.worker():
            world.dispatcher.streams[1].id = "stream"
            world.dispatcher.lent.borrow([LENT])
            world.call(call(1))
            assert await other.idle()
        assert (await other.next()).task_id == 1


@pytest.mark.parametrize("token", ["token", ""])
async def test_an_answer_may_come_before_the_instance_has_asked(token: str) -> None:
    world = World()
    async with world.worker() as worker:
        world.dispatcher.lent.borrow([LENT])
        await world.dispatcher.complete_activity(ActivityAnswer("i", 1, token, "1", None))
        assert world.sent == [("i", ActivityDone("x", 1, "1", None, 7))]
        # The instance asks before it has taken the answer: nothing is given out;
        world.call(call(1))
        assert await worker.idle()
        # a second answer has no job.
        with pytest.raises(WorkUnknown):
            await world.dispatcher.complete_activity(ActivityAnswer("i", 1, token, "1", None))


async def test_an_answer_under_another_token_is_no_answer_to_a_lent_job() -> None:
    world = World()
    world.dispatcher.lent.borrow([LENT])
    with pytest.raises(WorkUnknown):
        await world.dispatcher.complete_activity(ActivityAnswer("i", 1, "older", "1", None))


async def test_an_answer_that_is_on_its_way_from_the_giver_is_waited_for() -> None:
    world = World()
    async with world.worker() as worker:
        world.dispatcher.lent.borrow([ON_ITS_WAY])
        world.call(call(1))
        assert await worker.idle()
        # If the giver ends before, the activity is given out.
        world.dispatcher.lent.take_back(lambda holder: holder != "giver")
        assert (await worker.next()).task_id == 1


@pytest.mark.parametrize(
    "end",
    [
        lambda lent: lent.answered(ActivityDone("x", 1, "1", None)),
        lambda lent: lent.withdraw(Withdraw("i", "x", [1])),
        lambda lent: lent.leave(anybody),
    ],
    ids=["its answer came", "nothing waits for it", "its shard has gone on"],
)
async def test_what_nothing_waits_for_any_more_is_not_given_out_when_the_giver_ends(end: Callable[..., None]) -> None:
    world = World()
    async with world.worker() as worker:
        world.dispatcher.lent.borrow([ON_ITS_WAY])
        world.call(call(1))
        end(world.dispatcher.lent)
        world.dispatcher.lent.take_back(lambda holder: False)
        assert await worker.idle()


@pytest.mark.parametrize("lent", [LENT, ON_ITS_WAY])
async def test_another_generation_and_a_second_try_are_given_out(lent: LentJob) -> None:
    world = World()
    async with world.worker() as worker:
        world.dispatcher.lent.borrow([lent])
        world.call(call(1, execution_id="y"))
        assert (await worker.next()).task_execution_id == "y-1"
