"""The keeper of shards, which a membership tells of the shards that come to a host and leave it.

The rule: the membership decides who owns a shard, and the store knows; the host does what follows from it. All methods
are called in the host's event loop, and none of them but `close` waits.

A membership whose hosts share a store calls it, and `actors/hosting/shards/hosted.py` is one.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from anyio.abc import TaskStatus

from .placement import Ownership


class ShardKeeper(Protocol):
    """Keeps the shards of one host.

    A shard is *nobody's* as far as this host knows, *another's*, or this host's; this host's is *opening* until its
    actors with work in flight are known, then *open*, and *closed* while it is being given away. A message for a shard
    that is nobody's, opening or closed waits.
    """

    def rings(self, rings: Mapping[str, int]) -> None:
        """These are the rings of the store, with their numbers. Messages that wait for a new one go there."""
        ...

    def opened(self, epochs: Mapping[int, int], jobs: Sequence[bytes] = ()) -> None:
        """Shards are this host's now. It recovers them, and fires their reminders.

        Args:
            epochs: Shard -> epoch.
            jobs: The activities that go on elsewhere for their actors, as `close` has returned it at the host that gave
                them.
        """
        ...

    async def close(self, shard: int) -> Sequence[bytes]:
        """Take no more turns for the actors of a shard, and wait until its last commit is over.

        Returns:
            The activities that go on for its actors, here or on the host from which this one has them, for the next
            owner.

        Raises:
            StoreUncertain: A commit is in doubt. The shard stays closed; call it again.
        """
        ...

    def reopened(self, shard: int) -> None:
        """A shard that was closed is not given after all."""
        ...

    def given(self, shard: int, owner: Ownership) -> None:
        """A shard that was closed is another host's now. Messages that wait here for it go there."""
        ...

    def moved(self, owners: Mapping[int, Ownership | None]) -> None:
        """Shards that are not this host's have other owners, or none.

        Watches of their actors are lost, and what waits for them goes to the new owner.
        """
        ...

    def set_serving(self, serving: bool) -> None:
        """Say whether this host may answer from memory and take turns.

        Not while it has not beaten for too long: then callers wait. Commits that are under way go on.
        """
        ...

    def abandon(self) -> None:
        """This host is dead for the others: drop all that is in memory, and be as one that has just begun.

        Callers get `HostLost`. Activities that run here are cancelled if they can be. No owner of any shard is known
        afterwards: `moved` tells them all anew.
        """
        ...


class ShardSource(Protocol):
    """The membership of hosts that share a store, as it gives shards to this host's keeper and takes them away."""

    @property
    def me(self) -> str:
        """This host's own name in the placement table. It is another one after this host has joined again."""
        ...

    @property
    def may_answer(self) -> bool:
        """Whether this host has shown so recently that it lives that its memory counts."""
        ...

    @property
    def alone(self) -> bool:
        """Whether no other host has joined the store."""
        ...

    @property
    def apart(self) -> Collection[str]:
        """The names of other hosts that live, and between which and this one nothing can be told."""
        ...

    async def run(self, keeper: ShardKeeper, *, task_status: TaskStatus[None]) -> None:
        """Join, and give shards to the keeper, until cancelled. Started once the first of them are its own."""
        ...

    async def leave(self, within_s: float) -> None:
        """Give all shards to other hosts, if there are any, or as many as that time allows."""
        ...
