"""A worker is sent each turn as it is settled then, and only the part of a history that it does not keep."""

import pytest

from perdure.runtime.history.event import EventRaised

from ...support.workflows.remote_workers import World, call, turn

pytestmark = pytest.mark.anyio


async def test_what_arrives_before_a_turn_is_sent_comes_along() -> None:
    world = World()
    offer = turn(fed=[EventRaised("a", None)])
    world.ask(offer)
    offer.fed = [EventRaised("a", None), EventRaised("b", None)]
    async with world.worker() as worker:
        assert len((await worker.next()).new) == 3


async def test_a_turn_waits_for_what_is_under_way_while_its_worker_has_other_work() -> None:
    world = World()
    async with world.worker() as worker:
        world.call(call(1))
        await worker.next()
        world.ask(turn("patient", patience_s=60))
        world.ask(turn("soon", patience_s=0.02))
        assert await worker.idle()
        assert (await worker.next()).instance_id == "soon"
        # When nothing is under way any more it is offered again, and goes at once.
        world.ask(turn("patient"))
        assert (await worker.next()).instance_id == "patient"
        assert await worker.idle()


async def test_a_turn_does_not_wait_for_a_worker_that_has_nothing_else() -> None:
    world = World()
    async with world.worker() as worker:
        world.ask(turn(patience_s=60))
        assert (await worker.next()).instance_id == "i"


async def test_an_offer_that_cannot_be_taken_any_more_is_withdrawn_and_makes_room() -> None:
    world = World(workflows_max=1)
    void = turn("void")
    void.void = True
    world.ask(void)
    world.ask(turn("next"))
    async with world.worker() as worker:
        assert (await worker.next()).instance_id == "next"
        assert len(world.dispatcher) == 1


async def test_a_worker_that_has_more_of_a_history_than_became_durable_gets_it_whole() -> None:
    world = World()
    async with world.worker(stateful=True) as worker:
        world.ask(turn(position=4))
        await world.answer(await worker.next())
        world.ask(turn(position=2))
        await world.answer(await worker.next())
        world.ask(turn(position=5))
        assert (await worker.next()).cached_count == 2


async def test_a_worker_that_keeps_histories_is_sent_what_is_new_and_stays_with_its_instances() -> None:
    world = World()
    async with world.worker(stateful=True) as keeper, world.worker(stateful=True) as other:
        counts = []
        for position in (0, 3, 6, 9):
            world.ask(turn(position=position))
            item = await keeper.next()
            counts.append((item.cached_count, len(item.past)))
            await world.answer(item)
        assert await other.idle()
    # It keeps the past of the last turn, which was empty in the first.
    assert counts == [(None, 0), (None, 3), (3, 3), (6, 3)]


async def test_a_new_generation_and_a_new_stream_are_sent_the_whole_history() -> None:
    world = World()
    async with world.worker(stateful=True) as worker:
        world.ask(turn(position=3))
        await world.answer(await worker.next())
        world.ask(turn(position=4, execution_id="y"))
        item = await worker.next()
        assert (item.cached_count, len(item.past)) == (None, 4)
    async with world.worker(stateful=True) as worker:
        item = await worker.next()
        assert (item.cached_count, len(item.past)) == (None, 4)
