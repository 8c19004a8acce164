"""The loop that logs how many lines the log has left out.

The rule: while no line is left out, the loop does nothing.

`actors/hosting/host.py` runs it.
"""

import anyio

from ...journal.journal import FLUSH_S, Journal
from ..waiting.signal import Signal


class LeftOut:
    """Flushes a journal while it has counts to write."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._some = Signal()
        journal.on_left_out(self._some.set)

    async def run(self) -> None:
        """Write counts when their time has come, until cancelled."""
        while True:
            await self._some.wait()
            while self._journal.flush():  # noqa: ASYNC110  only while lines are left out
                await anyio.sleep(FLUSH_S)
