"""Enlisting: the facets of actors that an earlier release has written, which did not know any.

The rule: the host serves meanwhile. A batch is read, its types are asked, and its facets are written in one commit;
then the host rests for as long as the batch has taken. The store says how far it is, so that a restart goes on there.

`actors/hosting/host.py` runs it once; in a store that this release has made there is nothing to do.
"""

import logging
from collections.abc import Mapping, Sequence

import anyio
import anyio.lowlevel

from ..store.contract import Store, Unlisted
from ..store.errors import StoreGone, as_store_error
from ..store.listing import Facets
from ..turn import ActorType

logger = logging.getLogger(__name__)


class Enlisting:
    """Fills the lists of a store.

    Args:
        types: By type of address; what they say of an actor is what lists show of it.
    """

    BATCH = 500  # a turn waits for the commit of one: some milliseconds
    IN_A_ROW = 100  # actors between two breaks for other tasks: a millisecond
    RETRY_S = 5.0  # after a read or a commit that failed

    def __init__(self, store: Store, types: Mapping[str, ActorType]) -> None:
        self._store = store
        self._types = types

    async def run(self) -> None:
        """Fill the lists, until nothing is left."""
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
                    return  # the store has said so
                logger.error("the lists cannot be filled; it is tried again in %g s: %s", self.RETRY_S, failure)
                await anyio.sleep(self.RETRY_S)
                continue
            enlisted += len(found)
            await anyio.sleep(anyio.current_time() - batch_at)
        if enlisted:
            took_s = anyio.current_time() - began_at
            logger.info("the lists are complete: %d actors of an earlier release in %.1f s", enlisted, took_s)

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
        except Exception:
            logger.exception("%s is in no list: its type cannot say what it is listed by", unlisted.address)
            return None
