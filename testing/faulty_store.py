"""A store that fails on demand, for tests of the failures of stores.

The one law: a call that it makes fail does not reach the store behind it. It
passes on all other calls unchanged.

Tests of this package use it, and tests of programs that embed an engine may.
"""

from collections.abc import Mapping, Sequence

import anyio

from ..actors.address import Address
from ..actors.errors import PerdureError
from ..actors.store.contract import Inspection, Store, Stored, Write
from ..actors.store.errors import StoreDamaged, StoreError, StoreFailed
from .passing_store import PassingStore


class FaultyStoreMisuse(PerdureError):
    """A test asks a store that fails on demand for what it cannot do."""


class FaultyStore(PassingStore):
    """`inner`, with faults, gates and counters.

        store = FaultyStore(MemoryStore())
        store.hold()               # a commit stays under way ...
        await store.held()         # ... wait until one is
        store.fail_next_commit()   # it is the one that will fail
        store.release()

    The counters count the calls that got past the gate, including those that then failed.

    Args:
        inner: The store that it stands before.
    """

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.commits = 0
        self.writes = 0  # of all commits together
        self.loads = 0
        self.inspects = 0
        self._commit_faults = Faults("commit")
        self._load_faults = Faults("load")
        self._inspect_faults = Faults("inspect")
        self._damaged: dict[Address, StoreDamaged] = {}
        self._commit_gate = Gate()
        self._load_gate = Gate()

    # A test calls these.

    def fail_commit(self, nth: int) -> None:
        """Make the nth commit from now on fail; 1 is the next, which may be waiting at the gate already."""
        self._commit_faults.add(nth)

    def fail_load(self, nth: int) -> None:
        """Make the nth load from now on fail."""
        self._load_faults.add(nth)

    def fail_inspect(self, nth: int) -> None:
        """Make the nth inspection from now on fail."""
        self._inspect_faults.add(nth)

    def damage(self, address: Address, reason: str = "a test says so") -> None:
        """Answer for an actor, from now on, as if its rows were not what was written."""
        self._damaged[address] = StoreDamaged(address, reason)

    def fail_next_commit(self) -> None:
        self.fail_commit(1)

    def fail_next_load(self) -> None:
        self.fail_load(1)

    def fail_next_inspect(self) -> None:
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
        self._load_gate.open()

    # The contract of a store, where it may fail. All else is passed on.

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        await self._commit_gate.pass_through()
        self.commits += 1
        self.writes += len(writes)
        self._commit_faults.check()
        await self.inner.commit(writes, fences)

    async def load(self, addresses: Sequence[Address]) -> Sequence[Stored | StoreError | None]:
        await self._load_gate.pass_through()
        self.loads += 1
        self._load_faults.check()
        found = await self.inner.load(addresses)
        return [self._damaged.get(address, each) for address, each in zip(addresses, found, strict=True)]

    async def inspect(self, addresses: Sequence[Address]) -> Sequence[Inspection | StoreError | None]:
        self.inspects += 1
        self._inspect_faults.check()
        found = await self.inner.inspect(addresses)
        return [self._damaged.get(address, each) for address, each in zip(addresses, found, strict=True)]


class Faults:
    """The calls to come that are to fail."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._calls = 0
        self._failing: set[int] = set()

    def add(self, nth: int) -> None:
        if nth < 1:
            raise FaultyStoreMisuse(f"the first call that can fail is number 1, not {nth}")
        self._failing.add(self._calls + nth)

    def check(self) -> None:
        """Count a call, and make it fail if it is one of them.

        Raises:
            StoreFailed: It is.
        """
        self._calls += 1
        if self._calls in self._failing:
            self._failing.remove(self._calls)
            raise StoreFailed(f"this {self._what} was made to fail by a test")


class Gate:
    """Lets through, or keeps waiting."""

    def __init__(self) -> None:
        self._opened: anyio.Event | None = None  # None: it stands open
        self._reached: anyio.Event | None = None

    def close(self) -> None:
        if self._opened is None:
            self._opened, self._reached = anyio.Event(), anyio.Event()

    def open(self) -> None:
        if self._opened is not None:
            self._opened.set()
        self._opened = self._reached = None

    async def pass_through(self) -> None:
        # Again, should it be closed before this task is through.
        while self._opened is not None:
            assert self._reached is not None
            self._reached.set()
            await self._opened.wait()

    async def reached(self) -> None:
        if self._reached is None:
            raise FaultyStoreMisuse("no commit is held: call hold() first")
        await self._reached.wait()
