"""Prints the hash of one world for each seed, for a process that is to be compared with another.

    python -c "..." forwards|backwards [planted] KIND=SEEDS...

The kinds are those in kinds.py. The worlds are small, because there are many: one to three instances with short
programs, and faults for a few virtual seconds. The invariants hold in them as elsewhere.
"""

import logging
import sys
from collections.abc import Collection, Sequence

from perdure.actors.address import Address
from perdure.actors.store.memory import MemoryStore
from perdure.testing.simulation.choices import Choices

from .kinds import scenario_of

OF_HOSTS = ("hosts", "losing", "shared", "poison", "rolling")
# Two, because the order of what is recovered shows in no smaller world. A mixed one has the parts of all kinds, and of
# several hosts each step costs much.
INSTANCES_MAX = {"mixed": 3, **dict.fromkeys(OF_HOSTS, 1)}
INSTANCES_MAX_ELSEWHERE = 2
STEPS_MAX = 2  # of a program, beside its first
# Which draw of how long the faults last is taken for which: half a second for most. Hosts need a few seconds to join.
HEALS, HEALS_OF_HOSTS = (1, 1, 0), (0, 0, 0)


class SmallWorld(Choices):
    """The choices of a seed, but for the size of the world."""

    def __init__(self, kind: str, seed: int) -> None:
        super().__init__(seed)
        self._heals = HEALS_OF_HOSTS if kind in OF_HOSTS else HEALS

    def draw(self, stream: str, below: int) -> int:
        value = super().draw(stream, below)
        match stream:
            case "story.heals":
                return self._heals[value]
            case "program.steps":
                return min(value, STEPS_MAX)
            case "world.hosts":
                return 1  # two of them
            case "world.size":
                return 0
        return value


def plant() -> None:
    """Have what a host recovers come in the order of a set of texts, which is another one with another hash seed."""
    active = MemoryStore.active

    async def unordered(self: MemoryStore, shards: Collection[int] | None = None) -> Sequence[Address]:
        return list(set(await active(self, shards)))

    MemoryStore.active = unordered  # type: ignore[method-assign]  # for the rest of this process


def main() -> None:
    # Of the root alone: the worlds of hosts that lose commits read the log.
    logging.getLogger().setLevel(logging.CRITICAL)
    direction, *kinds = sys.argv[1:]
    if kinds[0] == "planted":
        del kinds[0]
        plant()
    worlds = [(kind, seed) for kind, _, seeds in (each.partition("=") for each in kinds) for seed in range(int(seeds))]
    # One process goes forwards, the other backwards: what a world leaves behind must not show in the next.
    for kind, seed in worlds if direction == "forwards" else reversed(worlds):
        instances_max = INSTANCES_MAX.get(kind, INSTANCES_MAX_ELSEWHERE)
        with scenario_of(kind, SmallWorld(kind, seed), instances_max=instances_max, rests=False) as scenario:
            outcome = scenario.run()
        print(kind, seed, outcome.digest, outcome.kills, outcome.instances)
