"""A job at a worker without tokens holds back the next job with its key, and the worker's answer counts for it only."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from perdure.actors.address import Address
from perdure.runtime.directory import ACTIVITY
from perdure.runtime.history.event import EventRaised
from perdure.runtime.instance.message import ActivityDone, RemoteAnswer, Withdraw
from perdure.runtime.workers.items import WorkUnknown
from perdure.runtime.workers.unanswered import Unanswered

from ...support.workflows.remote_workers import World, call, turn

pytestmark = pytest.mark.anyio

JAVASCRIPT = "grpc-node-js/1.12 dapr-js-sdk/v3.18.0"

Ask = Callable[[World], None]


def asks_turn(**named: object) -> Ask:
    return lambda world: world.ask(turn(**named))  # type: ignore[arg-type]


def asks_activity(execution_id: str) -> Ask:
    return lambda world: world.call(call(execution_id=execution_id))


# The job of a worker, and the next job with the same key before the worker has answered.
FOLLOWING: dict[str, tuple[Ask, Ask]] = {
    "an activity of the next run": (asks_activity("x"), asks_activity("y")),
    "a turn of the next run": (asks_turn(), asks_turn(execution_id="y")),
    "a turn of another history": (asks_turn(position=2), asks_turn(position=4)),
    "a turn that feeds something else": (
        asks_turn(fed=[EventRaised("a", None)]),
        asks_turn(fed=[EventRaised("b", None)]),
    ),
}
every_following = pytest.mark.parametrize(("first", "second"), FOLLOWING.values(), ids=list(FOLLOWING))


@every_following
async def test_a_worker_without_tokens_is_given_the_next_job_once_it_has_answered_the_void_one(
    first: Ask, second: Ask
) -> None:
    world = World()
    async with world.worker(agent=JAVASCRIPT) as worker, world.worker() as other:
        # Given a job that its instance has withdrawn, with a worker that gives no tokens back,
        first(world)
        void = await worker.next()
        second(world)
        # then no worker is given the next one with its key,
        assert await worker.idle()
        assert await other.idle()
        # the answer is void,
        await world.answer(void, token="")
        assert world.sent == []
        # and the next is given out then, and counts.
        wanted = await worker.next()
        await world.answer(wanted, token="")
        [(_, answer)] = world.sent
        assert isinstance(answer, RemoteAnswer | ActivityDone)
        assert len(world.dispatcher) == 0


@every_following
async def test_the_next_job_is_given_out_when_the_stream_of_the_void_one_ends(first: Ask, second: Ask) -> None:
    world = World()
    async with world.worker(agent=JAVASCRIPT) as worker:
        first(world)
        await worker.next()
        second(world)
        assert await worker.idle()
    async with world.worker(agent=JAVASCRIPT) as worker:
        await world.answer(await worker.next(), token="")
    assert len(world.sent) == 1


@every_following
async def test_a_worker_with_tokens_is_given_the_next_job_at_once(first: Ask, second: Ask) -> None:
    world = World()
    async with world.worker() as worker:
        first(world)
        void = await worker.next()
        second(world)
        wanted = await worker.next()
        await world.answer(void)
        assert world.sent == []
        await world.answer(wanted)
        assert len(world.sent) == 1


@every_following
async def test_a_worker_that_has_once_answered_without_a_token_is_known_by_that(first: Ask, second: Ask) -> None:
    world = World()
    async with world.worker(agent="another") as worker:
        world.call(call(7))
        first(world)
        items = [await worker.next(), await worker.next()]
        [known] = [item for item in items if getattr(item, "task_id", None) == 7]
        await world.answer(known, token="")
        second(world)
        assert await worker.idle()
        await world.answer(next(item for item in items if item is not known), token="")
        assert len(world.sent) == 1
        await world.answer(await worker.next(), token="")
        assert len(world.sent) == 2


async def test_an_activity_that_a_worker_without_tokens_hangs_with_is_given_out_again_at_once() -> None:
    world = World()
    async with world.worker(agent=JAVASCRIPT) as one, world.worker(agent=JAVASCRIPT) as other:
        world.call(call())
        hung = await one.next()
        world.call(replace(call(), again=True))
        await world.answer(await other.next(), token="")
        assert len(world.sent) == 1
        # Its second answer is for no other run.
        world.call(call(execution_id="y"))
        assert await other.idle()
        await world.answer(hung, token="")
        assert len(world.sent) == 1
        assert not (await one.idle() and await other.idle())


async def test_an_answer_to_a_void_job_is_refused_as_unknown_where_nothing_waits() -> None:
    world = World()
    async with world.worker(agent=JAVASCRIPT) as worker:
        world.call(call())
        void = await worker.next()
        world.call(call(execution_id="y"))
        world.dispatcher.withdraw(Withdraw("i", "y", (1,)))
        assert len(world.dispatcher) == 0
        with pytest.raises(WorkUnknown):
            await world.answer(void, token="")
        assert await worker.idle()
        assert world.sent == []


async def test_void_jobs_take_the_room_of_a_worker_that_drops_what_is_beyond() -> None:
    world = World(activities_per_stream_max=2)
    async with world.worker(agent=JAVASCRIPT) as worker:
        world.call(call())
        void = await worker.next()
        world.call(call(execution_id="y"))
        world.call(call(2))
        world.call(call(3))
        assert (await worker.next()).task_id == 2
        assert await worker.idle()
        await world.answer(void, token="")
        assert not await worker.idle()


class Sent:
    """A job, by its token."""

    def __init__(self, key: str, token: str) -> None:
        self.key = Address(ACTIVITY, key)
        self.token = token

    def has_token(self, token: str) -> bool:
        return token == self.token


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=20))
def test_a_key_is_free_once_each_of_its_jobs_is_answered(steps: list[tuple[str, bool]]) -> None:
    unanswered, model = Unanswered[Sent](), dict[str, list[Sent]](a=[], b=[])
    for number, (key, answers) in enumerate(steps):
        jobs = model[key]
        if answers:
            answered = unanswered.answered(Address(ACTIVITY, key), "", jobs[-1] if jobs else None)
            assert answered is (jobs.pop() if jobs else None)
        else:
            jobs.append(Sent(key, str(number)))
            unanswered.sent(jobs[-1])
        assert bool(unanswered) == any(model.values())
        for each, waiting in model.items():
            assert unanswered.holds_back(Sent(each, "next")) == bool(waiting)
            if len(waiting) == 1:
                assert not unanswered.holds_back(waiting[0])
        assert unanswered.beside({}, ACTIVITY) == sum(map(len, model.values()))
