"""The feed of changes: the changes in lists of actors, of all hosts of a daemon, for readers that follow it.

The rule: nothing waits for a reader, and a reader costs no memory. Each host has one ring of its newest changes, and a
reader has a place in each ring. A reader that is slower than the ring is long learns that it has missed something.

A ring without a reader takes nothing (`actors/hosting/release.py` asks `open`). A host has a copy of the ring
of each other host, which it fetches as long as it has readers itself.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import anyio
from anyio.abc import TaskGroup

from ..address import Address
from ..errors import HostLost, HostSilent, HostUnreachable
from ..instruments import SYSTEM, Chance
from ..store.listing import Facets
from ..waiting.signal import Signal
from .method import HostMethod
from .outbound import Outbound
from .peers import Peers

CHANGES_MAX = 8192  # that a ring holds
FETCHED_MAX = 512  # changes in one answer to another host
HELD_S = 2.0  # how long a fetch waits for news; less than `Outbound.ANSWER_S`
AGAIN_S = 0.5  # after a fetch that failed
FIRST_S = 1.0  # how long a new reader waits for the first answer of each other host


class Change(NamedTuple):
    """A change of lists by a commit."""

    address: Address
    facets: Facets | None  # since then; None: the actor is gone
    record: bytes | None
    before: Facets | None = None  # until then; None: it was not there, or an earlier release has written it
    created: bool = False


class Place(NamedTuple):
    """Where a reader stands in a ring: behind that many changes, since that start."""

    start: str
    number: int


class News(NamedTuple):
    """The changes that have come behind a place."""

    changes: Sequence[Change]
    place: Place  # behind them
    missed: bool = False  # more has changed than this says


FETCH = HostMethod("changes.fetch", (str, int, bool), News)  # hosts call it on each other


class Ring:
    """The newest changes of one host.

    Args:
        changed: Raised with each change.
        size: How many it holds.
        chance: Names its starts.
    """

    def __init__(self, changed: "SharedSignal", size: int = CHANGES_MAX, chance: Chance = SYSTEM.chance) -> None:
        self._chance = chance
        self.open = False  # whether it takes changes
        self._changed = changed
        self._size = size
        self._changes: list[Change | None] = []
        self._start = ""
        self._number = 0  # changes since the start
        self._first = 0  # the number of changes before the first that it has had
        self._readers = 0
        self._unread = 0  # changes since the last reader left

    @property
    def place(self) -> Place:
        """Where it ends now."""
        return Place(self._start, self._number)

    @property
    def oldest(self) -> Place:
        """The place before all that it has."""
        return Place(self._start, max(self._first, self._number - self._size))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Take changes until the block ends, and some more, for a reader that comes back."""
        if not self.open:
            self.restart(Place(self._chance(4).hex(), 0))
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1
            self._unread = 0

    def restart(self, place: Place) -> None:
        """Begin anew at a place: none from before is known."""
        self._start, self._number = place
        self._first = place.number
        self._changes = [None] * self._size
        self.open = True
        self._changed.set()

    def publish(self, change: Change) -> None:
        """Take a change, in place of the oldest."""
        if self._readers == 0:
            self._unread += 1
            if self._unread > self._size:
                # A reader that came back now would have missed some anyway.
                self.open = False
                self._changes = []
                return
        self._changes[self._number % self._size] = change
        self._number += 1
        self._changed.set()

    def behind(self, place: Place, *, limit: int) -> News:
        """Give the changes that have come behind a place, at most `limit`."""
        known = place.start == self._start and self.oldest.number <= place.number <= self._number
        if not known or not self.open:
            return News((), self.place, missed=True)
        until = min(self._number, place.number + limit)
        found = [self._changes[number % self._size] for number in range(place.number, until)]
        return News([change for change in found if change is not None], Place(self._start, until))


class SharedSignal:
    """A signal for which several tasks wait."""

    def __init__(self) -> None:
        # A dict, because its order is that in which they came: sets of objects have the order of their addresses.
        self._signals: dict[Signal, None] = {}

    def set(self) -> None:
        """Raise it."""
        for signal in self._signals:
            signal.set()

    @contextmanager
    def waiting(self) -> Iterator[Signal]:
        """Give a signal that is raised with this one until the block ends."""
        signal = Signal()
        self._signals[signal] = None
        try:
            yield signal
        finally:
            del self._signals[signal]


class ChangeFeed:
    """The changes of all hosts, for readers at this one.

    Args:
        host: The host's own name in the placement table.
        peers: The other hosts of the daemon, if there are any.
        chance: Names the starts of the host's own ring.
    """

    def __init__(self, host: str, peers: Peers | None, chance: Chance = SYSTEM.chance) -> None:
        self._changed = SharedSignal()
        self._host = host
        self.own = Ring(self._changed, chance=chance)
        self._peers = peers
        self._copies: dict[str, RingCopy] = {}
        self._readers = 0
        self._tasks: TaskGroup | None = None  # while it runs
        if peers is not None:
            self._follow_hosts()
            peers.watch(self._follow_hosts)
            peers.answer_async(FETCH, self._give)

    @property
    def rings(self) -> Mapping[str, Ring]:
        """The rings of all hosts, by the names of the hosts. Hosts come and go, and their rings with them."""
        own = self._host if self._peers is None else self._peers.membership.me
        return {own: self.own, **{name: copy.ring for name, copy in self._copies.items()}}

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Signal]:
        """Follow the changes of all hosts until the block ends; the signal is raised when something comes.

        A host that cannot be reached holds it up for FIRST_S. Once it is there again, its places are new.
        """
        self._readers += 1
        for copy in self._copies.values():
            copy.join()
        try:
            with self.own.reading(), self._changed.waiting() as signal:
                with anyio.move_on_after(FIRST_S):
                    while not all(copy.fresh for copy in self._copies.values()):
                        await signal.wait()
                yield signal
        finally:
            self._readers -= 1
            for copy in self._copies.values():
                copy.leave()

    def wake(self) -> None:
        """Wake all readers without news: the host is stopping."""
        self._changed.set()

    async def run(self) -> None:
        """Fetch the changes of the other hosts as long as there are readers, until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                for copy in self._copies.values():
                    tasks.start_soon(copy.run)
                await anyio.sleep_forever()
            finally:
                self._tasks = None

    def _follow_hosts(self) -> None:
        """Have a copy of the ring of each other host that lives, and no more."""
        assert self._peers is not None
        for name, copy in list(self._copies.items()):
            if self._peers.find(name) is not copy.outbound:
                del self._copies[name]
                copy.end()
        for name in self._peers.names:
            if name not in self._copies:
                copy = RingCopy(Ring(self._changed), self._peers.outbound(name), self._changed, readers=self._readers)
                self._copies[name] = copy
                if self._tasks is not None:
                    self._tasks.start_soon(copy.run)
        self._changed.set()

    async def _give(self, start: str, number: int, hold: bool) -> News:
        """Answer a fetch with the changes behind a place; if there are none, and `hold`, wait a moment for one."""
        place = Place(start, number)
        with self.own.reading(), self._changed.waiting() as signal:
            news = self.own.behind(place, limit=FETCHED_MAX)
            if hold and not news.missed and not news.changes:
                await signal.wait_for(HELD_S)
                news = self.own.behind(place, limit=FETCHED_MAX)
            # A copy that begins takes all there is: a reader may have come over from another host.
            return news._replace(place=self.own.oldest) if news.missed else news


class RingCopy:
    """The copy of another host's ring, as long as there are readers here."""

    def __init__(self, ring: Ring, outbound: Outbound, changed: SharedSignal, *, readers: int) -> None:
        self.ring = ring
        self.outbound = outbound
        self.fresh = False  # it has all that the other has, since the first reader came
        self._changed = changed
        self._readers = readers
        self._joined = Signal()
        self._scope = anyio.CancelScope()

    def join(self) -> None:
        """Count a reader, for whom the copy is kept from now on."""
        self._readers += 1
        self._joined.set()

    def leave(self) -> None:
        """Count a reader less."""
        self._readers -= 1

    def end(self) -> None:
        """Fetch no more: the other host is gone."""
        self._scope.cancel()

    async def run(self) -> None:
        """Fetch as long as there are readers, until cancelled or ended."""
        with self._scope:
            await self._fetch()

    async def _fetch(self) -> None:
        while True:
            if self._readers == 0:
                self.fresh = False
                await self._joined.wait()
                continue
            try:
                news: News = await self.outbound.call(FETCH, *self.ring.place, self.fresh)
            except (HostUnreachable, HostLost, HostSilent):
                await anyio.sleep(AGAIN_S)
                continue
            with self.ring.reading():
                if news.missed:
                    self.ring.restart(news.place)
                for change in news.changes:
                    self.ring.publish(change)
            if not self.fresh and not news.missed and len(news.changes) < FETCHED_MAX:
                self.fresh = True
                self._changed.set()
