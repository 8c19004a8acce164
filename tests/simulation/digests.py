"""Prints the hash of one world for each seed, for a process that is to be compared with another.

    python -c "..." forwards|backwards small|cut [planted] KIND=SEEDS...

The kinds are those in kinds.py. A *small* world has one to three instances with short programs, and faults for a few
virtual seconds. One that is *cut* has one, many faults or few, and ends in the middle of whatever goes on, so that
it takes a few hundred steps in place of thousands; a few of them go to their end. The invariants hold in both as
elsewhere.

Behind the worlds of a kind each stream of its faults is printed: how many choices it made, and how many struck.
"""

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from hashlib import blake2b

from perdure.actors.address import Address
from perdure.actors.store.memory import MemoryStore
from perdure.testing.simulation.base import BaseWorld
from perdure.testing.simulation.choices import Choices

from .base_scenario import BaseScenario, Outcome
from .kinds import OF_HOSTS, scenario_of

# Two, because the order of what is recovered shows in no smaller world. A mixed one has the parts of all kinds, and of
# several hosts each step costs much.
INSTANCES_MAX = {"mixed": 3, **dict.fromkeys(OF_HOSTS, 1)}
INSTANCES_MAX_ELSEWHERE = 2
# Several hosts take so long to come up that four instances, where any begins, cost little more than one.
INSTANCES_MAX_CUT = 4
STEPS_MAX = 2  # of a program, beside its first
# Which draw of how long the faults last is taken for which: half a second for most. Hosts need a few seconds to join.
HEALS, HEALS_OF_HOSTS = (1, 1, 0), (0, 0, 0)

# When a world is cut, in virtual seconds. Of several hosts two have joined by then, as a rule, and an instance has
# begun; one world in ten lasts until the host that came second is given shards, as most steps before that are looks at
# clocks. Where many faults strike hardly a host comes up, and the world goes on for a few kills more.
CUT_S = 0.15
FEW_FAULTS_CUT_S, MANY_FAULTS_CUT_S, DEALT_CUT_S = 0.3, 0.6, 1.3
DEALT_ONE_IN = 10
WHOLE_ONE_IN, WHOLE_ONE_IN_OF_HOSTS = 50, 100
# A database has its tables in the others: their making takes a third of the steps of a world that is cut.
EMPTY_ONE_IN = 7
# Additions of a kind to its usual instances: one, in these.
ONE_BESIDE = {"values": {"savers": 1}, "shared": {"savers": 1}, "rolling": {"newer": 1}}
# In every other one, and in three of five of several hosts, faults strike so often that each stream does in some of a
# hundred worlds, and hardly an instance begins; in the others it does.
MANY_FAULTS, FEW_FAULTS = (0.05, 0.15, 0.4), (0.004, 0.01, 0.04)
# The most that is drawn in them where less will do.
CUT_LIMITS = {"program.steps": 1, "crossing.steps": 0, "story.looks": 1, "saver.rounds": 1, "worker.places": 1}
LIMITS_OF_HOSTS = {**CUT_LIMITS, "story.begins": 0, "saver.rests": 0}


def has_few_faults(kind: str, seed: int) -> bool:
    """Whether a world that is cut has few faults, so that an instance begins."""
    return seed % 5 < 2 if kind in OF_HOSTS else seed % 2 == 0


class SmallWorld(Choices):
    """The choices of a seed, except the size of the world."""

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


class QuickGenerator:
    """A generator that is made in a tenth of the time of `Random`: most streams of a cut world draw once or twice.

    It is linear and congruential, with the numbers of Knuth's MMIX.
    """

    def __init__(self, seed: str) -> None:
        self._state = int.from_bytes(blake2b(seed.encode(), digest_size=8).digest())

    def random(self) -> float:
        """A number from 0 to just below 1."""
        self._state = (self._state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        return (self._state >> 11) / 2**53


class CutWorld(SmallWorld):
    """The same, for a world that is cut: still smaller, and with many faults or few."""

    def __init__(self, kind: str, seed: int) -> None:
        if kind not in OF_HOSTS:  # a world of several hosts spends little of its time on generators
            self.generator = QuickGenerator
        super().__init__(kind, seed)
        self._faults = FEW_FAULTS if has_few_faults(kind, seed) else MANY_FAULTS
        self._limits = LIMITS_OF_HOSTS if kind in OF_HOSTS else CUT_LIMITS

    def draw(self, stream: str, below: int) -> int:
        return min(super().draw(stream, below), self._limits.get(stream, below))

    def fault(self, stream: str, below: int = 2, *, rates: Sequence[float] = MANY_FAULTS) -> int:
        return super().fault(stream, below, rates=self._faults)


class Cut(Exception):
    """The world has lasted long enough."""


def cut(scenario: BaseScenario, after_s: float) -> None:
    """Have a world end in the middle of its story, after some virtual seconds."""
    whole = scenario._story

    async def story(world: BaseWorld) -> None:
        task = asyncio.create_task(whole(world))
        done, _ = await asyncio.wait((task,), timeout=after_s)
        if not done:
            raise Cut
        await task

    scenario._story = story  # type: ignore[method-assign]


def cut_s(kind: str, seed: int) -> float:
    """When a world is cut, in virtual seconds."""
    if kind not in OF_HOSTS:
        return CUT_S
    if seed % DEALT_ONE_IN == 0:
        return DEALT_CUT_S
    return FEW_FAULTS_CUT_S if has_few_faults(kind, seed) else MANY_FAULTS_CUT_S


def instances_max_of(kind: str, seed: int) -> int:
    """How many instances a world has at most that is cut."""
    return INSTANCES_MAX_CUT if kind in OF_HOSTS and has_few_faults(kind, seed) else 1


def plant() -> None:
    """Have a host recover its instances in the order of a set of texts, which depends on the hash seed."""
    active = MemoryStore.active

    async def unordered(self: MemoryStore, shards: Collection[int] | None = None) -> Sequence[Address]:
        return list(set(await active(self, shards)))

    MemoryStore.active = unordered  # type: ignore[method-assign]  # for the rest of this process


def run(kind: str, seed: int, size: str) -> Outcome:
    """Run a world.

    Args:
        size: `small` or `cut`.

    Raises:
        Broken: An invariant does not hold.
    """
    is_cut = size == "cut"
    named = ONE_BESIDE.get(kind, {}) if is_cut else {}
    instances_max = instances_max_of(kind, seed) if is_cut else INSTANCES_MAX.get(kind, INSTANCES_MAX_ELSEWHERE)
    choices = (CutWorld if is_cut else SmallWorld)(kind, seed)
    begins_empty = seed % EMPTY_ONE_IN == 0
    with scenario_of(
        kind, choices, begins_empty=begins_empty, instances_max=instances_max, rests=False, **named
    ) as scenario:
        if is_cut and seed % (WHOLE_ONE_IN_OF_HOSTS if kind in OF_HOSTS else WHOLE_ONE_IN):
            cut(scenario, cut_s(kind, seed))
        with suppress(Cut):
            return scenario.run()
        scenario.witness.check_end()
        return scenario.outcome()


def main() -> None:
    # Of the root alone: the worlds of hosts that lose commits read the log.
    logging.getLogger().setLevel(logging.CRITICAL)
    direction, size, *kinds = sys.argv[1:]
    if kinds[0] == "planted":
        del kinds[0]
        plant()
    worlds = [(kind, seed) for kind, _, seeds in (each.partition("=") for each in kinds) for seed in range(int(seeds))]
    drawn, struck = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    # One process goes forwards, the other backwards: what a world leaves behind must not show in the next.
    for kind, seed in worlds if direction == "forwards" else reversed(worlds):
        outcome = run(kind, seed, size)
        print(kind, seed, outcome.digest, outcome.kills, outcome.instances)
        faults = outcome.choices.faults
        drawn.update({(kind, stream): outcome.choices.drawn[stream] for stream in faults})
        struck.update((kind, stream) for stream, _ in outcome.choices.taken if stream in faults)
    for (kind, stream), number in drawn.items():
        print(kind, stream, "drawn", number, "struck", struck[kind, stream])
