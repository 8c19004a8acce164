"""The store of one life of a host: the store that hosts share on PostgreSQL, with the stand-in for a server.

The rule: a commit is checked when the server has just done it, before any host knows of it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from ....actors.instruments import Instruments
from ....actors.store.contract import Write
from ....actors.store.postgres.cluster_store import PostgresClusterStore
from ..machines.database.machine import URL, SimDatabase
from ..machines.database.sessions import TOLD, Tell

# How long a host waits for its database.
PATIENCE_S = 30.0

# Called with a commit and the epochs for which it was made.
CommitSeen: TypeAlias = Callable[[Sequence[Write], Mapping[int, int]], None]


class LifeClusterStore(PostgresClusterStore):
    """The store of one life.

    Args:
        committed: Called with each commit, once the server has done it.
        acknowledged: Called with each commit, once this life knows that it is done.

    Attributes:
        link: The network between this life and the server.
    """

    def __init__(
        self,
        database: SimDatabase,
        instruments: Instruments,
        *,
        shards: int,
        committed: CommitSeen,
        acknowledged: CommitSeen,
        tell: Tell,
    ) -> None:
        self.link = database.link(tell)
        self._seen = committed
        self._acknowledged = acknowledged
        super().__init__(URL, shards=shards, patience_s=PATIENCE_S, driver=self.link, instruments=instruments)

    async def commit_telling(
        self, writes: Sequence[Write], fences: Mapping[int, int], told: Callable[[], None]
    ) -> None:
        """Commit; `told` is called once the commit is done, before any host knows of it."""
        token = TOLD.set(partial(self._done, writes, fences, told))
        try:
            await self.commit(writes, fences)
        finally:
            TOLD.reset(token)
        self._acknowledged(writes, fences)

    def _done(self, writes: Sequence[Write], fences: Mapping[int, int], told: Callable[[], None]) -> None:
        self._seen(writes, fences)
        told()

    def abandon(self) -> None:
        """Cut the connections of the process, as the operating system does when one is killed."""
        self.link.abandon()
