"""One world of the engine on one host at a time: faults, healing, two restarts."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from perdure import App, Settings
from perdure.runtime.operations.retention.policy import Retention
from perdure.testing.simulation.base import BaseWorld
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.deploys import DeployMode
from perdure.testing.simulation.knobs import Knobs
from perdure.testing.simulation.trace import WorldTrace
from perdure.testing.simulation.world import SimWorld, StoreOf

from .apps.two import TwoApps
from .base_scenario import BaseScenario, Outcome
from .checks.broken import Broken
from .checks.rest import check_idle, check_rest, tasks_of
from .doors import DOORS, EMBEDDED, SAFE_DOORS, Doors
from .invariants import STANDINGS
from .programs import STAGE, Program, a_program, app_of
from .side import Side
from .story.fates import ASLEEP_FOR, KINDS
from .story.reader import Look
from .workers.crew import Crew

FOR_EVER = Retention()
# Made here, so that none is made while a bug is planted.
OLDER = app_of(STAGE.world, STAGE.performing)
NEWER = app_of(STAGE.world, STAGE.performing, newer=True)
PATCHED = app_of(STAGE.world, STAGE.performing, newer=True, patched=True)


class Scenario(BaseScenario):
    """Runs one world of one host at a time.

    Args:
        clock_is_set: The date is set back and forward.
        lossy: The network between callers and the host loses and doubles requests.
        deploy: Lives begin with the older or the newer code; None: all have the older one.
        store: Gives the store of each life; one in memory by default.
        workers: The code is with workers of SDKs, and the host has none.
        doors: Callers go by the doors of the host: Dapr's HTTP API, the management API, the task hub.
        retention: How long ended instances are kept; for ever by default.
        instances_max: The maximum number of workflows, without children.
        fates: The kinds of their fates.
        program: Of the only instance; None: instances have programs of their own.
        programs: Chooses these.
        standings: One in this number of commits is replayed and compared; 0: none is.
        savers: The number of savers, which keep values in a state store.
        apps: The host has two apps, which call each other.
        rests: At its end the host is started twice more, and does nothing for a day.
    """

    world: SimWorld

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
        savers: int = 0,
        apps: bool = False,
        keep: bool = False,
    ) -> None:
        two = TwoApps(choices, lambda: self.world, standings=standings) if apps else None
        super().__init__(choices, standings=standings, rests=rests, lossy=lossy, two=two)
        usual = Settings(activities_max=100, stop_grace_s=1.0, wait_for_workers=workers, retention=retention)
        settings = Knobs(usual, choices)
        if workers:
            self.performing = self.witness.performing_at_a_worker
        versions = [two.apps[0] if two is not None else OLDER]
        if deploy is not None:
            versions.append(PATCHED if deploy == "forward" else NEWER)
        self.world = SimWorld(
            App("elsewhere") if workers else versions,
            choices,
            deploy=deploy or "forward",
            settings=settings,
            clock_is_set=clock_is_set,
            lossy=lossy,
            store=store,
            trace=WorldTrace(keep=keep),
        )
        self.crew = Crew(self.world, versions[0]) if workers else None
        # A network that doubles requests begins what has ended anew where a start says nothing of that.
        taken = Doors(self.world, (EMBEDDED,) if not doors else SAFE_DOORS if lossy else DOORS)
        self.sides = two.sides() if two is not None else [Side(self.world, self.witness, taken)]
        if two is not None:
            self.world.hosted = two.hosted
            fates, programs = two.fates(fates), two.program
        self.livings = [
            living for side in self.sides for living in self._fated(fates, program, programs, instances_max, side)
        ]
        self.savers = self._saving(savers)

    def run(self) -> Outcome:
        """Let the world happen.

        Raises:
            Broken: An invariant does not hold.
        """
        try:
            outcome = super().run()
        except Exception:
            # A worker whose code does not fit a history stands still, and all else follows from that.
            if self.crew is not None and self.crew.broken is not None:
                raise self.crew.broken from None
            raise
        if self.crew is not None and self.crew.broken is not None:
            raise self.crew.broken
        return outcome

    def _sometimes(self) -> Counter[str]:
        return super()._sometimes() + (self.crew.sometimes if self.crew is not None else Counter[str]())

    async def _story(self, world: BaseWorld) -> None:
        if self.crew is not None:
            self.crew.start()
        if self.two is None or not self.two.is_late:
            await super()._story(world)
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._come())
            await super()._story(world)

    async def _come(self) -> None:
        """Have the second app come to the host."""
        assert self.two is not None
        await self.world.sleep(self.two.comes_s)
        self.two.is_late = False
        await self.world.restart()

    async def _rest(self) -> None:
        world = self.world
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
        for side in self.sides:
            side.witness.check_all_ended(asleep=self._asleep)
            await side.reader.look(Look())
        for saver in self.savers:
            await saver.look()
        await self._check_contents(world.contents)
        await check_rest(world, asleep=dict.fromkeys(self._asleep, ASLEEP_FOR), tasks=tasks_then)

    async def _wait_for_retention(self, world: SimWorld) -> None:
        """E14: an ended instance is gone when its time is over."""
        for side in self.sides:
            ids, gone_us = side.witness.must_be_gone()
            await world.sleep(max(0.0, (gone_us - world.clock.now_us()) / 1e6) if ids else 0.0)
            left, _ = side.witness.must_be_gone()
            if left:
                raise self.witness.broken or Broken("E14", f"{left[0]} and {len(left) - 1} others are not forgotten")
