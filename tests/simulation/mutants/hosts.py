"""Mutants of hosts that share a database: shards owned, given and taken, hosts judged, messages between hosts.

Those of I2 are found by E1 and E13, those of I3 by E5 and E13.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest

from perdure.actors.cluster.leased import LeasedMembership
from perdure.actors.cluster.leases import judging, plan
from perdure.actors.cluster.leases.judging import BeatTable
from perdure.actors.cluster.leases.life import HostLife
from perdure.actors.cluster.leases.work import LeaseWork
from perdure.actors.cluster.outbound import Outbound
from perdure.actors.cluster.peers import Peers
from perdure.actors.hosting.committer import Committer
from perdure.actors.hosting.host import Host
from perdure.actors.hosting.reading.outsides import Outsides
from perdure.actors.hosting.shards.gate import ShardGate
from perdure.actors.hosting.shards.hosted import HostedShards
from perdure.actors.store.postgres.driver import Lost
from perdure.actors.store.postgres.presence import PostgresBeater
from perdure.actors.store.postgres.writer import Writer
from perdure.actors.store.presence.acknowledged import Acknowledged
from perdure.actors.store.presence.beats import Beats
from perdure.actors.store.presence.heart import BeatingHeart
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.machines.database.backend import Scene
from perdure.testing.simulation.machines.database.statements import committing
from perdure.testing.simulation.machines.database.work import Waiting

from ..programs import Program
from .catalogue import mutant

# Faults that move shards often, without much beside them.
MOVES = {"host.leave": 0.1, "hosts.roll": 0.05, "kill.between": 0.03}
# Long work at a store, so that other work comes in between.
SLOW_COMMITS = {"store.slow": 0.3, "database.slow": 0.05}
# A host alone is away from the database, and the others are well and take what it had.
ONE_AWAY = {
    "host.away": 0.03,
    **dict.fromkeys(("host.pause", "host.leave", "hosts.roll", "kill.between"), 0.0),
    **dict.fromkeys((f"database.{each}" for each in ("behind", "away", "deaf", "frozen", "restart", "failover")), 0.0),
}
# The database is away for all hosts, and nothing else happens that would explain a kill.
NOTHING_ELSE = (
    *(f"database.{each}" for each in ("behind", "commit", "connect", "cut", "deaf", "failover", "flush", "frozen")),
    *("database.late", "database.restart", "database.slow", "database.unheard", "host.away", "host.deaf", "host.leave"),
    *("host.pause", "hosts.apart", "hosts.roll", "store.fail", "store.slow", "timer.late"),
    *(f"kill.{each}" for each in ("before", "begun", "between", "effect", "recovering", "starting", "unheard")),
)
OUTAGES = {**dict.fromkeys(NOTHING_ELSE, 0.0), "database.away": 0.1}


def children(choices: Choices) -> Program:
    """Programs that send messages to actors in other shards, and end."""
    return [["child", [["work", 2]], 0], ["nap", 0.2]] * 6


def no_fence(scene: Scene, *arguments: Any) -> Waiting[bool]:
    """As if a statement had no fence."""
    yield from ()
    return True


# I1: of two hosts at most one commits for a shard.


# A commit that is long on its way to the disk would meet that of the next owner there, and break E1 first.
@mutant(
    "I1", "E3", "E15", kind="hosts", within=20, rates={"host.away": 0.1, "database.commit": 0.1, "database.flush": 0.0}
)
def commits_have_no_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(committing, "passes_fence", no_fence)


@mutant("I1", "E16", kind="hosts", within=30, rates={**MOVES, **SLOW_COMMITS})
def a_shard_is_given_before_its_last_commit_is_over(patch: pytest.MonkeyPatch) -> None:
    async def settled(self: Committer, shard: int) -> None:
        """As if no commit were under way."""

    patch.setattr(Committer, "settled", settled)


@mutant(
    "I1",
    "E16",
    kind="hosts",
    within=20,
    rates={**MOVES, **SLOW_COMMITS, "host.leave": 0.3, "database.slow": 0.3},
    activations_max=1,
    programs=children,
    fates=("left alone",),
    rests=False,
)
def a_mark_is_retired_while_its_shard_is_closed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Host, "_retire", lambda self, activation: self._committer.retire(activation, self.clock.now_us()))


# I4: nothing waits for ever.


@mutant("I4", kind="hosts", within=60, rates={"hosts.apart": 0.03}, instances_max=1)
def a_cut_is_never_taken_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(HostLife, "cut_in_vain", property(lambda self: False))


@mutant("I4", "E10", "E13", kind="hosts", within=12, rates={"kill.between": 0.1})
def no_host_takes_the_shards_of_the_dead(patch: pytest.MonkeyPatch) -> None:
    original = LeaseWork._take

    async def take(self: LeaseWork) -> None:
        if all(owner is None for owner in self._life.table.owners.values()):
            await original(self)

    patch.setattr(LeaseWork, "_take", take)


@mutant("E10", "E13", kind="hosts", within=20, rates=MOVES)
def watches_do_not_follow_a_shard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Outsides, "lose", lambda self, shards: None)


@mutant("E10", "E13", "E11", "E12", "I4", kind="hosts", within=20, rates={"kill.between": 0.1, "wire.slow": 0.1})
def messages_to_the_last_owner_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Peers, "recall", lambda self, wanted: [])
    retire = Outbound.retire

    def retired(self: Outbound) -> None:
        self.posted.clear()
        retire(self)

    patch.setattr(Outbound, "retire", retired)


@mutant("E10", "E11", "E13", "E1", kind="hosts", within=12, rates={"kill.between": 0.1})
def a_shard_that_comes_is_not_recovered(patch: pytest.MonkeyPatch) -> None:
    original = HostedShards._open

    def opened(self: HostedShards, epochs: Mapping[int, int], marked: Sequence[Any]) -> None:
        original(self, epochs, ())

    patch.setattr(HostedShards, "_open", opened)


# I5: a host without a beat answers nothing from memory.


def naps(choices: Choices) -> Program:
    """Programs that stay in memory, and change each second."""
    return [["nap", 1]] * 12


@mutant("I5", "E13", kind="losing", within=20, rates=ONE_AWAY, programs=naps)  # its callers read all the time
def a_host_answers_without_a_beat(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LeasedMembership, "may_answer", property(LeasedMembership._lives))


# I6: no living host is killed.


@mutant("I6", kind="hosts", rates=OUTAGES, instances_max=2, rests=False)
def a_host_without_an_answer_judges_all_the_same(patch: pytest.MonkeyPatch) -> None:
    def heard(self: BeatTable, beat: Any) -> None:
        self._last = beat
        if beat.beats is not None:
            self._numbers = {
                host: known if (known := self._numbers.get(host)) and known[0] == number else (number, beat.answered_at)
                for host, number in beat.beats.seen.items()
                if host != self._me
            }

    patch.setattr(BeatTable, "heard", heard)


@mutant("I6", kind="hosts")
def a_second_without_a_beat_is_death(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(judging, "DEAD_S", 0.4)


# I7: hosts at rest do nothing but beat.


@mutant("I7", kind="hosts")
def a_host_reads_the_members_with_each_beat(patch: pytest.MonkeyPatch) -> None:
    original = LeasedMembership._hear

    def hear(self: LeasedMembership, life: HostLife, beat: Any, keeper: Any) -> None:
        original(self, life, beat, keeper)
        life.stale = True

    patch.setattr(LeasedMembership, "_hear", hear)


@mutant("I7", kind="hosts")
def a_host_that_is_alone_beats(patch: pytest.MonkeyPatch) -> None:
    def alone(self: BeatingHeart, value: bool) -> None:
        """Forget it."""

    patch.setattr(BeatingHeart, "_alone", property(lambda self: False, alone), raising=False)


# I8: moves are even, few, and end.


@mutant("I8", "I4", kind="hosts")
def the_plan_deals_all_shards_anew(patch: pytest.MonkeyPatch) -> None:
    def dealt_anew(owners: Mapping[int, int | None], living: Any, cuts: Collection[Any] = ()) -> dict[int, int]:
        takers = sorted(plan.takers_of(living, cuts))
        dealt = {shard: takers[shard % len(takers)] for shard in owners} if takers else {}
        return {shard: to for shard, to in dealt.items() if owners[shard] != to}

    patch.setattr(plan, "plan", dealt_anew)


@mutant("I4", kind="hosts")
def a_host_that_stays_gives_nothing(patch: pytest.MonkeyPatch) -> None:
    original = LeaseWork._gifts

    def gifts(self: LeaseWork) -> dict[int, tuple[int, float]]:
        return original(self) if self._life.states.get(self._life.me) else {}

    patch.setattr(LeaseWork, "_gifts", gifts)


# I2, I3: acknowledged changes are there, and effects follow their commit.


@mutant("E1", "E13", "E5", "E10", kind="hosts", rates={"database.commit": 0.2})
def a_commit_without_an_answer_counts_as_done(patch: pytest.MonkeyPatch) -> None:
    original = Writer._send_commit

    async def send(self: Writer, *given: Any) -> bool:
        try:
            return await original(self, *given)
        except Lost:
            return True

    patch.setattr(Writer, "_send_commit", send)


# The messages of hosts.


@mutant("E13", "E10", "E12", "E1", kind="hosts", within=20, rates=MOVES)
def messages_that_wait_for_a_shard_are_dropped(patch: pytest.MonkeyPatch) -> None:
    def let_go(self: ShardGate, shard: int, before: Any = ()) -> None:
        self.room.take(shard)
        self.settle()

    patch.setattr(ShardGate, "let_go", let_go)


# A server that has lost commits: hosts have one prefix of history, and report lost commits.

# Not much else happens, so that hosts live through it.
LOSSES = {
    "database.behind": 0.1,
    **dict.fromkeys(("database.failover", "database.restart", "database.away", "database.frozen"), 0.0),
    **dict.fromkeys(("host.pause", "host.leave", "hosts.roll", "host.away", "host.deaf", "kill.between"), 0.0),
}


@mutant("E1", "E2", "E3", "E5", "E7", "E10", "E11", "E13", "E15", "E16", "I1", "I2", "I5", kind="losing", rates=LOSSES)
def a_host_goes_on_from_memory_on_a_server_that_has_lost_commits(patch: pytest.MonkeyPatch) -> None:
    beat = PostgresBeater.beat

    async def beaten(self: PostgresBeater, *, alone: bool) -> Beats:
        return (await beat(self, alone=alone))._replace(timeline="the same")

    def learn(self: Writer, presence: Any, timeline: str) -> None:
        self._timeline = timeline

    patch.setattr(PostgresBeater, "beat", beaten)
    patch.setattr(Writer, "_require_timeline", learn)


@mutant("I2", kind="losing", rates=LOSSES)
def no_host_reports_lost_acknowledged_turns(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Acknowledged, "under", lambda self, epochs: [])
