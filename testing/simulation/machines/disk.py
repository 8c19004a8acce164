"""The disk of a simulated machine: a store behind pauses and faults, which outlives the hosts.

The rule: a commit is on the disk as a whole or not at all; a kill around it does not change that.

Each place has a stream of choices of its own:

    store.open      the store does not open; the host has to begin again
    kill.starting   the host is killed as it opens the store, has opened it, or has claimed it
    kill.reading    it is killed when it has read, before it uses the answer
    store.slow      a commit takes its time
    store.fail      a commit fails, and nothing is written
    kill.before     the host is killed, and nothing is written
    kill.unheard    the host is killed; all is written, and no caller knows of it
    store.unknown   a commit fails and is written, or is not; only on request, as the contract of a store forbids it
    store.load, store.inspect, store.reminders   a read fails
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

from ....actors.address import Address
from ....actors.store.audit import AuditFilter, AuditPage
from ....actors.store.contract import Inspection, Reminder, Stored, Unlisted, Write
from ....actors.store.errors import StoreError, StoreFailed, StoreUncertain
from ....actors.store.listing import Counted, ListFilter, ListPage, Order
from ....actors.store.memory import MemoryStore
from ...passing_store import PassingStore
from ..choices import Choices
from ..life import LifeStore
from ..loop import never
from ..trace import WorldTrace

# How long a flush takes: the usual time first, then less with a cache that outlives power, and more on a busy drive.
FLUSH_S = (0.001, 0.000_020, 0.005, 0.1)
READ_S = 0.000_020
# The outcomes of a commit that fails, which its caller does not know.
THERE, NOT_THERE = 1, 2


# A method that some stores have beside `commit`: for a while the commit is on the disk already, and its caller does not
# know. The third argument is called at that time.
CommitTelling: TypeAlias = Callable[[Sequence[Write], Mapping[int, int], Callable[[], None]], Awaitable[None]]


class SimDisk(PassingStore):
    """A disk, as a store of one life after the other.

    Args:
        choices: Decide which calls fail.
        kill: Kills the host that has it open.
        committed: Called with the writes of each commit once they are on the disk, before its caller knows.

    Attributes:
        inner: The store that the present life has open, or is to open.
        unknown: Whether commits may fail with an unknown outcome.
        reads: The number of reads by hosts.
    """

    inner: LifeStore

    def __init__(
        self,
        choices: Choices,
        trace: WorldTrace,
        *,
        kill: Callable[[str], None],
        committed: Callable[[Sequence[Write]], None],
    ) -> None:
        super().__init__(MemoryStore())
        self._choices = choices
        self._trace = trace
        self._kill = kill
        self._committed = committed
        self.unknown = False
        self.commits = 0
        self.failed = 0
        self.reads = 0

    async def open(self) -> None:
        if self._choices.fault("store.open"):
            raise self._failed("does not open the store")
        await self._mortal("kill.starting", "it was about to open the store")
        with self._refusing("does not open the store"):
            await self.inner.open()
        await self._mortal("kill.starting", "it has just opened the store")

    async def claim(self, host: str, *, now_us: int) -> Mapping[int, int]:
        with self._refusing("does not let the store be claimed"):
            claimed = await self.inner.claim(host, now_us=now_us)
        await self._mortal("kill.starting", "it has just claimed the store")
        return claimed

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        await asyncio.sleep(FLUSH_S[self._choices.fault("store.slow", len(FLUSH_S))])
        if self._choices.fault("store.fail"):
            raise self._failed(f"does not take a commit of {len(writes)} writes")
        await self._mortal("kill.before", "a commit was about to be written")
        unknown = self._choices.fault("store.unknown", 3) if self.unknown else 0
        if unknown == NOT_THERE:
            raise self._failed(f"does not say whether it has a commit of {len(writes)} writes, and has not")
        with self._refusing(f"does not take a commit of {len(writes)} writes"):
            telling: CommitTelling | None = getattr(self.inner, "commit_telling", None)
            if telling is not None:
                await telling(writes, fences, partial(self._written, writes))
            else:
                await self.inner.commit(writes, fences)
                self._written(writes)
        await self._mortal("kill.unheard", "a commit is on the disk, and no caller knows of it")
        if unknown == THERE:
            raise self._failed(f"does not say whether it has a commit of {len(writes)} writes, and has it")

    def _written(self, writes: Sequence[Write]) -> None:
        self.commits += 1
        for write in writes:
            self._trace.bytes(f"{write.key} {write.address.id}", (write.record or b"") + b"|" + (write.entry or b""))
        self._committed(writes)

    async def load(self, addresses: Sequence[Address]) -> Sequence[Stored | StoreError | None]:
        await self._read("store.load")
        with self._refusing("does not answer"):
            found = await self.inner.load(addresses)
        await self._mortal("kill.reading", "it has just read, and has not used the answer")
        return found

    async def inspect(self, addresses: Sequence[Address]) -> Sequence[Inspection | StoreError | None]:
        await self._read("store.inspect")
        with self._refusing("does not answer"):
            return await self.inner.inspect(addresses)

    async def reminders(
        self,
        *,
        after: Reminder | None,
        limit: int,
        until: Reminder | None = None,
        shards: Collection[int] | None = None,
    ) -> Sequence[Reminder]:
        await self._read("store.reminders")
        return await self.inner.reminders(after=after, limit=limit, until=until, shards=shards)

    # Reads that neither fail nor take time.

    async def ids(self, actor_type: str, *, after: str | None, limit: int) -> Sequence[str]:
        self.reads += 1
        return await self.inner.ids(actor_type, after=after, limit=limit)

    async def active(self, shards: Collection[int] | None = None) -> Sequence[Address]:
        self.reads += 1
        return await self.inner.active(shards)

    async def list(
        self, actor_type: str, wanted: ListFilter, *, order: Order, cursor: str | None, limit: int
    ) -> ListPage:
        self.reads += 1
        return await self.inner.list(actor_type, wanted, order=order, cursor=cursor, limit=limit)

    async def count(self, actor_type: str, wanted: ListFilter, *, by: Sequence[str]) -> Counted:
        self.reads += 1
        return await self.inner.count(actor_type, wanted, by=by)

    async def audit(self, wanted: AuditFilter, *, cursor: str | None, limit: int) -> AuditPage:
        self.reads += 1
        return await self.inner.audit(wanted, cursor=cursor, limit=limit)

    async def unlisted(self, *, limit: int) -> Sequence[Unlisted]:
        self.reads += 1
        return await self.inner.unlisted(limit=limit)

    async def _read(self, stream: str) -> None:
        self.reads += 1
        await asyncio.sleep(READ_S)
        if self._choices.fault(stream):
            raise self._failed("does not answer")

    async def _mortal(self, stream: str, why: str) -> None:
        if self._choices.fault(stream):
            self._kill(why)
            await never()

    @contextmanager
    def _refusing(self, what: str) -> Iterator[None]:
        """Count the calls that the store itself refuses."""
        try:
            yield
        except (StoreFailed, StoreUncertain):
            self._failed(what)
            raise

    def _failed(self, what: str) -> StoreFailed:
        self.failed += 1
        self._trace.tell(asyncio.get_running_loop().time(), "disk", what, fault=True)
        return StoreFailed(f"the simulated disk {what}")
