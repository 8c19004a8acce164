"""Recovery: waking the actors that had work in flight when the last host of their shard ended or gave the shard.

The rule: a few hundred are woken at a time, so that a host which takes over a million does not hold them all in memory.

`actors/hosting/host.py` runs it.
"""

from collections.abc import Callable
from itertools import islice

import anyio

from ...address import Address
from ...waiting.signal import Signal
from ..mailroom import Mailroom


class Recovery:
    """Wakes the actors in `Mailroom.unrecovered`.

    Args:
        may_wake: Whether an actor may be woken now; otherwise it stays in the queue.
    """

    BATCH = 512  # actors that are woken at once
    LOOK_S = 0.001  # how often the loader's line is checked: a batch takes milliseconds

    def __init__(self, mailroom: Mailroom, *, may_wake: Callable[[Address], bool] = lambda address: True) -> None:
        self._mailroom = mailroom
        self._may_wake = may_wake
        self._more = Signal()

    def go_on(self) -> None:
        """Check again which actors may be woken."""
        self._more.set()

    async def run(self) -> None:
        """Wake the actors in the queue, and later ones, until cancelled."""
        while True:
            await self.wake_all()
            await self._more.wait()

    async def wake_all(self) -> None:
        """Wake the actors in the queue that may be woken."""
        mailroom = self._mailroom
        while batch := list(islice(filter(self._may_wake, mailroom.unrecovered), self.BATCH)):
            for address in batch:
                mailroom.activate(address)
            while len(mailroom.loader) > 0:  # noqa: ASYNC110  milliseconds, for a batch
                await anyio.sleep(self.LOOK_S)
