"""The race of `generator_style.py` begins at the event or at the timer, and only once.

cd examples && python -m pytest simulations
"""

import generator_style

from perdure.testing import World, simulated


@simulated(generator_style.app, seeds=25, sweep=1)
async def test_a_race_begins_once(world: World) -> None:
    handle = await world.client.start(generator_style.race, input=3, instance_id="r", if_exists="return")
    waits_s = world.choose([0, 60])
    await world.sleep(waits_s)
    if not waits_s:
        await handle.raise_event("go", idempotency_key="go")
    result = await handle.result()
    assert result["squares"] == [0, 1, 4]
    world.sometimes(f"begun by {result['started_by']}")
