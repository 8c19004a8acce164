"""One world of the engine: instances with random programs, what callers do to them, faults, healing, two restarts."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from perdure import App, InstanceNotFound, Settings
from perdure.runtime.errors import RequestRefused
from perdure.runtime.operations.retention.policy import Retention
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.deploys import DeployMode
from perdure.testing.simulation.knobs import Knobs
from perdure.testing.simulation.loop import Stuck
from perdure.testing.simulation.trace import WorldTrace
from perdure.testing.simulation.world import SimWorld, StoreOf

from .checks.broken import Broken
from .checks.rest import check_idle, check_rest, tasks_of
from .checks.sometimes import counted
from .doors import DOORS, EMBEDDED, SAFE_DOORS, Doors
from .invariants import STANDINGS, Witness
from .programs import Program, a_program, app_of
from .story.fates import ASLEEP_FOR, KINDS, Fate, Living, a_fate
from .story.reader import LOOKS_MAX, Look, Reader
from .workers.crew import Crew

# After healing all instances have ended within this; where the date is set, timers may be late by all its steps back.
PATIENCE_S, PATIENCE_WITH_STEPS_S = 3_600.0, 86_400.0
FOR_EVER = Retention()
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


class Scenario:
    """Runs one world.

    Args:
        clock_is_set: The date is set back and forward.
        lossy: The network between callers and the host loses and doubles requests.
        deploy: Lives begin with the older or the newer code; None: all have the older one.
        store: Gives the store of each life; one in memory by default.
        workers: The code is with workers of SDKs, and the host has none.
        doors: Callers go by the doors of the host: Dapr's HTTP API, the management API, the task hub.
        retention: How long what has ended is kept; for ever by default.
        instances_max: So many workflows at most, without children.
        fates: Of what kinds their fates are.
        program: Of the only instance; None: instances have programs of their own.
        programs: Chooses these.
        standings: One commit of so many is replayed and compared; 0: none is.
        rests: At its end the host is started twice more, and does nothing for a day.
    """

    def __init__(
        self,
        choices: Choices,
        *,
        instances_max: int = 12,
        fates: Sequence[str] = KINDS,
        program: Program | None = None,
        programs: Callable[[Choices], Program] = a_program,
        clock_is_set: bool = False,
        lossy: bool = False,
        deploy: DeployMode | None = None,
        store: StoreOf | None = None,
        workers: bool = False,
        doors: bool = False,
        retention: Retention = FOR_EVER,
        standings: int = STANDINGS,
        rests: bool = True,
        keep: bool = False,
    ) -> None:
        self.witness = Witness(standings=standings)
        self.choices = choices
        self._lossy = lossy
        self._rests = rests
        usual = Settings(activities_max=100, stop_grace_s=1.0, wait_for_workers=workers, retention=retention)
        settings = Knobs(usual, choices)
        performing = self.witness.performing_at_a_worker if workers else self.witness.performing
        apps = [app_of(lambda: self.world, performing)]
        if deploy is not None:
            apps.append(app_of(lambda: self.world, self.witness.performing, newer=True, patched=deploy == "forward"))
        self.world = SimWorld(
            App("elsewhere") if workers else apps,
            choices,
            deploy=deploy or "forward",
            settings=settings,
            clock_is_set=clock_is_set,
            lossy=lossy,
            store=store,
            trace=WorldTrace(keep=keep),
        )
        self.crew = Crew(self.world, apps[0]) if workers else None
        # A network that doubles requests begins what has ended anew where a start says nothing of that.
        self.doors = Doors(self.world, (EMBEDDED,) if not doors else SAFE_DOORS if lossy else DOORS)
        sendings = Counter[str]()
        lived = (
            [Fate("i0", "left alone", program)]
            if program is not None
            else [
                a_fate(
                    choices,
                    number,
                    clock_is_set=clock_is_set,
                    forgetful=bool(retention),
                    kinds=fates,
                    programs=programs,
                )
                for number in range(1 + choices.draw("story.instances", instances_max))
            ]
        )
        self.reader = Reader(self.world, self.witness, self.doors)
        self.livings = [Living(self.world, self.witness, fate, sendings, self.doors) for fate in lived]

    def run(self) -> Outcome:
        """Let the world happen.

        Raises:
            Broken: An invariant does not hold.
        """
        try:
            outcome = self._run()
        except Exception:
            # A worker whose code does not fit a history stands still, and all else follows from that.
            if self.crew is not None and self.crew.broken is not None:
                raise self.crew.broken from None
            raise
        if self.crew is not None and self.crew.broken is not None:
            raise self.crew.broken
        return outcome

    def _run(self) -> Outcome:
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
            self.world.disk.failed,
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
                    "commit failed": self.world.disk.failed,
                    "activity performed again": max(0, seen.performed - len(seen.scheduled)),
                    "child": len(seen.children),
                }
            )
            + fates
            + (self.crew.sometimes if self.crew is not None else Counter[str]())
            + seen.sometimes
            + self.doors.taken
        )

    async def _story(self, world: SimWorld) -> None:
        if self.crew is not None:
            self.crew.start()
        async with asyncio.TaskGroup() as tasks:
            lives = [tasks.create_task(living.live()) for living in self.livings]
            if looks := self.choices.draw("story.looks", LOOKS_MAX):
                tasks.create_task(self.reader.live(looks))
            tasks.create_task(self._heal(lives))
        if self._rests:
            await self._rest(world)

    async def _rest(self, world: SimWorld) -> None:
        # A host may learn only now that its database is another one.
        await world.ask(lambda engine: engine.client.get("nobody"))
        await self._wait_for_retention(world)
        await check_idle(world, asleep=self._asleep)
        if self.crew is not None:
            await self.crew.all_connected()
        tasks_then = tasks_of(world)
        for _ in range(2):
            if self.witness.broken is not None:
                raise self.witness.broken
            # The last tellings of ended children, and marks that are taken away with an eviction.
            await world.restart()
            await world.ask(lambda engine: engine.client.get("nobody"))
            await world.sleep(10)
        self.witness.check_all_ended(asleep=self._asleep)
        await self.reader.look(Look())
        await check_rest(
            world,
            purged=[living.fate.id for living in self.livings if living.fate.kind.startswith("purged")],
            asleep=dict.fromkeys(self._asleep, ASLEEP_FOR),
            tasks=tasks_then,
        )

    async def _wait_for_retention(self, world: SimWorld) -> None:
        """E14: what has ended is gone when its time is over."""
        ids, gone_us = self.witness.must_be_gone()
        if not ids:
            return
        await world.sleep(max(0.0, (gone_us - world.clock.now_us()) / 1e6))
        left, _ = self.witness.must_be_gone()
        if left:
            raise self.witness.broken or Broken("E14", f"{left[0]} and {len(left) - 1} others are not forgotten")

    @property
    def _asleep(self) -> list[str]:
        return [living.fate.id for living in self.livings if living.fate.kind == "asleep"]

    async def _heal(self, lives: "list[asyncio.Task[None]]") -> None:
        await self.world.sleep((5.0, 0.5, 60.0)[self.choices.draw("story.heals", 3)])
        await self.world.heal()
        patience_s = PATIENCE_WITH_STEPS_S if self.world.clock.may_be_set else PATIENCE_S
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
        living = [living for living, life in zip(self.livings, lives, strict=True) if not life.done()]
        for each in living:
            if each.caller.asking is not None:
                return Broken(
                    "E13", f"{each.caller.asking} of {each.fate.id} has no answer {patience_s} s after the faults"
                )
        ids = ", ".join(each.fate.id for each in living)
        return Broken("E10", f"{ids} have not ended {patience_s} s after the last fault")
