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
from ..checks.rest import check_asleep, check_no_errors
from ..doors import EMBEDDED, Doors
from ..invariants import STANDINGS
from ..programs import STAGE, Program, a_program, app_of
from ..side import Side
from ..story.fates import ASLEEP_FOR, KINDS, Fate, Living
from .again import LivingAgain
from .apps import TwoHostedApps
from .losses import Losses
from .poison import POISONED, LivingPoison, Poisons, add_poison
from .quiet import REST_S, check_alone, check_hosts, check_quiet
from .rollout import STEPS, LivingNewer, Rollout, a_newer_fate, add_newer
from .rows import Owned, blocks, is_even, is_settled, lives_up, owners, picture
from .witness import HostsWitness

# How many hosts a world has; the first is the usual number.
HOSTS = (3, 2, 4)
# After the faults each shard is open at its owner within this, and evenly: a host that was killed over and over stays
# away for up to 160 s.
SETTLED_S = 240.0
# Statements that hosts sent before the faults ended have reached the database after this, also those of a killed host:
# its join is a row without a host, which the others find dead once more.
UNDER_WAY_S = max(FLUSHES_S) + VERY_LATE_S


def _app(*, newer: bool = False) -> App:
    app = app_of(STAGE.world, STAGE.performing, newer=newer, more={**STEPS, **POISONED})
    add_poison(app)
    if newer:
        add_newer(app)
    return app


# Made here, so that it is not made while a bug is planted.
OLDER, NEWER = _app(), _app(newer=True)


class HostsScenario(BaseScenario):
    """Runs one world of several hosts.

    Args:
        hosts: Their number; None: chance chooses.
        may_lose: A copy may take the database's place that lacks the last commits. Then all instances are left
            alone, and begun again where they may be gone.
        instances_max, fates, program, programs, standings, rests, savers: As for `Scenario`.
        poisons: The number of further instances that end each host that runs them, until they are set aside.
        newer: The number of further instances that need newer code, which comes to one host after the other.
        apps: There are two apps that call each other, and each host has one of them or both.
        activations_max: How many actors a host keeps in memory, where chance does not say otherwise.
        rest_s: For how long hosts are watched at rest; virtual seconds.
        begins_empty: Whether the first host makes the tables of the database; otherwise they are there.
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
        apps: bool = False,
        rest_s: float = REST_S,
        begins_empty: bool = True,
        keep: bool = False,
    ) -> None:
        two = TwoHostedApps(choices, lambda: self.world, standings=standings) if apps else None
        super().__init__(choices, standings=standings, rests=rests, two=two)
        self.hosted, self._rest_s = two, rest_s
        self.poisons = Poisons(self.witness)
        versions = [two.apps[0] if two is not None else OLDER]
        self.rollout: Rollout | None = None
        if newer:
            versions.append(NEWER)
            self.rollout = Rollout(*versions)
        self.world = HostsWorld(
            versions,
            choices,
            number=hosts or HOSTS[choices.draw("world.hosts", len(HOSTS))],
            settings=Knobs(Settings(activities_max=100, stop_grace_s=1.0, activations_max=activations_max), choices),
            trace=WorldTrace(keep=keep),
        )
        self.hosts_witness = HostsWitness(self.world, self.witness)
        self.poisons.watch(self.world)
        self.world.database.may_lose = may_lose
        if not begins_empty:
            now_us = self.world.clock.now_us()
            self.world.database.make_tables(shards=self.world.shards, now_us=now_us, apps=(versions[0].name,))
        self.losses = Losses(self.world, self.witness) if may_lose else None
        self.sides = (
            two.sides() if two is not None else [Side(self.world, self.witness, Doors(self.world, (EMBEDDED,)))]
        )
        if two is not None:
            self.world.hosted = two.hosted
            fates, programs = two.fates(fates), two.program
        elif may_lose:
            fates = KINDS[:1]
        self.livings = [
            *(each for side in self.sides for each in self._fated(fates, program, programs, instances_max, side)),
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

    def _living(self, fate: Fate, sendings: Counter[str], side: Side) -> Living:
        if self.losses is None:
            return super()._living(fate, sendings, side)
        return LivingAgain(self.world, self.witness, fate, sendings, side.doors)

    def strikes(self, id_: str) -> bool:
        return self.poisons.strikes(id_)

    def _newer(self, number: int) -> LivingNewer:
        assert self.rollout is not None
        fate = a_newer_fate(self.choices, number)
        return LivingNewer(self.world, self.witness, fate, Counter(), self.sides[0].doors, self.rollout.is_known)

    def _poison(self, number: int) -> LivingPoison:
        fate = self.poisons.fate(self.choices, number)
        return LivingPoison(self.world, self.witness, fate, Counter(), self.sides[0].doors, self.poisons)

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
            if self.hosted is not None:
                tasks.create_task(self.hosted.come(self.world))
            await super()._story(world)

    async def _rest(self) -> None:
        while self._is_under_way():
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
        for side in self.sides:
            side.witness.check_all_ended(asleep=self._asleep)
        for saver in self.savers:
            await saver.look()
        await check_hosts(self.world, asleep=self._asleep)
        made = lives_up(self.world)[0]
        # A sleeping instance has its mark as long as it is in memory, and a shard that is given takes it along.
        await self._check_contents(made.store, marked=self._asleep)
        for id_ in self._asleep:
            assert made.life.engine is not None
            await check_asleep(made.life.engine, id_, ASLEEP_FOR)
        await check_quiet(self.world, self._rest_s)
        await self._check_alone()
        check_no_errors(self.world)
        self._require_unbroken()

    def _is_under_way(self) -> bool:
        """Whether newer code, or another app, is still on its way to some host."""
        rolls = self.rollout is not None and not self.rollout.over
        return rolls or (self.hosted is not None and self.hosted.is_coming)

    async def _check_alone(self) -> None:
        for host in self.world.hosts[1:]:
            host.stop()
        while any(host.alive for host in self.world.hosts[1:]):
            await self.world.sleep(0.1)
        await self._settle()
        await check_alone(self.world, self._rest_s)

    def _check_moves(self, before: Mapping[int, Owned]) -> None:
        """I8: only shards that had to move have moved."""
        after = owners(self.world)
        up = {made.store.host for made in lives_up(self.world)}
        # A shard whose app no host has has no owner: it has not moved yet, and the first host with the app gets it.
        had = {shard: owned.host for shard, owned in before.items() if owned.host is not None}
        moved = [shard for shard, owned in after.items() if owned != before[shard] and owned.host is not None]
        if gone := {*had.values()} - up:
            needless = [shard for shard in moved if shard in had and had[shard] not in gone]
        else:
            left = [shard for shard in moved if shard in had]
            needless = [shard for own in blocks(self.world) for shard in own.more_than_a_share(left)]
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
