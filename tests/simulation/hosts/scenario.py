"""One world of several engines on one database: faults, healing, a rolling restart, rest, and a host that is alone."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

from perdure import App, Settings
from perdure.testing.simulation.base import BaseWorld
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.hosts.world import HostsWorld
from perdure.testing.simulation.knobs import Knobs
from perdure.testing.simulation.machines.database.sessions import FLUSHES_S, VERY_LATE_S
from perdure.testing.simulation.trace import WorldTrace

from ..base_scenario import BaseScenario, Outcome
from ..checks.broken import Broken
from ..checks.rest import check_asleep, check_contents, check_no_errors
from ..doors import EMBEDDED, Doors
from ..invariants import STANDINGS
from ..programs import Program, a_program, app_of
from ..story.fates import ASLEEP_FOR, KINDS, Fate, Living
from .again import LivingAgain
from .losses import Losses
from .poison import LivingPoison, Poisons
from .quiet import check_alone, check_hosts, check_quiet
from .rollout import STEPS, LivingNewer, Rollout, a_newer_fate, add_newer
from .rows import Owned, is_even, is_settled, lives_up, owners, picture
from .witness import HostsWitness

# How many hosts a world has; the first is the usual number.
HOSTS = (3, 2, 4)
# After the faults each shard is open at its owner within this, and evenly: a host that was killed over and over stays
# away for up to 160 s.
SETTLED_S = 240.0
# What hosts had sent to the database before the faults ended is there after this, that of a host that was killed, too:
# its join is a row of nobody, which the others find dead once more.
UNDER_WAY_S = max(FLUSHES_S) + VERY_LATE_S


class HostsScenario(BaseScenario):
    """Runs one world of several hosts.

    Args:
        hosts: How many; None: as chance chooses.
        may_lose: A copy may take the database's place that has not had the last commits. Then all instances are left
            alone, and begun again where they may be gone.
        instances_max, fates, program, programs, standings, rests, savers: As for `Scenario`.
        poisons: So many instances more end each host that takes them up, until they are set aside.
        newer: So many instances more need newer code, which comes to one host after the other.
        activations_max: How many actors a host keeps in memory, where chance does not say otherwise.
    """

    world: HostsWorld

    def __init__(
        self,
        choices: Choices,
        *,
        hosts: int | None = None,
        may_lose: bool = False,
        instances_max: int = 12,
        fates: Sequence[str] = KINDS,
        program: Program | None = None,
        programs: Callable[[Choices], Program] = a_program,
        standings: int = STANDINGS,
        rests: bool = True,
        savers: int = 0,
        activations_max: int = 10_000,
        poisons: int = 0,
        newer: int = 0,
        keep: bool = False,
    ) -> None:
        super().__init__(choices, standings=standings, rests=rests)
        self.poisons = Poisons(self.witness)
        apps = [self._app()]
        self.rollout: Rollout | None = None
        if newer:
            apps.append(self._app(newer=True))
            add_newer(apps[1], lambda: self.world, self.witness.performing)
            self.rollout = Rollout(*apps)
        self.world = HostsWorld(
            apps,
            choices,
            number=hosts or HOSTS[choices.draw("world.hosts", len(HOSTS))],
            settings=Knobs(Settings(activities_max=100, stop_grace_s=1.0, activations_max=activations_max), choices),
            trace=WorldTrace(keep=keep),
        )
        self.hosts_witness = HostsWitness(self.world, self.witness)
        self.poisons.watch(self.world)
        self.world.database.may_lose = may_lose
        self.losses = Losses(self.world, self.witness) if may_lose else None
        self.doors = Doors(self.world, (EMBEDDED,))
        self.livings = [
            *self._fated(KINDS[:1] if may_lose else fates, program, programs, instances_max),
            *(self._poison(number) for number in range(poisons)),
            *(self._newer(number) for number in range(newer)),
        ]
        # An etag of what a server has lost may be that of another value.
        assert not (savers and may_lose)
        self.savers = self._saving(savers)

    def run(self) -> Outcome:
        """Let the world happen.

        Raises:
            Broken: An invariant does not hold.
        """
        with self.losses.watched() if self.losses is not None else nullcontext():
            return super().run()

    def _living(self, fate: Fate, sendings: Counter[str]) -> Living:
        if self.losses is None:
            return super()._living(fate, sendings)
        return LivingAgain(self.world, self.witness, fate, sendings, self.doors)

    def _app(self, *, newer: bool = False) -> App:
        more = {**self.poisons.steps(), **STEPS}
        app = app_of(lambda: self.world, self.witness.performing, newer=newer, more=more)
        self.poisons.add_to(app, self.witness.performing)
        return app

    def _newer(self, number: int) -> LivingNewer:
        assert self.rollout is not None
        fate = a_newer_fate(self.choices, number)
        return LivingNewer(self.world, self.witness, fate, Counter(), self.doors, self.rollout.is_known)

    def _poison(self, number: int) -> LivingPoison:
        fate = self.poisons.fate(self.choices, number)
        return LivingPoison(self.world, self.witness, fate, Counter(), self.doors, self.poisons)

    def _sometimes(self) -> Counter[str]:
        found = {
            "a poison was set aside": self.poisons.aside,
            "a host was found dead": self.hosts_witness.killed,
            "move": sum(owned.epoch for owned in owners(self.world).values()),
            "commits were lost": self.world.database.losses,
            "an acknowledged turn was lost, and told of": self.losses.acknowledged if self.losses is not None else 0,
        }
        return super()._sometimes() + Counter(found)

    async def _story(self, world: BaseWorld) -> None:
        async with asyncio.TaskGroup() as tasks:
            if self.rollout is not None:
                tasks.create_task(self.rollout.happen(self.world))
            await super()._story(world)

    async def _rest(self) -> None:
        while self.rollout is not None and not self.rollout.over:
            await self.world.sleep(1.0)
        await self.world.sleep(UNDER_WAY_S)
        await self._settle()
        await check_hosts(self.world, asleep=self._asleep)
        for host in self.world.hosts:
            self._require_unbroken()
            before = owners(self.world)
            host.stop()
            while host.alive:
                await self.world.sleep(0.1)
            await self._settle()
            self._check_moves(before)
            before = owners(self.world)
            host.start()
            while not host.up:
                await self.world.sleep(0.1)
            await self._settle()
            self._check_moves(before)
        await self.world.sleep(10)
        self.witness.check_all_ended(asleep=self._asleep)
        for saver in self.savers:
            await saver.look()
        await check_hosts(self.world, asleep=self._asleep)
        made = lives_up(self.world)[0]
        # What sleeps has its mark as long as it is in memory, and a shard that is given takes it along.
        await check_contents(made.store, self._purged, self._asleep, marked=self._asleep)
        for id_ in self._asleep:
            assert made.life.engine is not None
            await check_asleep(made.life.engine, id_, ASLEEP_FOR)
        await check_quiet(self.world)
        await self._check_alone()
        check_no_errors(self.world)
        self._require_unbroken()

    async def _check_alone(self) -> None:
        for host in self.world.hosts[1:]:
            host.stop()
        while any(host.alive for host in self.world.hosts[1:]):
            await self.world.sleep(0.1)
        await self._settle()
        await check_alone(self.world)

    def _check_moves(self, before: Mapping[int, Owned]) -> None:
        """I8: only as many shards have moved as had to."""
        after, hosts = owners(self.world), len(lives_up(self.world))
        gone = {owned.host for owned in before.values()} - {made.store.host for made in lives_up(self.world)}
        moved = [shard for shard, owned in after.items() if owned != before[shard]]
        if gone:
            needless = [shard for shard in moved if before[shard].host not in gone]
        else:
            needless = moved[-(-len(after) // hosts) :]
        twice = [shard for shard in moved if after[shard].epoch != before[shard].epoch + 1]
        if needless or twice:
            raise Broken("I8", f"shards {needless or twice} have moved and had not to: {dict(before)}, {dict(after)}")

    async def _settle(self) -> None:
        """I4, I8: all is owned, and evenly, and stays so."""
        world = self.world
        until_s = world.loop.time() + SETTLED_S
        while not (is_settled(world) and is_even(world)):
            self._require_unbroken()
            if world.loop.time() > until_s:
                raise Broken(
                    "I4", f"{SETTLED_S:.0f} s after the faults shards are not where they are to be: {picture(world)}"
                )
            await world.sleep(0.1)

    def _require_unbroken(self) -> None:
        if self.witness.broken is not None:
            raise self.witness.broken
