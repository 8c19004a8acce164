"""What worlds of the engine have in common: instances with programs, what callers do to them, faults, healing."""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from perdure import InstanceNotFound
from perdure.runtime.errors import RequestRefused
from perdure.testing.simulation.base import BaseWorld
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.loop import Stuck
from perdure.testing.simulation.trace import WorldTrace

from .checks.broken import Broken
from .checks.sometimes import counted
from .doors import Doors
from .invariants import Witness
from .programs import Program
from .story.fates import Fate, Living, a_fate
from .story.reader import LOOKS_MAX, Reader
from .story.saver import Saver, SharedList

# How much of the processor's time a world may take; a large one takes two seconds.
CPU_S = 120.0
# When what a network has delivered late is put right: a suspension after its resumption, say.
SECOND_THOUGHTS_S = 60.0


class Outcome(NamedTuple):
    """What a world came to."""

    digest: str
    instances: int
    kills: int
    failed_commits: int
    choices: Choices
    trace: WorldTrace
    sometimes: Counter[str]


class BaseScenario(ABC):
    """Runs one world.

    Attributes:
        world: Set by whoever inherits, and so `doors` and `livings`.
        savers: Those who keep values in a state store.
    """

    world: BaseWorld
    doors: Doors
    livings: Sequence[Living]
    savers: Sequence[Saver] = ()

    # After healing all instances have ended within this; where the date is set, timers may be late by all its steps
    # back.
    PATIENCE_S, PATIENCE_WITH_STEPS_S = 3_600.0, 86_400.0

    def __init__(self, choices: Choices, *, standings: int, rests: bool, lossy: bool = False) -> None:
        self.witness = Witness(standings=standings)
        self.choices = choices
        self._rests = rests
        self._lossy = lossy

    def run(self) -> Outcome:
        """Let the world happen.

        Raises:
            Broken: An invariant does not hold.
        """
        with self.witness.watching(self.world), counted(self.witness.sometimes):
            try:
                self.world.run(self._story, cpu_s=CPU_S)
            except Stuck as stuck:
                raise self.witness.broken or Broken("E10", str(stuck)) from None
            except Exception:
                if self.witness.broken is not None:
                    raise self.witness.broken from None
                raise
        self.witness.check_end()
        return self.outcome()

    def outcome(self) -> Outcome:
        """What the world has come to so far."""
        return Outcome(
            self.world.trace.digest,
            self.witness.instances,
            self.world.kills,
            self.world.failed,
            self.choices,
            self.world.trace,
            self._sometimes(),
        )

    def _sometimes(self) -> Counter[str]:
        seen = self.witness
        fates = Counter(f"fate: {living.fate.kind}" for living in self.livings)
        return (
            Counter(
                {
                    "kill": self.world.kills,
                    "commit failed": self.world.failed,
                    "activity performed again": max(0, seen.performed - len(seen.scheduled)),
                    "child": len(seen.children),
                }
            )
            + fates
            + seen.sometimes
            + self.doors.taken
        )

    def _fated(
        self,
        fates: Sequence[str],
        program: Program | None,
        programs: Callable[[Choices], Program],
        instances_max: int,
    ) -> Sequence[Living]:
        """Choose instances, and what happens to them; see `Scenario` for the arguments."""
        self.reader = Reader(self.world, self.witness, self.doors)
        sendings = Counter[str]()
        lived = (
            [Fate("i0", "left alone", program)]
            if program is not None
            else [
                a_fate(
                    self.choices,
                    number,
                    clock_is_set=self.world.clock.may_be_set,
                    forgetful=bool(self.world.settings.retention),
                    kinds=fates,
                    programs=programs,
                )
                for number in range(1 + self.choices.draw("story.instances", instances_max))
            ]
        )
        return [self._living(fate, sendings) for fate in lived]

    def _saving(self, number: int) -> Sequence[Saver]:
        """So many savers."""
        shared = SharedList()
        return [Saver(self.world, self.witness, f"s{each}", shared) for each in range(number)]

    def _living(self, fate: Fate, sendings: Counter[str]) -> Living:
        """How a fate happens."""
        return Living(self.world, self.witness, fate, sendings, self.doors)

    async def _story(self, world: BaseWorld) -> None:
        async with asyncio.TaskGroup() as tasks:
            lives = [tasks.create_task(each.live()) for each in (*self.livings, *self.savers)]
            if looks := self.choices.draw("story.looks", LOOKS_MAX):
                tasks.create_task(self.reader.live(looks))
            tasks.create_task(self._heal(lives))
        if self._rests:
            await self._rest()

    @abstractmethod
    async def _rest(self) -> None:
        """Check what must hold at rest, once all instances have ended and all faults are over."""

    @property
    def _asleep(self) -> list[str]:
        return [living.fate.id for living in self.livings if living.fate.kind == "asleep"]

    @property
    def _purged(self) -> list[str]:
        return [living.fate.id for living in self.livings if living.fate.kind.startswith("purged")]

    async def _heal(self, lives: "list[asyncio.Task[None]]") -> None:
        await self.world.sleep((5.0, 0.5, 60.0)[self.choices.draw("story.heals", 3)])
        await self.world.heal()
        patience_s = self.PATIENCE_WITH_STEPS_S if self.world.clock.may_be_set else self.PATIENCE_S
        late = {life for life in lives if not life.done()}
        if late and self._lossy:
            _, late = await asyncio.wait(late, timeout=SECOND_THOUGHTS_S)
            for id_ in self.witness.suspended():
                await self._resume(id_)
        if late:
            _, late = await asyncio.wait(late, timeout=patience_s)
        if late:
            raise self.witness.broken or self._too_late(lives, patience_s)

    async def _resume(self, id_: str) -> None:
        with suppress(RequestRefused, InstanceNotFound):
            await self.world.ask(lambda engine: engine.client.resume(id_))

    def _too_late(self, lives: "list[asyncio.Task[None]]", patience_s: float) -> Broken:
        late = [saver for saver, life in zip(self.savers, lives[len(self.livings) :], strict=True) if not life.done()]
        if late:
            what = f"{late[0].asking or 'what it does'} of {late[0].name} has no end {patience_s} s after the faults"
            return Broken("E19", what)
        own = lives[: len(self.livings)]
        living = [living for living, life in zip(self.livings, own, strict=True) if not life.done()]
        for each in living:
            if each.caller.asking is not None:
                return Broken(
                    "E13", f"{each.caller.asking} of {each.fate.id} has no answer {patience_s} s after the faults"
                )
        ids = ", ".join(each.fate.id for each in living)
        return Broken("E10", f"{ids} have not ended {patience_s} s after the last fault")
