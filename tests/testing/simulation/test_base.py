"""What all worlds have in common: a question that nobody answers is asked again."""

import pytest

from perdure.actors.errors import HostAwaited, HostLost, PerdureError
from perdure.actors.store.errors import StoreFailed
from perdure.runtime.engine import Engine
from perdure.testing.simulation.base import REPEAT_S
from perdure.testing.simulation.world import SimWorld

from .hosts.worlds import app


@pytest.mark.parametrize("error", [HostLost("b"), HostAwaited(None, waited_s=10), StoreFailed("away")])
def test_a_question_is_repeated_until_it_is_answered(error: PerdureError) -> None:
    asked: list[float] = []
    world = SimWorld(app)

    async def request(engine: Engine) -> str:
        asked.append(world.loop.time())
        if len(asked) < 3:
            raise error
        return "answered"

    async def story(world: SimWorld) -> str:
        return await world.ask(request)

    assert world.run(story) == "answered"
    assert asked[2] - asked[0] >= 2 * REPEAT_S
