"""A rollout: new code comes to one host after the other, while the others have the old code.

The newer app has an activity and a workflow more. Instances that need them begin as soon as all hosts know of a host
that has them, at any host, and complete wherever their shards are (E8): "not registered" is never the answer.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio

from perdure import ActivityContext, App, WorkflowContext
from perdure.runtime.errors import WorkflowUnknown
from perdure.runtime.workers.hosts.code import CodeKind
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.hosts.host import SimHost
from perdure.testing.simulation.hosts.world import HostsWorld

from ..checks.broken import Broken
from ..doors import Doors
from ..invariants import Witness
from ..programs import STAGE, TAKES_S, Program, Steps
from ..story.fates import Fate, Living
from .rows import lives_up

# The names that the newer app has, and the older one lacks.
NEWER, NEWBORN = "newer", "newborn"
# When it begins, and how long it takes from one host to the next.
BEGINS_S, PAUSES_S = (0.3, 1.0, 3.0), (2.0, 0.2, 8.0)
# The time for which a stopped host is waited for. One that other faults keep away comes back with the newer code.
PATIENCE_S = 10.0
LOOK_S = 0.1
# The fates of instances that need the newer code. They take no events.
FATES = ("left alone", "left alone", "paused", "terminated")


class Rollout:
    """Brings the newer of two apps to all hosts.

    Attributes:
        over: Whether all hosts have it.
    """

    def __init__(self, older: App, newer: App) -> None:
        self.over = False
        self._older = older
        self._newer = newer

    async def happen(self, world: HostsWorld) -> None:
        """Stop one host after the other that has the older app, and have it begin again with the newer one."""
        draw = world.choices.draw
        await world.sleep(BEGINS_S[draw("rollout.begins", len(BEGINS_S))])
        world.deploys.now = self._newer
        pause_s = PAUSES_S[draw("rollout.pause", len(PAUSES_S))]
        while old := [host for host in world.hosts if self._is_old(host)]:
            # One that is stopped already comes back with the newer code.
            for host in [host for host in old if host.up and not host.stopped][:1]:
                host.stop(again_s=LOOK_S)
                until_s = world.loop.time() + PATIENCE_S
                while world.loop.time() < until_s and (self._is_old(host) or not host.up):
                    await world.sleep(LOOK_S)
                await world.sleep(pause_s)
            await world.sleep(LOOK_S)
        self.over = True

    def _is_old(self, host: SimHost) -> bool:
        return host.alive and host.last is not None and host.last.life.app is self._older

    def is_known(self, world: HostsWorld) -> bool:
        """Whether a host has the newer app, and all others know of it."""
        up = lives_up(world)
        return any(made.life.app is self._newer for made in up) and all(map(self._knows, up))

    def _knows(self, made: Any) -> bool:
        code = made.life.engine._first.code
        return made.life.app is self._newer or (
            NEWER in code.names(CodeKind.ACTIVITY) and NEWBORN in code.names(CodeKind.WORKFLOW)
        )


def add_newer(app: App) -> None:
    """Give an app the parts that only the newer one has."""

    @app.activity(name=NEWER)
    async def newer(ctx: ActivityContext, n: int) -> int:
        world = STAGE.world()
        STAGE.performing(ctx)
        await world.mortal("kill.begun", "an activity has begun")
        await anyio.sleep(TAKES_S[world.choices.draw("activity.takes", len(TAKES_S))])
        await world.mortal("kill.effect", "an activity has had its effect, and the host has not heard of it")
        return n + 1

    @app.workflow(name=NEWBORN)
    async def newborn(ctx: WorkflowContext, given: Any) -> Any:
        return await ctx.call_child_workflow("carry_out", input=given)


async def _do_newer(ctx: WorkflowContext, n: int) -> Any:
    return await ctx.call_activity(NEWER, input=n)


async def _do_newborn(ctx: WorkflowContext, n: int) -> Any:
    found = await ctx.call_child_workflow(NEWBORN, input={"program": [[NEWER, n]], "so_far": []})
    return found[0]


# Both apps have the steps, as an instance that has begun at one host goes on at another.
STEPS: Steps = {NEWER: _do_newer, NEWBORN: _do_newborn}


def a_newer_fate(choices: Choices, number: int) -> Fate:
    """Choose an instance that needs the newer code; the calm one is left alone."""
    program: Program = [["work", 1], [NEWER, number], ["nap", 0.5], [NEWBORN, number], [NEWER, 2]]
    kind = FATES[choices.draw("rollout.fate", len(FATES))]
    return Fate(f"n{number}", kind, program, number=choices.draw("rollout.number", 4))


class LivingNewer(Living):
    """Begins its instance once there is code for it."""

    def __init__(
        self,
        world: HostsWorld,
        witness: Witness,
        fate: Fate,
        sendings: Counter[str],
        doors: Doors,
        is_known: Callable[[HostsWorld], bool],
    ) -> None:
        super().__init__(world, witness, fate, sendings, doors)
        self._hosts = world
        self._is_known = is_known
        if fate.number % 2:
            self.caller.workflow = NEWBORN

    async def live(self) -> None:
        """Live through the fate.

        Raises:
            Broken: E1, E8, E13.
        """
        while not self._is_known(self._hosts):
            await self._world.sleep(LOOK_S)
        if self._hosts.choices.draw("rollout.late", 3) == 1:
            await self._world.sleep(1.0)
        self._witness.sometimes["newer code among older"] += self._are_apart()
        try:
            await super().live()
        except WorkflowUnknown as error:
            raise Broken("E8", f"{self.fate.id} is refused, and a host has its code: {error}") from None

    def _are_apart(self) -> bool:
        return len({id(made.life.app) for made in lives_up(self._hosts)}) > 1
