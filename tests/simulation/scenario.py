"""One world of the engine: instances with random programs, what callers do to them, faults, healing, two restarts."""

import asyncio
import json
from collections import Counter
from contextlib import suppress
from typing import Any, NamedTuple

from perdure import InstanceNotFound, Settings, Status, WorkflowState
from perdure.runtime.errors import RequestRefused
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.loop import Stuck
from perdure.testing.simulation.trace import WorldTrace
from perdure.testing.simulation.world import SimWorld, StoreOf

from .invariants import Broken, Witness, check_idle, check_rest
from .programs import Program, a_program, agrees, app_of, awaited, expected

# After healing all instances have ended within this; where the date is set, timers may be late by all its steps back.
PATIENCE_S, PATIENCE_WITH_STEPS_S = 3_600.0, 86_400.0


class Fate(NamedTuple):
    """What happens to an instance beside its program."""

    id: str
    program: Program
    steered: int  # 0: nothing, 1: paused and resumed, 2: terminated, 3: purged after its end
    again: bool  # each event is sent twice


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
        instances_max: So many workflows at most, without children.
        store: Gives the store of each life; one in memory by default.
    """

    def __init__(
        self,
        choices: Choices,
        *,
        instances_max: int = 12,
        clock_is_set: bool = False,
        store: StoreOf | None = None,
        keep: bool = False,
    ) -> None:
        self.witness = Witness()
        self.choices = choices
        always_replay = choices.draw("world.always_replay", 4) == 1
        small = choices.draw("world.small", 4) == 1
        settings = Settings(
            always_replay=always_replay, activations_max=2 if small else 10_000, activities_max=2 if small else 100
        )
        self.world = SimWorld(
            app_of(lambda: self.world, self.witness.performing),
            choices,
            settings=settings,
            clock_is_set=clock_is_set,
            store=store,
            trace=WorldTrace(keep=keep),
        )
        self.witness.watch(self.world)
        self.sent: Counter[tuple[str, str]] = Counter()
        self.fates = [self._fate(number) for number in range(1 + choices.draw("story.instances", instances_max))]

    def run(self) -> Outcome:
        """Let the world happen.

        Raises:
            Broken: An invariant does not hold.
        """
        try:
            self.world.run(self._story)
        except Stuck:
            raise self.witness.broken or Broken(
                "E10", "nothing is left that could happen, and instances wait"
            ) from None
        if self.witness.broken is not None:
            raise self.witness.broken
        seen = self.witness
        sometimes = Counter(
            kill=self.world.kills,
            failed_commit=self.world.disk.failed,
            activity_again=seen.performed - len(seen.scheduled),
            event_twice=sum(number > 1 for number in seen.raised.values()),
            child=len(seen.children),
        )
        return Outcome(
            self.world.trace.digest,
            len(self.fates) + len(seen.children),
            self.world.kills,
            self.world.disk.failed,
            self.choices,
            self.world.trace,
            sometimes,
        )

    def _fate(self, number: int) -> Fate:
        draw = self.choices.draw
        steered = draw("story.steered", 6)
        return Fate(f"i{number}", a_program(self.choices), steered if steered < 4 else 0, draw("story.again", 4) == 1)

    async def _story(self, world: SimWorld) -> None:
        async with asyncio.TaskGroup() as tasks:
            lives = [tasks.create_task(self._live(fate)) for fate in self.fates]
            tasks.create_task(self._heal(lives))
        await check_idle(world)
        for _ in range(2):
            if self.witness.broken is not None:
                raise self.witness.broken
            # The last tellings of ended children, and marks that are taken away with an eviction.
            await world.restart()
            await world.ask(lambda engine: engine.client.get("nobody"))
            await world.sleep(10)
        await check_rest(world, [fate.id for fate in self.fates if fate.steered == 3])
        for fate in self.fates:
            self._check_events(fate)

    async def _heal(self, lives: "list[asyncio.Task[None]]") -> None:
        await self.world.sleep((5.0, 0.5, 60.0)[self.choices.draw("story.heals", 3)])
        await self.world.heal()
        patience_s = PATIENCE_WITH_STEPS_S if self.world.clock.may_be_set else PATIENCE_S
        _, late = await asyncio.wait(lives, timeout=patience_s)
        if late and self.witness.broken is None:
            ids = sorted(fate.id for fate, life in zip(self.fates, lives, strict=True) if not life.done())
            self.witness.broken = Broken("E10", f"{', '.join(ids)} have not ended {patience_s} s after the last fault")
        if late:
            assert self.witness.broken is not None
            raise self.witness.broken

    async def _live(self, fate: Fate) -> None:
        world, id_ = self.world, fate.id
        await world.sleep(self.choices.draw("story.begins", 4) * 0.03)
        given = {"program": fate.program, "so_far": []}
        await world.ask(
            lambda engine: engine.client.start("carry_out", input=given, instance_id=id_, if_exists="return")
        )
        if fate.steered == 1:
            await self._steer(lambda engine: engine.client.suspend(id_))
            await world.sleep(0.3)
            await self._steer(lambda engine: engine.client.resume(id_))
        for name in awaited(fate.program):
            await self._send(id_, name, again=fate.again)
        if fate.steered == 2:
            await self._steer(lambda engine: engine.client.terminate(id_))
        try:
            state = await world.ask(lambda engine: engine.client.wait(id_, timeout=None))
        except InstanceNotFound:
            raise self.witness.broken or Broken(
                "E1", f"the start of {id_} was acknowledged, and is not there"
            ) from None
        self._check_state(fate, state)
        if fate.steered == 3:
            await self._steer(lambda engine: engine.client.purge(id_))

    async def _send(self, id_: str, name: str, *, again: bool) -> None:
        async def raise_event(engine: Any) -> None:
            self.sent[id_, json.dumps(f"for {name}")] += 1
            await engine.client.raise_event(id_, name, data=f"for {name}")

        await self._steer(raise_event)
        if again:
            await self._steer(raise_event)

    async def _steer(self, request: Any) -> None:
        """Ask for something that an instance which has ended, or has been purged by a repeated request, refuses."""
        with suppress(InstanceNotFound, RequestRefused):
            await self.world.ask(request)

    def _check_state(self, fate: Fate, state: WorkflowState) -> None:
        """E8: the result is the model's."""
        if fate.steered == 2 and state.status is Status.TERMINATED:
            return
        result = state.output
        if state.status is not Status.COMPLETED or not agrees(result, expected(fate.program)):
            what = f"{fate.id} is {state.status.name} with {result!r}, not {expected(fate.program)!r}"
            raise self.witness.broken or Broken("E8", what)

    def _check_events(self, fate: Fate) -> None:
        """E4: each event is in the history once, or as often as it was sent."""
        for (id_, payload), found in self.witness.raised.items():
            if id_ == fate.id and found > self.sent[id_, payload]:
                raise Broken("E4", f"{id_} has {payload} {found} times; it was sent {self.sent[id_, payload]} times")
