"""Lending: the messages of hosts about activities that are under way when a shard moves.

The rule: the giver names the activities that it goes on performing before the row of the shard names the new owner, so
that the new owner does not begin them as well. A lent job ends with its answer, with its instance, or with the host
that performs it: if that host has exited, or is cut off from this host, its answers do not count, and the job is begun
here.

The engine makes one where hosts share a store (`runtime/engine.py`); `actors/hosting/shards/hosted.py` calls it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import anyio

from ...actors.cluster.keeper import ShardSource
from ...actors.cluster.method import HostMethod
from ...actors.cluster.peers import AppPeers
from ..instance.message import ActivityDone, Withdraw
from ..workers.lent import LentJob, jobs_in, pack_jobs
from ..workers.lent_work import LentWork
from .actors import ActivityActors

WITHDRAW_LENT = HostMethod("withdraw-lent", (Withdraw,), None)

HAND_OVER_S = 2.0  # how long a host that stops waits for the receipts of others


def lending_of(
    activities: ActivityActors, work: LentWork, peers: AppPeers | None, source: ShardSource | None
) -> "Lending | None":
    """The lending of a host, where hosts share a store."""
    return Lending(activities, work, peers, source) if peers is not None and source is not None else None


class Lending:
    """The activities that other hosts perform for one host, and the ones that it performs for them.

    Args:
        work: The activities that workers perform.
        source: Says which other hosts are cut off from this one.
    """

    def __init__(self, activities: ActivityActors, work: LentWork, peers: AppPeers, source: ShardSource) -> None:
        self._activities = activities
        self._moving = activities.moving
        self._work = work
        self._peers = peers
        self._source = source
        activities.moving.tell_holder = lambda holder, message: peers.tell(holder, WITHDRAW_LENT, message)
        peers.answer(WITHDRAW_LENT, activities.withdraw)
        peers.watch(self._take_back)

    async def hand_over(self) -> None:
        """Wait until other hosts have the answers of activities performed for them: this host is about to leave."""
        with anyio.move_on_after(HAND_OVER_S):
            while self._peers.unreceived:  # noqa: ASYNC110  once, while stopping
                await anyio.sleep(0.005)

    def lent(self, has: Callable[[str], bool], waiting: Sequence[tuple[str, Any]], ring: str) -> Sequence[bytes]:
        """As `Sharing.lent`, for the actors of the app.

        Args:
            ring: Its ring.
        """
        me = self._source.me
        hosts = self._activities.hosts
        elsewhere = hosts.lend(has) if hosts is not None else ()
        lent = {job.address: job for job in (*self._moving.lend(has, me), *self._work.lend(has, me), *elsewhere)}
        for instance_id, body in waiting:
            if type(body) is ActivityDone:  # it was performed, and its answer goes on to the new owner
                job = LentJob(instance_id, body.execution_id, body.task_id, me, body.began_us)
                lent[job.address] = job
        return pack_jobs(lent.values(), ring)

    def borrowed(self, jobs: Sequence[bytes], ring: str) -> None:
        """As `Sharing.borrowed`; jobs of other rings belong to other apps."""
        # This host knows its own activities, and begins the activities of a host that has exited.
        lent = jobs_in(jobs, ring)
        self._moving.borrow([job for job in lent if not job.token and self._reaches(job.holder)])
        # A worker of this host may have a job of the giver. Whether the app has an activity is seen when it is
        # requested.
        me = self._source.me
        self._work.borrow([job for job in lent if self._reaches(job.holder) or (job.token and job.holder == me)])

    def keep(self, has: Callable[[str], bool]) -> None:
        """As `Sharing.kept`."""
        self._moving.keep(has)
        self._work.keep(has)
        if self._activities.hosts is not None:
            self._activities.hosts.keep(has)

    def _take_back(self) -> None:
        me = self._source.me
        self._moving.take_back(self._reaches)
        self._work.take_back(lambda holder: self._reaches(holder) or holder == me)

    def heard(self, body: Any) -> None:
        """As `Sharing.heard`."""
        if type(body) is ActivityDone:
            self._moving.answered(body)
            self._work.answered(body)

    def _reaches(self, holder: str) -> bool:
        return holder in self._peers.names and holder not in self._source.apart
