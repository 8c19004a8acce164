"""The invariants when a copy takes the server's place that lacks the last commits.

The rule: there is one prefix of history, and it is the same for all hosts. The witness goes back to the state of the
copy, and from then on all invariants hold of that: a host that goes on with what it has in memory breaks one of them.

What was acknowledged may be gone. Each host that goes on on the new server says of how many instances the last entry
that it has acknowledged is not there (`ACKNOWLEDGED_LOST`), and `Losses` counts the same.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest

from perdure.actors.cluster.leases.seen import Standing
from perdure.actors.store.contract import Write
from perdure.actors.store.postgres.cluster_store import PostgresClusterStore
from perdure.journal.vocabulary import ACKNOWLEDGED_LOST
from perdure.testing.simulation.hosts.host import SharingLife
from perdure.testing.simulation.hosts.world import HostsWorld
from perdure.testing.simulation.loop import HOST

from ..checks.broken import Broken
from ..invariants import Witness, WitnessKept


class Losses:
    """Goes back with the server, and counts acknowledged commits that were lost.

    Attributes:
        acknowledged: The number of instances whose last acknowledged entry is gone, as hosts report.
    """

    def __init__(self, world: HostsWorld, witness: Witness) -> None:
        self.acknowledged = 0
        self._world = world
        self._witness = witness
        self._kept: WitnessKept | None = None
        self._there = 0  # the commits that the copy had when it was behind
        # By life and key of the actor: the commit that has its newest acknowledged entry, its shard and the epoch.
        self._newest: dict[tuple[int, int], tuple[int, int, int]] = {}
        self._of_write: dict[int, int] = {}  # by the identity of what is written: which commit it is
        self._gone: list[range] = []  # the commits that were lost
        self._told: dict[int, int] = {}  # by life, what it has told of its loss
        world.database.when_behind.append(self._behind)
        world.database.when_lost.append(self._lost)
        world.seen.append(self._committed)
        world.acknowledged.append(self._acknowledged)
        witness.knows_less = self._knows_less
        witness.log.explained.append("the server that took over does not have the last acknowledged turn")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Compare the losses that hosts report until the block ends."""
        handler = _Told(self)
        logger = logging.getLogger("perdure")
        logger.addHandler(handler)
        resume, losses = PostgresClusterStore.resume, self

        async def resumed(self: PostgresClusterStore) -> bool:
            life = HOST.get()
            lost = losses._lost_of(life, dict(self._opened().epochs))
            losses._told.pop(life, None)
            went_on = await resume(self)
            if went_on:
                losses._check(life, lost)
            return went_on

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(PostgresClusterStore, "resume", resumed)
            try:
                yield
            finally:
                logger.removeHandler(handler)

    def told(self, found: int) -> None:
        """Take note of a loss that a host reports."""
        self.acknowledged += found
        self._told[HOST.get()] = found

    # The server.

    def _behind(self) -> None:
        self._kept, self._there = self._witness.kept(), self._world.database.core.ledger.commits

    def _lost(self, number: int) -> None:
        assert self._kept is not None
        self._witness.go_back(self._kept)
        self._kept = None
        self._gone.append(range(self._there + 1, self._world.database.core.ledger.commits + 1))
        self._world.touched()

    def _knows_less(self) -> bool:
        """Whether the host whose code runs has had no beat on the new server yet.

        Code may still take its first step in a host that has just found itself dead: anyio does not cancel a task that
        has not begun.
        """
        made = self._world.lives[HOST.get()]
        member = made.membership
        goes_on = member.standing is not Standing.JOINING
        return goes_on and member.timeline not in ("", self._world.database.core.timeline)

    # What was acknowledged.

    def _committed(self, made: SharingLife, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        commit = self._world.database.core.ledger.commits
        self._of_write.update((id(write), commit) for write in writes)

    def _acknowledged(self, made: SharingLife, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        for write in writes:
            place = made.life.number, write.key
            commit = self._of_write.pop(id(write))
            if write.reset or write.delete:
                self._newest.pop(place, None)
            if write.entry is not None:
                self._newest[place] = commit, write.shard, fences[write.shard]

    def _lost_of(self, life: int, epochs: Mapping[int, int]) -> int:
        """The number of actors whose newest entry that a life has acknowledged is gone.

        Args:
            epochs: The epochs of the shards that the life still has.
        """
        newest = [each for (owner, _), each in self._newest.items() if owner == life]
        return sum(
            epochs.get(shard) == epoch and any(commit in gone for gone in self._gone) for commit, shard, epoch in newest
        )

    def _check(self, life: int, lost: int) -> None:
        told = self._told.get(life, 0)
        if told != lost:
            self._witness.tell(
                Broken("I2", f"life {life} has told of {told} instances that lack what it had acknowledged, not {lost}")
            )


class _Told(logging.Handler):
    """Takes the losses that hosts report."""

    def __init__(self, losses: Losses) -> None:
        super().__init__(ACKNOWLEDGED_LOST.level)
        self._losses = losses

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", None) == ACKNOWLEDGED_LOST.event:
            self._losses.told(record.found)  # type: ignore[attr-defined]
