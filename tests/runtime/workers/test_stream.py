"""A worker gets each turn in its present state, and only the part of a history that it does not keep."""

import logging
from typing import Any

import anyio
import pytest

from perdure.runtime.history.event import EventRaised
from perdure.runtime.instance.message import Withdraw, WorkflowAnswer
from perdure.runtime.workers import stream
from perdure.runtime.workers.items import WorkUnknown

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
    # The worker keeps the past of the last turn, which was empty in the first turn.
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


# Turns whose answer does not come.

SOON_S = 0.02


async def test_a_turn_without_an_answer_is_sent_again_under_its_token_and_the_waits_double(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(answer_timeout_s=SOON_S)
    async with world.worker() as worker:
        world.ask(turn(position=3, fed=[EventRaised("a", None)]))
        first = await worker.next()
        began_s = anyio.current_time()
        moments = []
        for _ in range(3):
            assert await worker.next() == first
            moments.append(anyio.current_time() - began_s)
        # 1, 1 + 2 and 1 + 2 + 4 times as long.
        assert [moment >= factor * SOON_S for moment, factor in zip(moments, (1, 3, 7), strict=True)] == [True] * 3
        assert len(world.dispatcher) == 1
        await world.answer(first)
        assert len(world.sent) == 1
    lines = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert lines[:2] == [
        f"the worker at peer has not answered a turn of workflow 'i' for {wait_s:g} s; the turn is sent to it again"
        for wait_s in (SOON_S, 2 * SOON_S)
    ]


async def test_the_second_answer_to_a_turn_that_was_sent_twice_does_no_harm() -> None:
    world = World(answer_timeout_s=SOON_S)
    async with world.worker() as worker:
        world.ask(turn())
        first = await worker.next()
        await worker.next()
        await world.answer(first)
        with pytest.raises(WorkUnknown):
            await world.answer(first)
        # A second answer does not count either when the worker has the next turn by then.
        world.ask(turn(position=2))
        await worker.next()
        await world.answer(first)
        assert len(world.sent) == 1


async def test_what_is_sent_again_is_sent_whole_to_a_worker_that_keeps_histories() -> None:
    world = World(answer_timeout_s=SOON_S)
    async with world.worker(stateful=True) as worker:
        world.ask(turn(position=2))
        await world.answer(await worker.next())
        world.ask(turn(position=5))
        item = await worker.next()
        assert (item.cached_count, len(item.past)) == (2, 3)
        again = await worker.next()
        assert (again.cached_count, len(again.past), again.token) == (None, 5, item.token)


async def test_each_turn_has_a_wait_of_its_own_and_an_answered_one_has_none() -> None:
    world = World(answer_timeout_s=SOON_S)
    async with world.worker() as worker:
        world.ask(turn("answered"))
        world.ask(turn("lost"))
        answered, lost = await worker.next(), await worker.next()
        await world.answer(answered)
        again = [await worker.next(), await worker.next()]
        assert [item.instance_id for item in again] == ["lost", "lost"]
        await world.answer(lost)
        # A later turn begins with the first wait.
        world.ask(turn("later"))
        later = await worker.next()
        assert await worker.next() == later


async def test_activities_are_not_sent_again_because_they_may_take_any_time() -> None:
    world = World(answer_timeout_s=0.005)
    async with world.worker() as worker:
        world.call(call())
        await worker.next()
        assert await worker.idle()


async def test_without_a_limit_nothing_is_sent_again() -> None:
    world = World(answer_timeout_s=None)
    async with world.worker() as worker:
        world.ask(turn())
        await worker.next()
        assert await worker.idle()


async def test_a_worker_that_says_no_tokens_is_not_sent_a_turn_twice() -> None:
    # Its second answer could not be told from one to the next turn.
    world = World(answer_timeout_s=0.005)
    async with world.worker(agent=f"grpc-node {stream.TOKENLESS_AGENT}/3.18") as worker:
        world.ask(turn())
        await worker.next()
        assert await worker.idle()
    async with world.worker() as worker:
        await world.answer(await worker.next(), token="")
        world.ask(turn(position=2))
        await worker.next()
        assert await worker.idle()


async def test_a_turn_that_was_sent_again_goes_to_another_worker_when_its_own_goes() -> None:
    world = World(answer_timeout_s=SOON_S)
    async with world.worker() as worker:
        world.ask(turn())
        first = await worker.next()
        await worker.next()
    async with world.worker() as worker:
        other = await worker.next()
        assert other.token != first.token
        assert await worker.next() == other  # after the first wait again, not the doubled one
        answer = WorkflowAnswer("i", first.token, ())
        await world.dispatcher.complete_workflow(answer)
        assert world.sent == []


async def test_a_turn_of_an_instance_that_was_ended_is_not_sent_again_and_makes_room_for_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(answer_timeout_s=SOON_S, workflows_per_stream_max=1)
    async with world.worker() as worker:
        world.ask(turn("ended"))
        first = await worker.next()
        world.dispatcher.withdraw(Withdraw("ended", "x", (), True))
        world.ask(turn("next"))
        # Its worker may answer it until then.
        assert len(world.dispatcher) == 2
        assert (await worker.next()).instance_id == "next"
        assert len(world.dispatcher) == 1
        assert "sent to it again" not in caplog.text
        with pytest.raises(WorkUnknown):
            await world.answer(first)


@pytest.mark.parametrize("timeout_s", [0, -1])
def test_a_time_that_is_none_is_refused(timeout_s: Any) -> None:
    with pytest.raises(ValueError, match="answer_timeout_s must be more than 0"):
        World(answer_timeout_s=timeout_s)
