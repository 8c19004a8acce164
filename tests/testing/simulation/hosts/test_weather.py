"""The weather over several hosts: each stream does what it says, to the host that it says."""

import pytest

from perdure.testing.simulation.hosts.weather import AGAIN_S, APART_S, PAUSES_S, SILENCES_S
from perdure.testing.simulation.hosts.world import HostsWorld

from .worlds import all_up, played

# stream, which of its faults, and what is told of it
FAULTS = [
    ("kill.between", 2, "host 2: killed: between two steps"),
    ("host.pause", 1 + len(PAUSES_S) + 1, f"host 2: stands still for {PAUSES_S[1]} s"),
    ("host.leave", 1 + len(AGAIN_S), "host 2: is told to stop"),
    ("hosts.roll", 1, "host 2: is told to stop"),
    ("host.away", 1 + 2, f"host 1: does not reach the database for {SILENCES_S[2]} s"),
    ("host.deaf", 1 + len(SILENCES_S), f"host 2: does not hear the database for {SILENCES_S[0]} s"),
    ("hosts.apart", 1 + 1, f"host 1: and back does not reach host 2 for {APART_S[1]} s"),
    ("hosts.apart", 1 + 2 * len(APART_S) + len(APART_S), f"host 2: does not reach host 1 for {APART_S[0]} s"),
]


@pytest.mark.parametrize(("stream", "fault", "told"), FAULTS, ids=[each[2] for each in FAULTS])
def test_a_fault_befalls_the_host_that_was_chosen(stream: str, fault: int, told: str) -> None:
    async def story(world: HostsWorld) -> None:
        await world.sleep(6)
        assert told in [f"{line.who}: {line.what}" for line in world.trace.lines]
        await world.heal()
        await all_up(world)

    played(story, {(stream, 20): fault})
