"""A trip of `saga.py` is booked completely or not at all.

cd examples && python -m pytest simulations
"""

import saga

from perdure.testing import World, simulated


@simulated(saga.app, seeds=25, sweep=2)
async def test_a_trip_is_booked_as_a_whole_or_not_at_all(world: World) -> None:
    places = [world.choose(["lisbon", "moon"]) for _ in range(world.pick(1, 3))]
    trip = {"traveller": "ada", "places": places}
    handle = await world.client.start(saga.book_trip, input=trip, instance_id="trip", if_exists="return")
    result = await handle.result()
    if "moon" in places:
        assert (result["booked"], result["reason"]) == ([], "nobody flies to the moon")
    else:
        # Each booking has another key, also after a crash.
        assert len(set(result["booked"])) == len(places)
    world.sometimes("a trip to the moon", "moon" in places)
