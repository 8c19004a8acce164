"""Running a plan in one world.

The rule: a world begins as if it were the first, and leaves nothing behind except the objects that the story keeps.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from ....actors.store.contract import Write
from ....embedding.api import load
from ....runtime.settings import Settings
from ...simulation.choices import Choices
from ...simulation.machines.outside import Deed
from ...simulation.search.attempt import Attempt, innermost
from ...simulation.trace import WorldTrace
from ...simulation.world import SimWorld
from ..code.blocking import Blocking
from ..code.fence import Fence
from ..code.imports import import_switches
from ..code.interrupts import interruptible
from ..code.senses import SEED, Senses
from ..code.switch import Switch, switched
from ..code.threads import quiet, thread_switches, threads_on_loop
from ..code.waits import BlockingWaits
from ..code.where import OwnCode, globals_of
from ..faults import ChosenFaults
from ..plan import STOP_GRACE_S, SimulationPlan
from ..world import World

# Small worlds: few instances in memory, so that others are replayed.
KNOBS = 4
# How often a commit is followed by a deploy, in worlds of several versions in which it happens at all.
COMMIT_RATES = (0.02, 0.1, 0.3)


class WorldFacts(NamedTuple):
    """The facts of a world beside its lines.

    Args:
        fails_at: The number of its lines before the failure.
    """

    kills: int
    lost: int  # requests and answers
    deploys: int
    replayed: int
    met: Counter[str]
    deeds: Sequence[Deed]
    started_again: frozenset[str]
    unnamed_again: bool
    fails_at: int
    virtual_s: float
    steps: Sequence[str] = ()


class WorldRunner:
    """Runs worlds of a plan, one after the other.

    Args:
        given: The arguments of the story beside its world.
    """

    def __init__(self, plan: SimulationPlan, given: Mapping[str, Any]) -> None:
        self.plan = plan
        self.worlds = 0
        self._given = dict(given)
        self._blocking = Blocking()
        self._senses = Senses(self._blocking.wait)
        self._fence = Fence(self._senses, OwnCode())
        self._switches: list[Switch] | None = None

    def run(self, choices: Choices, *, keep: bool = False) -> Attempt:
        """Run a world.

        Args:
            keep: Keep each step.
        """
        if self._switches is None:
            load()  # an import in the first world would use up random numbers of it
            scopes = globals_of(self.plan.functions, OwnCode())
            self._switches = [
                *self._senses.switches(scopes),
                *self._fence.switches(),
                *BlockingWaits(self._senses, self._blocking.wait, self._fence.endless).switches(),
                *thread_switches(self._senses, scopes),
                *import_switches(self._senses, scopes),
            ]
        self.worlds += 1
        chosen = ChosenFaults.of(choices, self.plan.faults)
        machine = self._machine(chosen, keep=keep)
        world = World(machine, within=self.plan.within, blocking=self._blocking)
        machine.on_step.append(self._fence.check)
        error: Exception | None = None
        chance = random.getstate()
        self._blocking.loop = machine.loop
        self._senses.begin(machine)
        self._fence.begin()
        self._fence.on_loop(machine.loop)
        threads_on_loop(machine)
        try:
            random.seed(SEED)
            with quiet(), switched(self._switches), interruptible(machine):
                machine.run(lambda _: world.live(self.plan.story, self._given), cpu_s=self.plan.cpu_s)
        except BaseException as raised:
            if not _is_failure(raised):
                raise
            error = innermost(raised) if isinstance(raised, Exception) else AssertionError(str(raised) or repr(raised))
        finally:
            self._senses.world = None
            random.setstate(chance)
        return Attempt(error, machine.trace.digest, machine.trace.lines, chosen, _facts(machine, world))

    def _machine(self, choices: ChosenFaults, *, keep: bool) -> SimWorld:
        plan = self.plan
        settings = plan.settings or Settings(stop_grace_s=STOP_GRACE_S)
        if choices.draw("world.always_replay", KNOBS) == 1:
            settings = replace(settings, always_replay=True)
        machine = SimWorld(
            plan.apps,
            choices,
            deploy=plan.deploy,
            settings=settings,
            clock_is_set=plan.faults.clock,
            lossy=plan.faults.network,
            trace=WorldTrace(keep=keep),
        )
        if len(plan.apps) > 1:
            machine.on_commit.append(partial(_deploy_after_commit, machine))
        return machine


def _deploy_after_commit(machine: SimWorld, writes: Sequence[Write]) -> None:
    """A place for a deploy at each commit, beside the moments that the weather has: few enough for a sweep."""
    if machine.deploys.choose("deploy.commit", rates=COMMIT_RATES):
        machine.loop.create_task(machine.restart(), context=machine.loop.outside.copy())


def _facts(machine: SimWorld, world: World) -> WorldFacts:
    lines = machine.trace.lines
    taken = machine.choices.taken
    return WorldFacts(
        kills=machine.kills,
        lost=sum(stream.endswith(".lost") for stream, _ in taken),
        deploys=sum(stream.startswith("deploy") for stream, _ in taken),
        replayed=world.replayed,
        met=world.met,
        deeds=world.deeds,
        started_again=frozenset(world.network.started_again),
        unnamed_again=world.network.unnamed_again,
        fails_at=len(lines),
        virtual_s=machine.loop.time(),
        steps=machine.trace.steps or (),
    )


def _is_failure(error: BaseException) -> bool:
    """Whether it is a failure of the story, and not the end of the whole run, or what `pytest.skip` raises.

    `pytest.fail` and `pytest.raises` raise a `Failed`, and `pytest.exit` an `Exit`; pytest need not be there.
    """
    kind = type(error)
    if kind.__module__ == "_pytest.outcomes" or any(each.__name__ == "OutcomeException" for each in kind.__mro__):
        return kind.__name__ == "Failed"
    return not isinstance(error, KeyboardInterrupt | SystemExit)
