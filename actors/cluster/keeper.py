"""The keeper of shards: a membership notifies it of the shards that come to a host and leave it.

The rule: the membership decides which host owns a shard, and the store records it; the keeper carries it out in the
host. All methods are called in the host's event loop, and only `close` waits.

A membership whose hosts share a store calls it; `actors/hosting/shards/hosted.py` implements it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from anyio.abc import TaskStatus

from .placement import Ownership


class ShardKeeper(Protocol):
    """Keeps the shards of one host.

    As far as this host knows, a shard is *unowned*, *another host's*, or this host's. A shard of this host is *opening*
    until its actors with work in flight are known, then *open*, and *closed* while it is being given away. A message
    for a shard that is unowned, opening or closed waits.
    """

    def rings(self, rings: Mapping[str, int]) -> None:
        """Take in the rings of the store and their numbers. Messages that wait for a new ring are sent to it."""
        ...

    def opened(
        self, epochs: Mapping[int, int], jobs: Sequence[bytes] = (), *, lost: Collection[int] = frozenset()
    ) -> None:
        """Take over shards that this host owns now: recover them, and fire their reminders.

        Args:
            epochs: Shard -> epoch.
            jobs: The activities that go on elsewhere for their actors, as returned by `close` at the host that has
                given the shards.
            lost: The shards among them whose owner has died. The others were given, or were unowned.
        """
        ...

    async def close(self, shard: int) -> Sequence[bytes]:
        """Take no more turns for the actors of a shard, and wait until its last commit is over.

        Returns:
            The activities that go on for its actors, here or on the hosts that run them for this one, for the next
            owner.

        Raises:
            StoreUncertain: A commit is in doubt. The shard stays closed; call it again.
        """
        ...

    def reopened(self, shard: int) -> None:
        """Open a closed shard again, because it is not given after all."""
        ...

    def given(self, shard: int, owner: Ownership) -> None:
        """Drop a closed shard, which another host owns now. Messages that wait for it go to the owner."""
        ...

    def moved(self, owners: Mapping[int, Ownership | None]) -> None:
        """Take in that shards of other hosts have other owners, or no owner.

        Watches of their actors are lost, and messages that wait for these actors go to the new owner.
        """
        ...

    def set_serving(self, serving: bool) -> None:
        """Set whether this host may answer from memory and take turns.

        It may not if its last beat was too long ago: then callers wait. Commits that are under way go on.
        """
        ...

    def abandon(self) -> None:
        """Drop all actors in memory, as in a host that has just started: this host is dead for the others.

        Callers get `HostLost`. Activities that run here are cancelled if possible. Afterwards no owner of any shard is
        known: `moved` reports them all anew.
        """
        ...


class ShardSource(Protocol):
    """The membership of hosts that share a store, which gives shards to this host's keeper and takes them away."""

    @property
    def me(self) -> str:
        """This host's own name in the placement table. The name changes when this host joins again."""
        ...

    @property
    def may_answer(self) -> bool:
        """Whether this host's last sign of life is recent enough for its memory to be valid."""
        ...

    @property
    def alone(self) -> bool:
        """Whether no other host has joined the store."""
        ...

    @property
    def apart(self) -> Collection[str]:
        """The names of other living hosts that cannot exchange messages with this one."""
        ...

    async def run(self, keeper: ShardKeeper, *, task_status: TaskStatus[None]) -> None:
        """Join, and give shards to the keeper, until cancelled. Started once the host owns the first shards."""
        ...

    async def leave(self, within_s: float) -> None:
        """Give all shards to other hosts, if there are any, or as many as `within_s` allows."""
        ...
