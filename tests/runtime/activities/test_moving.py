"""Activities whose instances move are begun by one host, continue there, and end with their instance."""

from collections.abc import Callable, Sequence

import anyio
import anyio.lowlevel
import pytest

from perdure import ActivityContext, App, Settings
from perdure.actors.address import Address
from perdure.runtime.activities.actors import ActivityActors
from perdure.runtime.instance.message import ActivityDone, Invoke, Withdraw
from perdure.runtime.workers.lent import LentJob, activity_address

pytestmark = pytest.mark.anyio

ME, OTHER = "host-me", "host-other"


def everyone(instance_id: str) -> bool:
    return True


class World:
    """The activities of a host that performs one at a time."""

    def __init__(self) -> None:
        app = App("test")
        self.begun: list[str] = []
        self.answers: list[str] = []
        self.told: list[tuple[str, Withdraw]] = []
        self.gate = anyio.Event()
        self.actors = ActivityActors(
            app,
            Settings(activities_max=1),
            send=lambda address, body: self.answers.append(address.id),
            now_us=lambda: 7,
        )
        self.moving = self.actors.moving
        self.moving.tell_holder = lambda holder, message: self.told.append((holder, message))

        @app.activity
        async def work(ctx: ActivityContext) -> None:
            self.begun.append(ctx.workflow_id)
            await self.gate.wait()

    async def ask(self, instance_id: str, *, again: bool = False) -> None:
        invoke = Invoke("work", None, instance_id, f"x-{instance_id}", 0, "key", again=again)
        self.actors.receive(address_of(instance_id), invoke)
        await settle()

    def lend(self, has: Callable[[str], bool] = everyone) -> Sequence[LentJob]:
        return self.moving.lend(has, ME)


def address_of(instance_id: str) -> Address:
    return activity_address(f"x-{instance_id}", 0)


def lent(instance_id: str, holder: str = OTHER, began_us: int | None = 7) -> LentJob:
    return LentJob(instance_id, f"x-{instance_id}", 0, holder, began_us)


async def settle() -> None:
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


async def in_world(story: Callable[[World], object]) -> None:
    world = World()
    async with anyio.create_task_group() as tasks:
        await tasks.start(world.actors.run)
        await story(world)  # type: ignore[misc]
        tasks.cancel_scope.cancel()


async def test_what_has_begun_is_lent_and_what_waits_is_begun_nowhere_until_it_is_known_whose_it_is() -> None:
    async def story(world: World) -> None:
        await world.ask("runs")
        await world.ask("waits")
        # When their shard is closed,
        assert world.lend() == [lent("runs", ME)]
        world.gate.set()
        await settle()
        # then the begun activity ends and answers, and the other one does not begin
        assert (world.begun, world.answers) == (["runs"], ["runs"])
        # until its shard is open again here.
        world.moving.keep(everyone)
        await settle()
        assert world.begun == ["runs", "waits"]

    await in_world(story)


async def test_what_waits_is_forgotten_once_its_instance_is_gone() -> None:
    async def story(world: World) -> None:
        await world.ask("runs")
        await world.ask("waits")
        world.lend()
        world.actors.leave(everyone, cancel=False)
        world.moving.keep(everyone)
        world.gate.set()
        await settle()
        assert (world.begun, world.answers) == (["runs"], ["runs"])

    await in_world(story)


async def test_other_instances_are_left_alone() -> None:
    async def story(world: World) -> None:
        await world.ask("stays")
        await world.ask("waits")
        assert world.lend(lambda instance_id: instance_id == "goes") == []
        world.gate.set()
        await settle()
        assert world.begun == ["stays", "waits"]

    await in_world(story)


async def test_what_another_host_performs_is_not_begun_and_is_lent_on_with_its_name() -> None:
    async def story(world: World) -> None:
        world.moving.borrow([lent("asked"), lent("unasked")])
        await world.ask("asked")
        await world.ask("asked")
        assert world.begun == []
        state = world.actors.state_of("x-asked", 0)
        assert state is not None
        assert state.began_us == 7
        assert list(world.lend()) == [lent("asked"), lent("unasked")]

    await in_world(story)


async def test_what_another_host_has_answered_is_begun_if_it_is_asked_for_once_more() -> None:
    async def story(world: World) -> None:
        world.moving.borrow([lent("a")])
        await world.ask("a")
        world.moving.answered(ActivityDone("x-a", 0, None, None))
        assert len(world.actors) == 0
        assert world.lend() == []
        await world.ask("a")  # a recovery that has not seen the answer
        assert world.begun == ["a"]

    await in_world(story)


async def test_what_a_host_had_that_is_gone_is_begun_here_if_it_was_asked_for() -> None:
    async def story(world: World) -> None:
        world.moving.borrow([lent("asked"), lent("unasked"), lent("theirs", "host-third")])
        await world.ask("asked")
        await world.ask("theirs")
        world.moving.take_back(lambda holder: holder != OTHER)
        await settle()
        assert world.begun == ["asked"]
        assert list(world.lend()) == [lent("theirs", "host-third"), lent("asked", ME)]

    await in_world(story)


async def test_one_that_hangs_elsewhere_is_begun_here_too_if_a_person_asks_for_that() -> None:
    async def story(world: World) -> None:
        world.moving.borrow([lent("a")])
        await world.ask("a")
        await world.ask("a", again=True)
        assert world.begun == ["a"]

    await in_world(story)


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("ended", [True, False])
async def test_a_withdrawal_goes_to_the_host_that_performs_it_if_the_instance_was_ended(
    asked: bool, ended: bool
) -> None:
    async def story(world: World) -> None:
        world.moving.borrow([lent("a")])
        if asked:
            await world.ask("a")
        message = Withdraw("a", "x-a", [0], ended)
        world.actors.withdraw(message)
        assert world.told == ([(OTHER, message)] if ended else [])
        assert (len(world.actors), world.moving.lent) == (0, {})

    await in_world(story)


async def test_one_that_is_performed_twice_because_it_hangs_answers_after_a_move() -> None:
    async def story(world: World) -> None:
        await world.ask("a")
        await world.ask("a", again=True)  # it waits for room
        assert world.lend() == [lent("a", ME)]
        world.actors.leave(everyone, cancel=False)
        world.gate.set()
        await settle()
        assert (world.begun, world.answers) == (["a"], ["a"])

    await in_world(story)


async def test_a_host_that_stops_does_not_wait_for_others() -> None:
    async def story(world: World) -> None:
        world.moving.borrow([lent("a")])
        await world.ask("a")
        with anyio.fail_after(5):
            await world.actors.stop(grace_s=60)

    await in_world(story)
