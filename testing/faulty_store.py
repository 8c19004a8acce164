"""A store that fails on demand, for tests of the failures of stores.

The rule: a call that it makes fail does not reach the store behind it. It
passes on all other calls unchanged.

Tests of this package use it, and so can tests of programs that embed an engine.
"""

from collections.abc import Collection, Mapping, Sequence

import anyio

from ..actors.address import Address
from ..actors.errors import PerdureError
from ..actors.store.contract import FoundItems, Inspection, Reminder, Store, Stored, Write
from ..actors.store.errors import StoreDamaged, StoreError, StoreFailed
from .passing_store import PassingStore

# The methods of a store that do something, and can fail.
CALLS = ("open", "close", "claim", "commit", "load", "inspect", "items", "ids", "active", "reminders")


class FaultyStoreMisuse(PerdureError):
    """A test requests a fault that the store cannot make."""


class FaultyStore(PassingStore):
    """`inner`, with faults, gates and counters.

        store = FaultyStore(MemoryStore())
        store.hold()               # a commit stays under way ...
        await store.held()         # ... wait until one is
        store.fail_next_commit()   # it is the one that will fail
        store.release()

    The counters count the calls that got past the gate, including the ones that then failed.

    Any call can be made to fail, by its name or by its place among all calls:

        store.fail("claim")
        store.fail_any(3, last=True)  # the third call from now on, and all that follow: the disk is gone

    Args:
        inner: The store behind it.

    Attributes:
        calls: The names of all calls so far, in order.
    """

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.commits = 0
        self.writes = 0  # of all commits together
        self.loads = 0
        self.inspects = 0
        self.calls: list[str] = []
        self._faults = {name: CallFaults(name) for name in CALLS}
        self._any_faults = CallFaults("call")
        self._damaged: dict[Address, StoreDamaged] = {}
        self._commit_gate = Gate()
        self._load_gate = Gate()

    # A test calls these.

    def fail(self, name: str, nth: int = 1, *, last: bool = False) -> None:
        """Make the nth call of a method from now on fail.

        Args:
            name: One of CALLS.
            nth: 1 is the next, which may be waiting at a gate already.
            last: All calls of the method after it fail too.

        Raises:
            FaultyStoreMisuse: There is no such method, or no such call.
        """
        if name not in CALLS:
            raise FaultyStoreMisuse(f"a store has no call {name!r} that can fail; it has {', '.join(CALLS)}")
        self._faults[name].add(nth, last=last)

    def fail_any(self, nth: int = 1, *, last: bool = False) -> None:
        """Make the nth call from now on fail, of any method.

        Args:
            last: All calls after it fail too, as on a disk that is gone. Closing the store does not fail.
        """
        self._any_faults.add(nth, last=last)

    def heal(self) -> None:
        """Cancel all faults of calls."""
        for faults in (*self._faults.values(), self._any_faults):
            faults.clear()

    def fail_commit(self, nth: int) -> None:
        """Make the nth commit from now on fail; 1 is the next, which may be waiting at the gate already."""
        self.fail("commit", nth)

    def fail_load(self, nth: int) -> None:
        """Make the nth load from now on fail."""
        self.fail("load", nth)

    def fail_inspect(self, nth: int) -> None:
        """Make the nth inspection from now on fail."""
        self.fail("inspect", nth)

    def damage(self, address: Address, reason: str = "a test says so") -> None:
        """Answer for an actor, from now on, as if its rows were damaged."""
        self._damaged[address] = StoreDamaged(address, reason)

    def fail_next_commit(self) -> None:
        """Let the next commit fail."""
        self.fail_commit(1)

    def fail_next_load(self) -> None:
        """Let the next load fail."""
        self.fail_load(1)

    def fail_next_inspect(self) -> None:
        """Let the next inspection fail."""
        self.fail_inspect(1)

    def hold(self) -> None:
        """Keep commits under way until `release`."""
        self._commit_gate.close()

    async def held(self) -> None:
        """Wait until a commit waits at the gate."""
        await self._commit_gate.reached()

    def release(self) -> None:
        """Let commits go on."""
        self._commit_gate.open()

    def hold_loads(self) -> None:
        """Keep loads under way until `release_loads`."""
        self._load_gate.close()

    def release_loads(self) -> None:
        """Let held loads go on, and later ones pass."""
        self._load_gate.open()

    # The contract of a store, where it may fail. All else is passed on.

    async def open(self) -> None:
        self._check("open")
        await super().open()

    async def close(self) -> None:
        # A store that cannot be closed in order is closed nevertheless.
        await super().close()
        self._check("close")

    async def claim(self, host: str, *, now_us: int) -> Mapping[int, int]:
        self._check("claim")
        return await super().claim(host, now_us=now_us)

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        await self._commit_gate.pass_through()
        self.commits += 1
        self.writes += len(writes)
        self._check("commit")
        await self.inner.commit(writes, fences)

    async def load(self, addresses: Sequence[Address]) -> Sequence[Stored | StoreError | None]:
        await self._load_gate.pass_through()
        self.loads += 1
        self._check("load")
        found = await self.inner.load(addresses)
        return [self._damaged.get(address, each) for address, each in zip(addresses, found, strict=True)]

    async def inspect(self, addresses: Sequence[Address]) -> Sequence[Inspection | StoreError | None]:
        self.inspects += 1
        self._check("inspect")
        found = await self.inner.inspect(addresses)
        return [self._damaged.get(address, each) for address, each in zip(addresses, found, strict=True)]

    async def items(self, address: Address, names: Sequence[str] = (), *, expiring: int = 0) -> FoundItems | None:
        self._check("items")
        return await super().items(address, names, expiring=expiring)

    async def ids(self, actor_type: str, *, after: str | None, limit: int) -> Sequence[str]:
        self._check("ids")
        return await super().ids(actor_type, after=after, limit=limit)

    async def active(self, shards: Collection[int] | None = None) -> Sequence[Address]:
        self._check("active")
        return await super().active(shards)

    async def reminders(
        self,
        *,
        after: Reminder | None,
        limit: int,
        until: Reminder | None = None,
        shards: Collection[int] | None = None,
    ) -> Sequence[Reminder]:
        self._check("reminders")
        return await super().reminders(after=after, limit=limit, until=until, shards=shards)

    def _check(self, name: str) -> None:
        """Count a call, and make it fail if it is to."""
        self.calls.append(name)
        self._faults[name].check()
        self._any_faults.check(f"{name}, call {len(self.calls)} of all,", spared=name == "close")


class CallFaults:
    """The faults of future calls."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._calls = 0
        self._failing: set[int] = set()
        self._from: int | None = None  # all from this one on

    def add(self, nth: int, *, last: bool = False) -> None:
        """Let the nth call from now on fail, counted from 1; `last` lets all after it fail too.

        Raises:
            FaultyStoreMisuse: `nth` is less than 1.
        """
        if nth < 1:
            raise FaultyStoreMisuse(f"the first call that can fail is number 1, not {nth}")
        self._failing.add(self._calls + nth)
        if last:
            self._from = self._calls + nth

    def clear(self) -> None:
        """Let no call fail."""
        self._failing.clear()
        self._from = None

    def check(self, what: str = "", *, spared: bool = False) -> None:
        """Count a call, and make it fail if it is one of them.

        Args:
            what: Which call it is, if not the usual one.
            spared: It does not fail because of `last` alone.

        Raises:
            StoreFailed: It is one of them.
        """
        self._calls += 1
        named = self._calls in self._failing
        self._failing.discard(self._calls)
        if named or (self._from is not None and self._calls >= self._from and not spared):
            raise StoreFailed(f"this {what or self._what} was made to fail by a test")


class Gate:
    """Lets calls through, or keeps them waiting."""

    def __init__(self) -> None:
        self._opened: anyio.Event | None = None  # None: it is open
        self._reached: anyio.Event | None = None

    def close(self) -> None:
        """Keep calls waiting from now on."""
        if self._opened is None:
            self._opened, self._reached = anyio.Event(), anyio.Event()

    def open(self) -> None:
        """Let all calls pass."""
        if self._opened is not None:
            self._opened.set()
        self._opened = self._reached = None

    async def pass_through(self) -> None:
        """Pass, or wait until the gate is open."""
        # Repeated, in case it is closed before this task has passed.
        while self._opened is not None:
            assert self._reached is not None
            self._reached.set()
            await self._opened.wait()

    async def reached(self) -> None:
        """Wait until a call waits at the gate.

        Raises:
            FaultyStoreMisuse: The gate is open.
        """
        if self._reached is None:
            raise FaultyStoreMisuse("no commit is held: call hold() first")
        await self._reached.wait()
