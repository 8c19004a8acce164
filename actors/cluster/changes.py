"""The feed of changes: the changes of lists on all hosts of a daemon, for readers that follow them.

The rule: no commit waits for a reader, and a reader costs no memory. Each host has one ring of its newest changes, and
a reader has a place in each ring. A reader that falls behind by more than the length of a ring is notified that it has
missed changes.

A ring without a reader takes no changes (`actors/hosting/release.py` looks at `open`). While a host has readers, it
fetches a copy of the ring of each other host.
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

CHANGES_MAX = 8192  # in a ring
FETCHED_MAX = 512  # changes in one answer to another host
HELD_S = 2.0  # how long a fetch waits for changes; less than `Outbound.ANSWER_S`
AGAIN_S = 0.5  # after a fetch that failed
FIRST_S = 1.0  # how long a new reader waits for the first answer of each other host


class Change(NamedTuple):
    """A change of lists by a commit."""

    address: Address
    facets: Facets | None  # after the commit; None: the actor was deleted
    record: bytes | None
    before: Facets | None = None  # before the commit; None: no actor, or one that an earlier release has written
    created: bool = False


class Place(NamedTuple):
    """The place of a reader in a ring: after `number` changes since the start named `start`."""

    start: str
    number: int


class News(NamedTuple):
    """The changes after a place."""

    changes: Sequence[Change]
    place: Place  # after these changes
    missed: bool = False  # there were more changes, which are lost


FETCH = HostMethod("changes.fetch", (str, int, bool), News)  # hosts call it on each other


class Ring:
    """The newest changes of one host.

    Args:
        changed: A signal that is raised with each change.
        size: How many changes it holds.
        chance: Random bytes for the names of its starts.
    """

    def __init__(self, changed: "SharedSignal", size: int = CHANGES_MAX, chance: Chance = SYSTEM.chance) -> None:
        self._chance = chance
        self.open = False  # whether it takes changes
        self._changed = changed
        self._size = size
        self._changes: list[Change | None] = []
        self._start = ""
        self._number = 0  # changes since the start
        self._first = 0  # the number of changes before the first that was published here
        self._readers = 0
        self._unread = 0  # changes since the last reader left

    @property
    def place(self) -> Place:
        """The place after the newest change."""
        return Place(self._start, self._number)

    @property
    def oldest(self) -> Place:
        """The place before the oldest change."""
        return Place(self._start, max(self._first, self._number - self._size))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Take changes until the block ends, and for a while longer, in case the reader comes back."""
        if not self.open:
            self.restart(Place(self._chance(4).hex(), 0))
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1
            self._unread = 0

    def restart(self, place: Place) -> None:
        """Begin anew at a place, without the changes before it."""
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
                # A reader that came back now would have missed changes in any case.
                self.open = False
                self._changes = []
                return
        self._changes[self._number % self._size] = change
        self._number += 1
        self._changed.set()

    def behind(self, place: Place, *, limit: int) -> News:
        """The changes after a place, at most `limit`."""
        known = place.start == self._start and self.oldest.number <= place.number <= self._number
        if not known or not self.open:
            return News((), self.place, missed=True)
        until = min(self._number, place.number + limit)
        found = [self._changes[number % self._size] for number in range(place.number, until)]
        return News([change for change in found if change is not None], Place(self._start, until))


class SharedSignal:
    """A signal for which several tasks wait."""

    def __init__(self) -> None:
        # A dict keeps the order in which the signals were added; a set would order them by their addresses in memory.
        self._signals: dict[Signal, None] = {}

    def set(self) -> None:
        """Raise the signals of all tasks that wait."""
        for signal in self._signals:
            signal.set()

    @contextmanager
    def waiting(self) -> Iterator[Signal]:
        """Give a signal to wait for, which is raised with this one until the block ends."""
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
        chance: Random bytes for the names of the starts of the host's own ring.
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
        """Follow the changes of all hosts until the block ends; the signal is raised when a change comes.

        An unreachable host delays the begin by at most FIRST_S. When the host can be reached again, its places are new.
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
        """Wake all readers without a change: the host is stopping."""
        self._changed.set()

    async def run(self) -> None:
        """Fetch the changes of the other hosts while there are readers, until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                for copy in self._copies.values():
                    tasks.start_soon(copy.run)
                await anyio.sleep_forever()
            finally:
                self._tasks = None

    def _follow_hosts(self) -> None:
        """Have a copy of the ring of each other living host, and drop the other copies."""
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
            # A new copy takes all changes of the ring: a reader may have come from another host.
            return news._replace(place=self.own.oldest) if news.missed else news


class RingCopy:
    """The copy of another host's ring, while there are readers here."""

    def __init__(self, ring: Ring, outbound: Outbound, changed: SharedSignal, *, readers: int) -> None:
        self.ring = ring
        self.outbound = outbound
        self.fresh = False  # whether it has all changes of the other ring since the first reader came
        self._changed = changed
        self._readers = readers
        self._joined = Signal()
        self._scope = anyio.CancelScope()

    def join(self) -> None:
        """Count a reader. The copy is kept from now on."""
        self._readers += 1
        self._joined.set()

    def leave(self) -> None:
        """Count one reader less."""
        self._readers -= 1

    def end(self) -> None:
        """Stop fetching: the other host is dead or has left."""
        self._scope.cancel()

    async def run(self) -> None:
        """Fetch while there are readers, until cancelled or ended."""
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
