"""The disk of a simulated machine: a store in memory behind pauses and faults, which outlives the hosts.

The one law: a commit is on the disk or it is not, as a whole; what dies around it does not change which.

Each commit has three places at which its host can be killed or refused, each a stream of choices of its own:

    store.fail    the commit fails, and nothing is there
    kill.before   the host is killed, and nothing is there
    kill.unheard  the host is killed; all is there, and nobody has heard of it
"""

from collections.abc import Callable, Mapping, Sequence

import anyio

from ....actors.address import Address
from ....actors.store.contract import Inspection, Reminder, Stored, Write
from ....actors.store.errors import StoreError, StoreFailed
from ....actors.store.memory import MemoryStore
from ...passing_store import PassingStore
from ..choices import Choices
from ..loop import never
from ..trace import WorldTrace

# How long a flush takes: the usual time first, then less with a cache that outlives power, and more on a busy drive.
FLUSH_S = (0.000_200, 0.000_020, 0.005, 0.1)
READ_S = 0.000_020


class SimDisk(PassingStore):
    """A disk, as a store of one life after the other.

    Args:
        inner: Holds what is on it.
        choices: Say what fails.
        kill: Kills the host that has it open.
        committed: Called with the writes of each commit once they are on the disk, before anybody hears of it.
    """

    inner: MemoryStore

    def __init__(
        self,
        inner: MemoryStore,
        choices: Choices,
        trace: WorldTrace,
        *,
        kill: Callable[[str], None],
        committed: Callable[[Sequence[Write]], None],
    ) -> None:
        super().__init__(inner)
        self._choices = choices
        self._trace = trace
        self._kill = kill
        self._committed = committed
        self.commits = 0
        self.failed = 0

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        await anyio.sleep(FLUSH_S[self._choices.fault("store.slow", len(FLUSH_S))])
        if self._choices.fault("store.fail"):
            self._tell_failed(f"does not take a commit of {len(writes)} writes")
            raise StoreFailed("the simulated disk is full")
        if self._choices.fault("kill.before"):
            self._kill("a commit was about to be written")
            await never()
        await self.inner.commit(writes, fences)
        self.commits += 1
        for write in writes:
            self._trace.bytes(f"{write.key} {write.address.id}", (write.record or b"") + b"|" + (write.entry or b""))
        self._committed(writes)
        if self._choices.fault("kill.unheard"):
            self._kill("a commit is on the disk, and nobody has heard of it")
            await never()

    async def load(self, addresses: Sequence[Address]) -> Sequence[Stored | StoreError | None]:
        await self._read("store.load")
        return await self.inner.load(addresses)

    async def inspect(self, addresses: Sequence[Address]) -> Sequence[Inspection | StoreError | None]:
        await self._read("store.inspect")
        return await self.inner.inspect(addresses)

    async def reminders(self, *, after: Reminder | None, limit: int) -> Sequence[Reminder]:
        await self._read("store.reminders")
        return await self.inner.reminders(after=after, limit=limit)

    async def _read(self, stream: str) -> None:
        await anyio.sleep(READ_S)
        if self._choices.fault(stream):
            self._tell_failed("does not answer")
            raise StoreFailed("the simulated disk does not answer")

    def _tell_failed(self, what: str) -> None:
        self.failed += 1
        self._trace.tell(anyio.current_time(), "disk", what, fault=True)
