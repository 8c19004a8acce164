"""Poison: instances whose code ends each host that runs it, and I9: their fate, and that of all others.

I9 (C, S, Q): a host that shares its store is ended by a poison a few times at most, then that instance is set aside;
nothing of it begins until it is released; and no other instance is ever set aside, even if other faults end hosts
meanwhile. At rest no flight note is left.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from perdure import ActivityContext, App, Status, WorkflowContext
from perdure.actors.store.contract import Write
from perdure.runtime.directory import WORKFLOW
from perdure.runtime.history.attribution import EMBEDDED as BY
from perdure.runtime.history.record import unpack_record
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.hosts.host import SharingLife
from perdure.testing.simulation.hosts.world import HostsWorld
from perdure.testing.simulation.loop import HOST, never

from ..checks.broken import Broken
from ..doors import Doors
from ..invariants import Witness
from ..programs import STAGE, Program, Steps
from ..story.fates import Fate, Living

# Four are usual: the first tells nothing, and of three more two have no other suspect. Where others are suspect too, or
# two poisons end hosts in turn, it takes more until one is alone: up to nine in two hundred worlds.
ENDS_MAX = 20
# The time until the host ends: from its first step, or long enough for others to begin and end beside it.
TAKES_S = (0.0, 0.05, 1.5)
LOOK_S = 1.0
# The time for which no work of a set-aside instance begins: a host that takes the shard recovers its instances at once.
ASIDE_S = 15.0
WHY = "poison"


class Poisons:
    """The poisons of a world.

    Args:
        witness: Takes violations of invariants.

    Attributes:
        aside: The number of instances that were set aside.
    """

    _world: HostsWorld

    def __init__(self, witness: Witness) -> None:
        self.aside = 0
        self._witness = witness
        self._ends: dict[str, int] = {}  # by instance: so many hosts since the other faults are over
        self._mended: set[str] = set()
        self._ended: Counter[str] = Counter()

    def watch(self, world: HostsWorld) -> None:
        """Look at the commits of a world, whose hosts are to be ended."""
        self._world = world
        world.seen.append(self._committed)
        self._witness.log.explained.append("with no other suspect under way")

    def fate(self, choices: Choices, number: int) -> Fate:
        """Choose a poison; the calm one is an activity that ends its host at once."""
        seconds = TAKES_S[choices.draw("poison.takes", len(TAKES_S))]
        step = ["venom", number] if choices.draw("poison.turn", 3) == 1 else ["poison", number, seconds]
        program: Program = [["work", 1], step, ["nap", 0.5]]
        self._ends[id_ := f"poison{number}"] = 0
        return Fate(id_, "left alone", program, number=choices.draw("poison.number", 4))

    def ends(self, id_: str) -> int:
        """The number of hosts that a poison has ended."""
        return self._ended[id_]

    def mend(self, id_: str) -> None:
        """Stop a poison from ending hosts, as a deploy of mended code does."""
        self._mended.add(id_)

    def strikes(self, id_: str) -> bool:
        """End the host whose code runs, unless the instance is mended."""
        if id_ in self._mended:
            return False
        self._ended[id_] += 1
        if self._world.choices.calmed:
            self._ends[id_] += 1
        if self._ends[id_] > ENDS_MAX:
            self._witness.tell(Broken("I9", f"{id_} has ended {ENDS_MAX} hosts since the faults, and is not set aside"))
        # The code of a workflow runs in a context of its own, in which no host is.
        self._world.kill_life(self._world.lives[HOST.get() or self._witness.turns.life], WHY)
        return True

    def _committed(self, made: SharingLife, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        for write in writes:
            if write.record is None or write.address.type != WORKFLOW:
                continue
            mark = unpack_record(write.record).set_aside
            if mark is not None and write.address.id not in self._ends:
                self._witness.tell(Broken("I9", f"{write.address.id} ends no host, and is set aside: {mark.reason}"))


def add_poison(app: App) -> None:
    """Give an app the activity that ends its host."""

    @app.activity
    async def poison(ctx: ActivityContext, given: list[Any]) -> int:
        STAGE.performing(ctx)
        n, seconds = given
        await anyio.sleep(seconds)
        if STAGE.strikes(ctx.workflow_id):
            await never()
        return int(n) + 1


async def _do_poison(ctx: WorkflowContext, n: int, seconds: float) -> Any:
    return await ctx.call_activity("poison", input=[n, seconds])


async def _do_venom(ctx: WorkflowContext, n: int) -> Any:
    await ctx.call_activity("work", input=n)
    STAGE.strikes(ctx.instance_id)
    # What the turn asks for in the rest of this step nobody hears any more.
    return await ctx.call_activity("work", input=n)


# The steps of poisoned programs: an activity that ends its host, and a turn that does.
POISONED: Steps = {"poison": _do_poison, "venom": _do_venom}


class LivingPoison(Living):
    """Has a poison set aside, mended, and then released or terminated."""

    _world: HostsWorld

    def __init__(
        self, world: HostsWorld, witness: Witness, fate: Fate, sendings: Counter[str], doors: Doors, poisons: Poisons
    ) -> None:
        super().__init__(world, witness, fate, sendings, doors)
        self._poisons = poisons

    async def live(self) -> None:
        """Live through the fate.

        Raises:
            Broken: E1, E8, E13, I9.
        """
        world, id_ = self._world, self.fate.id
        await world.sleep(world.choices.draw("story.begins", 4) * 0.03)
        await self._start()
        while (state := await self.caller.get()) is None or not state.details.set_aside:
            if self._witness.broken is not None:
                raise self._witness.broken  # a poison that never stops makes a world without an end
            await world.sleep(LOOK_S)
        self._poisons.aside += 1
        ended = self._poisons.ends(id_)
        await world.sleep(ASIDE_S)
        # A host that was taken for dead may still be at it, while there are faults.
        if world.choices.calmed and self._poisons.ends(id_) != ended:
            raise Broken("I9", f"{id_} is set aside, and has ended a host again")
        self._poisons.mend(id_)
        if self.fate.number == 1:
            await self.caller.terminate()
            await self._expect_result(Status.TERMINATED)
        else:
            await self.caller.steer("release", lambda engine: engine.steering.release(id_, by=BY))
            # A bulk operation of others may have suspended it, and could not resume what was set aside.
            await self.caller.resume()
            await self._expect_result()
