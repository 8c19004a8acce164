"""`hello.py` greets, even if its host is killed.

cd examples && python -m pytest simulations
"""

import hello

from perdure.testing import World, simulated


@simulated(hello.app, seeds=25)
async def test_ada_is_greeted(world: World) -> None:
    handle = await world.client.start(hello.hello, input="Ada", instance_id="h", if_exists="return")
    assert await handle.result() == "Hello, Ada!"
