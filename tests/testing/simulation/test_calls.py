"""A request over a lossy network is done once, twice or not at all, and its caller does not know which."""

import anyio
import pytest

from perdure import App
from perdure.runtime.engine import Engine
from perdure.testing.simulation.calls import ConnectionLost
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.world import SimWorld


@pytest.mark.parametrize(
    ("stream", "value", "done", "heard"),
    [
        ("request.lost", 1, 0, False),
        ("answer.lost", 1, 1, False),
        ("caller.gives_up", 1, 1, False),
        ("request.again", 1, 2, True),
        ("request.again", 2, 2, True),
        ("request.slow", 3, 1, True),
        ("nothing", 1, 1, True),
    ],
)
def test_a_request_is_done_as_often_as_the_network_says(stream: str, value: int, done: int, heard: bool) -> None:
    times: list[float] = []

    async def request(engine: Engine) -> str:
        await anyio.sleep(0.1)
        times.append(anyio.current_time())
        return "done"

    async def story(world: SimWorld) -> None:
        try:
            assert await world.call(request) == "done"
            answered = True
        except ConnectionLost:
            answered = False
        await world.sleep(5)
        assert (len(times), answered) == (done, heard)

    world = SimWorld(App("calls"), Choices(schedule={(stream, 0): value}), lossy=True)
    world.run(story)
    assert not world.loop.errors


def test_a_request_whose_host_dies_before_it_arrives_is_lost() -> None:
    async def request(engine: Engine) -> None:
        pytest.fail("it arrived at a host that was dead")

    async def story(world: SimWorld) -> None:
        await world.heal()
        world.choices.calmed = False
        world.loop.call_later(1, world.kill)
        with pytest.raises(ConnectionLost):
            await world.call(request)

    SimWorld(App("calls"), Choices(schedule={("request.slow", 0): 3}), lossy=True).run(story)


def test_an_error_of_a_request_that_came_twice_is_heard_once() -> None:
    async def request(engine: Engine) -> None:
        raise ValueError("no")

    async def story(world: SimWorld) -> None:
        with pytest.raises(ValueError, match="no"):
            await world.call(request)
        await world.sleep(5)

    world = SimWorld(App("calls"), Choices(schedule={("request.again", 0): 2}), lossy=True)
    world.run(story)
    assert not world.loop.errors


def test_a_network_without_losses_asks_for_no_choices() -> None:
    async def story(world: SimWorld) -> None:
        await world.call(lambda engine: engine.client.get("i"))

    world = SimWorld(App("calls"))
    world.run(story)
    assert not [stream for stream in world.choices.drawn if stream.startswith(("request", "answer", "caller"))]
