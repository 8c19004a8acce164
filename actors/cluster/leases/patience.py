"""Patience with a store: a call that fails now is tried again.

The rule: a pause between two tries is short, and grows.

`actors/cluster/leased.py` and `actors/cluster/leases/work.py` call a store through it.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from ...store.errors import StoreError, StoreTooNew

logger = logging.getLogger(__name__)

RETRY_MIN_S, RETRY_MAX_S = 0.1, 1.0  # between two tries; doubled
TOLD_AFTER_S = 5.0  # of refusals: a start, or a shard of a host that is gone, would wait without a word

T = TypeVar("T")


async def patiently(work: Callable[[], Awaitable[T]], *, while_: Callable[[], bool] = lambda: True) -> T | None:
    """Call a function; call it again after a pause, as long as it raises an error of the store.

    Args:
        while_: Whether another try makes sense.

    Returns:
        The result of the call; None: `while_` has returned False.

    Raises:
        StoreTooNew: The store is too new for this release; another try would fail too.
    """
    pause_s = RETRY_MIN_S
    began, told = anyio.current_time(), False
    while while_():
        try:
            done = await work()
        except StoreTooNew:
            raise
        except StoreError as error:
            logger.debug("again in %.1f s: %s", pause_s, error)
            if not told and anyio.current_time() - began >= TOLD_AFTER_S:
                told = True
                logger.warning("hosts cannot agree on their shards, and try it again until they can: %s", error)
        else:
            if told:
                logger.warning("hosts can agree on their shards again")
            return done
        await anyio.sleep(pause_s)
        pause_s = min(2 * pause_s, RETRY_MAX_S)
    return None
