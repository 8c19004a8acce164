"""The common parts of worlds of the engine: instances with programs, the actions of callers, faults, healing."""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from typing import NamedTuple

from perdure import InstanceNotFound
from perdure.runtime.errors import RequestRefused
from perdure.testing.simulation.base import BaseWorld
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.life import LifeStore
from perdure.testing.simulation.loop import Stuck
from perdure.testing.simulation.trace import WorldTrace

from .apps.two import TwoApps
from .checks.broken import Broken
from .checks.rest import check_contents
from .checks.sometimes import counted
from .invariants import Witness
from .programs import STAGE, Program
from .side import Side
from .story.fates import Fate, Living, a_fate
from .story.reader import LOOKS_MAX
from .story.saver import Saver, SharedList

# The processor's time that a world may take, in seconds; a large one takes two seconds.
CPU_S = 120.0
# When what a network has delivered late is put right: a suspension after its resumption, say.
SECOND_THOUGHTS_S = 60.0


class Outcome(NamedTuple):
    """The outcome of a world."""

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
        world: Set by subclasses, as `sides` is.
        livings: Of all sides, and perhaps more.
        savers: The savers, which keep values in a state store.
        performing: Called with each activity that begins.
        two: Both apps, if two apps call each other; None: there is one.
    """

    world: BaseWorld
    sides: Sequence[Side]
    livings: Sequence[Living]
    savers: Sequence[Saver] = ()

    # After healing all instances have ended within this; where the date is set, timers may be late by all its steps
    # back.
    PATIENCE_S, PATIENCE_WITH_STEPS_S = 3_600.0, 86_400.0

    def __init__(
        self, choices: Choices, *, standings: int, rests: bool, lossy: bool = False, two: TwoApps | None = None
    ) -> None:
        self.two = two
        self.witness = two.witnesses[0] if two is not None else Witness(standings=standings)
        self.choices = choices
        self.performing = self.witness.performing
        self._rests = rests
        self._lossy = lossy

    def run(self) -> Outcome:
        """Let the world happen.

        Raises:
            Broken: An invariant does not hold.
        """
        with ExitStack() as watching:
            for side in self.sides:
                watching.enter_context(side.witness.watching(self.world))
            watching.enter_context(counted(self.witness.sometimes))
            watching.enter_context(STAGE.taken(self.world, self.performing, self.strikes))
            if self.two is not None:
                watching.enter_context(self.two.on_stage(self.world, self.strikes))
            try:
                self.world.run(self._story, cpu_s=CPU_S)
            except Stuck as stuck:
                raise self.witness.broken or Broken("E10", str(stuck)) from None
            except Exception:
                if self.witness.broken is not None:
                    raise self.witness.broken from None
                raise
        for side in self.sides:
            side.witness.check_end()
        return self.outcome()

    def strikes(self, id_: str) -> bool:
        """End the host whose code runs if an instance is poisoned; return whether it has ended."""
        return False

    def outcome(self) -> Outcome:
        """The outcome of the world so far."""
        return Outcome(
            self.world.trace.digest,
            sum(side.witness.instances for side in self.sides),
            self.world.kills,
            self.world.failed,
            self.choices,
            self.world.trace,
            self._sometimes(),
        )

    def _sometimes(self) -> Counter[str]:
        seen = [side.witness for side in self.sides]
        performed, scheduled = sum(each.performed for each in seen), sum(len(each.scheduled) for each in seen)
        fates = Counter(f"fate: {living.fate.kind}" for living in self.livings)
        return (
            Counter(
                {
                    "kill": self.world.kills,
                    "commit failed": self.world.failed,
                    "activity performed again": max(0, performed - scheduled),
                    "child": len(self.witness.children),
                    "call of another app": self.two.calls.number if self.two is not None else 0,
                }
            )
            + fates
            + self.witness.sometimes
            + sum((side.doors.taken for side in self.sides), Counter[str]())
        )

    def _fated(
        self,
        fates: Sequence[str],
        program: Program | None,
        programs: Callable[[Choices], Program],
        instances_max: int,
        side: Side,
    ) -> Sequence[Living]:
        """Choose instances of a side, and their fates; see `Scenario` for the arguments."""
        sendings = Counter[str]()
        lived = (
            [Fate("i0", "left alone", program)]
            if program is not None
            else [
                a_fate(
                    self.choices,
                    number,
                    prefix=side.prefix,
                    clock_is_set=self.world.clock.may_be_set,
                    forgetful=bool(self.world.settings.retention),
                    kinds=fates,
                    programs=programs,
                )
                for number in range(1 + self.choices.draw("story.instances", instances_max))
            ]
        )
        side.livings = [self._living(fate, sendings, side) for fate in lived]
        return side.livings

    def _saving(self, number: int) -> Sequence[Saver]:
        """The savers of each side. Savers of two sides have the same keys, each in its own app."""
        return [
            Saver(side.world, side.witness, f"s{each}", shared)
            for side in self.sides
            for shared in [SharedList()]
            for each in range(number)
        ]

    def _living(self, fate: Fate, sendings: Counter[str], side: Side) -> Living:
        """The driver of a fate."""
        return Living(side.world, side.witness, fate, sendings, side.doors)

    async def _story(self, world: BaseWorld) -> None:
        async with asyncio.TaskGroup() as tasks:
            living: Sequence[Living | Saver] = (*self.livings, *self.savers)
            lives = [tasks.create_task(each.live()) for each in living]
            for side in self.sides:
                if looks := self.choices.draw("story.looks", LOOKS_MAX):
                    tasks.create_task(side.reader.live(looks))
            tasks.create_task(self._heal(lives))
        if self._rests:
            await self._rest()

    @abstractmethod
    async def _rest(self) -> None:
        """Check what must hold at rest, once all instances have ended and all faults are over."""

    @property
    def _asleep(self) -> list[str]:
        return [living.fate.id for living in self.livings if living.fate.kind == "asleep"]

    async def _check_contents(self, store: LifeStore, *, marked: Collection[str] = ()) -> None:
        for side in self.sides:
            await check_contents(store, side.purged, side.asleep, marked=marked, workflow=side.workflow())
        if self.two is not None:
            await self.two.calls.check_none(store)

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
