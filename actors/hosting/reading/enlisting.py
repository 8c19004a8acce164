"""Enlisting: writing the facets of actors that come from an earlier release without facets.

The rule: the host serves meanwhile. A batch is read, the actors' types make the facets, and the facets are written in
one commit; then the loop pauses for as long as the batch has taken. The store holds the progress, so that a restart
goes on there.

`actors/hosting/host.py` runs it once; in a store that this release has made there is nothing to do.
"""

from collections.abc import Mapping, Sequence

import anyio
import anyio.lowlevel

from ....journal.journal import Journal
from ....journal.vocabulary import INSTANCE_UNLISTED, LISTS_COMPLETE, LISTS_UNFILLED
from ...store.contract import Store, Unlisted
from ...store.errors import StoreGone, as_store_error
from ...store.listing import Facets
from ...text import described, type_name
from ...turn import ActorType


class Enlisting:
    """Fills the lists of a store.

    Args:
        types: The types of actors, by type of address; they make the facets.
        journal: Logs actors that no list can show, and a store that fails.
    """

    BATCH = 500  # a turn may wait for the commit of a batch: some milliseconds
    IN_A_ROW = 100  # actors between two breaks for other tasks: a millisecond
    RETRY_S = 5.0  # after a read or a commit that failed

    def __init__(self, store: Store, types: Mapping[str, ActorType], journal: Journal | None = None) -> None:
        self._journal = (journal or Journal()).at(__name__)
        self._store = store
        self._types = types

    async def run(self) -> None:
        """Write facets, until no actor without facets is left."""
        enlisted, began_at = 0, anyio.current_time()
        while True:
            batch_at = anyio.current_time()
            try:
                found = await self._store.unlisted(limit=self.BATCH)
                if not found:
                    break
                await self._store.enlist(await self._asked(found))
            except Exception as error:
                failure = as_store_error(error, "filling the lists")
                if isinstance(failure, StoreGone):
                    return  # the store has logged it
                self._journal.write(
                    LISTS_UNFILLED, pause_s=self.RETRY_S, reason=str(failure), error_type=type_name(failure)
                )
                await anyio.sleep(self.RETRY_S)
                continue
            enlisted += len(found)
            await anyio.sleep(anyio.current_time() - batch_at)
        if enlisted:
            took_s = anyio.current_time() - began_at
            self._journal.write(LISTS_COMPLETE, found=enlisted, took_s=took_s, duration_ms=round(took_s * 1e3))

    async def _asked(self, found: Sequence[Unlisted]) -> Sequence[tuple[Unlisted, Facets | None]]:
        asked: list[tuple[Unlisted, Facets | None]] = []
        for position, each in enumerate(found):
            asked.append((each, self._facets(each)))
            if position % self.IN_A_ROW == self.IN_A_ROW - 1:
                await anyio.lowlevel.checkpoint()
        return asked

    def _facets(self, unlisted: Unlisted) -> Facets | None:
        actor_type = self._types.get(unlisted.address.type)
        if actor_type is None:
            return None
        try:
            return actor_type.facets(unlisted.outside)
        except Exception as error:
            self._journal.write(
                INSTANCE_UNLISTED,
                exc_info=error,
                instance_id=unlisted.address.id,
                reason=described(error),
                error_type=type_name(error),
            )
            return None
