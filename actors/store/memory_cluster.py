"""Stores in memory that share one database: several hosts in one process, for tests and simulations.

The rule: it keeps every promise of `actors/store/cluster.py`, and its code is as plain as possible. A call that
reaches the database happens at once and whole. Only the way there and back takes time (`MemoryLink`); on it a call can
be delayed, refused, or lost after it has happened.

As on a server, the store does not check whether a host owns the shards that it commits for: each host checks that
itself, and its row is the fence. But the database records each commit by a host other than the owner (`broken`), so
that tests find a host's mistakes.

Tests and simulations make one `MemoryDatabase`, and a `MemoryClusterStore` for each host.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import anyio
import anyio.lowlevel

from ..address import Address
from ..instruments import SYSTEM, Instruments, number_of
from .cluster import HostCard, HostRow, HostState, ShardRow
from .contract import Inspection, Stored, Write
from .errors import StoreFailed, StoreFenced, StoreInUse, StoreTakenOver, StoreTooNew, StoreUncertain
from .memory import MemoryStore
from .presence.beats import SLOW_S, Beats
from .presence.figures import CommitDoubts, ServerFigures
from .presence.flights import NO_SHARD, FlightKey, FlightNote
from .presence.heart import BeatingHeart

NAME = "this database in memory"
# The fields of `MemoryStore` that the stores of a database share.
CONTENTS = ("_apps", "_keys", "_records", "_logs", "_active", "_reminders", "_facets", "_audit", "_items")
COUNTERS = ("_new_keys", "_audit_numbers")

T = TypeVar("T")


class MemoryLink(Protocol):
    """The way between a host and its database."""

    async def there(self, what: str) -> None:
        """Go to the database, for a call by this name ("commit", "beat", "load", ...).

        Raises:
            StoreFailed: The call does not reach it. Nothing happens.
        """
        ...

    async def back(self, what: str) -> None:
        """Come back.

        Raises:
            StoreUncertain: The answer is lost.
        """
        ...


class ShortLink:
    """A way that lets other tasks run once, as they would during a call of a real store."""

    async def there(self, what: str) -> None:
        await anyio.lowlevel.checkpoint()

    async def back(self, what: str) -> None:
        """Return at once: no answer is delayed or lost."""


@dataclass(slots=True)
class _Host:
    """The rows of a living host."""

    row: HostRow
    beat: int = 0


class MemoryDatabase:
    """A database in memory, which several stores share.

    Attributes:
        broken: A sentence for each forbidden act of a host. Tests check that it stays empty.
        timeline: Like the timeline of a PostgreSQL server.
    """

    def __init__(self, *, shards: int = 64) -> None:
        self.contents = MemoryStore(shards=shards)
        self.hosts: dict[int, _Host] = {}
        self.owners = {shard: ShardRow(shard, None, 0) for shard in range(shards)}
        self.cuts: set[tuple[int, int]] = set()
        self.secrets: dict[str, bytes] = {}
        self.flights: dict[tuple[int, FlightKey], FlightNote] = {}  # by host and key
        self.timeline = 1
        self.format = 1
        self.broken: list[str] = []

    @property
    def version(self) -> str:
        """A text that changes with each change that hosts have to notice."""
        epochs = sum(row.epoch for row in self.owners.values())
        states = sum(host.row.state for host in self.hosts.values())
        return f"{epochs}:{states}:{sorted(self.cuts)}"

    def delete(self, host: int) -> None:
        """Delete all rows of a host."""
        self.hosts.pop(host, None)
        self.cuts = {cut for cut in self.cuts if host not in cut}

    def leave(self, host: int) -> None:
        """Delete all rows of a host that leaves in order."""
        if host in self.hosts:
            self.delete(host)
            self.flights = {key: note for key, note in self.flights.items() if note.host != host}
            self.owners = {
                shard: row._replace(host=None) if row.host == host else row for shard, row in self.owners.items()
            }

    def copy(self) -> Mapping[str, Any]:
        """The present contents, for `promote`."""
        contents = {name: deepcopy(vars(self.contents)[name]) for name in CONTENTS}
        rows = {"owners": dict(self.owners), "cuts": self.cuts, "flights": dict(self.flights)}
        return {"contents": contents, "hosts": deepcopy(self.hosts), **rows}

    def promote(self, copied: Mapping[str, Any]) -> None:
        """Go on from a copy that lacks all later commits, as on a server that was promoted."""
        for name, value in copied["contents"].items():
            ours = vars(self.contents)[name]
            ours.clear()
            (ours.extend if isinstance(ours, list) else ours.update)(deepcopy(value))
        self.hosts, self.owners = deepcopy(copied["hosts"]), dict(copied["owners"])
        self.cuts, self.flights = copied["cuts"], dict(copied["flights"])
        self.timeline += 1


@dataclass(slots=True)
class _Life:
    """One life of a host."""

    host: int
    timeline: int
    ended: StoreTakenOver | None = None


class JoiningMemoryStore(MemoryStore):
    """A store that can join a database: the lives of its host, and its notes of work under way.

    Args:
        link: Its way to the database.
    """

    rings_apart = True

    def __init__(
        self, database: MemoryDatabase, *, link: MemoryLink | None = None, instruments: Instruments = SYSTEM
    ) -> None:
        super().__init__(shards=database.contents.shards)
        vars(self).update({name: vars(database.contents)[name] for name in (*CONTENTS, *COUNTERS)})
        self.database = database
        self._link: MemoryLink = link or ShortLink()
        self._chance = instruments.chance
        self._epochs: dict[int, int] = {}  # shard of this host -> epoch
        self._life: _Life | None = None
        self._heart: BeatingHeart | None = None

    @property
    def host(self) -> int:
        return self._life.host if self._life is not None else 0

    @property
    def heart(self) -> BeatingHeart:
        """The heart of this life."""
        assert self._heart is not None, "this host has never joined"
        return self._heart

    # Work under way.

    async def note(self, put: Sequence[FlightNote], gone: Sequence[FlightKey] = ()) -> None:
        def write(life: _Life) -> None:
            for key in gone:
                self.database.flights.pop((life.host, key), None)
            for note in put:
                self.database.flights[life.host, note.key] = note._replace(host=life.host)

        await self._fenced("note", write)

    async def flights(self) -> Sequence[FlightNote]:
        return [note for _, note in sorted(self.database.flights.items())]

    async def strike(self, epochs: Mapping[int, int]) -> None:
        def delete(life: _Life) -> None:
            flights, living = self.database.flights, self.database.hosts
            needed = {note.host for note in flights.values() if note.shard != NO_SHARD and note.shard not in epochs}
            self.database.flights = {
                key: note
                for key, note in flights.items()
                if note.epoch >= epochs.get(note.shard, 0)
                and (note.shard != NO_SHARD or note.host in living or note.host in needed)
            }

        await self._fenced("strike", delete)

    # Lives.

    def _end(self, life: _Life, why: str) -> StoreTakenOver:
        if life.ended is None:
            life.ended = StoreTakenOver(NAME, why, rejoins=True)
            self.heart.stop()
        return life.ended

    async def _done(self, what: str, work: Callable[[], T]) -> T:
        """Call a function at the database."""
        await self._link.there(what)
        done = work()
        await self._link.back(what)
        return done

    async def _fenced(self, what: str, work: Callable[[_Life], T]) -> T:
        """Call a function at the database, unless the life to which the call belongs is over by then."""
        life = self._life
        if life is None or not self._is_open:
            raise StoreFailed(f"this host has not joined {NAME}")
        if life.ended is not None:
            raise life.ended.with_traceback(None)
        await self._link.there(what)
        if life.ended is not None:
            raise life.ended.with_traceback(None)
        if life.host not in self.database.hosts:
            raise self._end(life, "another host has taken its shards")
        if life.timeline != self.database.timeline:
            raise self._end(life, "the server is another one")
        done = work(life)
        await self._link.back(what)
        return done


class MemoryClusterStore(JoiningMemoryStore):
    """The store of one host, with the same arguments."""

    servers: Sequence[tuple[str, int]] = ()
    patience_s = 0.0

    def __init__(self, database: MemoryDatabase, **settings: Any) -> None:
        super().__init__(database, **settings)
        self.cluster = self
        self.doubts = CommitDoubts()

    @property
    def alive(self) -> bool:
        return self._life is not None and self._life.ended is None

    async def close(self) -> None:
        if self._life is not None and self._is_open:
            self.database.leave(self._life.host)
        self.abandon()
        await super().close()

    def abandon(self) -> None:
        """Take the store as no longer open: the process that had it open has ended without closing it."""
        if self._life is not None:
            self._end(self._life, "its process has ended")
        super().abandon()

    # As a store.

    async def claim(self, host: str, *, now_us: int) -> Mapping[int, int]:
        """As if one host had the store for itself.

        Raises:
            StoreInUse: Another host is a member.
        """
        if not self.alive:
            await self.join(HostCard(host, "", "", "", 0, 0))
        others = [each for each in self.database.hosts if each != self.host]
        if others:
            name = self.database.hosts[others[0]].row.card.name
            await self.leave()
            raise StoreInUse(NAME, name=name, release="")
        return await self.take([(shard, row.epoch) for shard, row in self.database.owners.items()])

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        assert fences.keys() >= {write.shard for write in writes}, "a shard without its epoch"
        for shard, epoch in fences.items():
            if self._epochs.get(shard) != epoch:
                raise StoreFenced(shard, expected=epoch, found=self._epochs.get(shard))

        def apply(life: _Life) -> None:
            self._check(writes)
            for write in writes:
                self._apply(write)
            for write in writes:
                row = self.database.owners[write.shard]
                if (row.host, row.epoch) != (life.host, fences[write.shard]):
                    self.database.broken.append(f"host {life.host} has committed at {fences[write.shard]} for {row}")

        await self._fenced("commit", apply)

    async def load(self, addresses: Sequence[Address]) -> Sequence[Stored | None]:
        await self._link.there("load")
        found = await super().load(addresses)
        await self._link.back("load")
        return found

    async def inspect(self, addresses: Sequence[Address]) -> Sequence[Inspection | None]:
        await self._link.there("inspect")
        found = await super().inspect(addresses)
        await self._link.back("inspect")
        return found

    # As a cluster.

    async def join(self, card: HostCard, named: Callable[[int], None] = lambda host: None) -> int:
        host, life = number_of(self._chance, 62), self._life
        if life is not None:
            self._end(life, "it joins again")

        def enter() -> None:
            if self.database.format > card.format_max:
                raise StoreTooNew(NAME, found=self.database.format, known=card.format_max)
            for other, each in list(self.database.hosts.items()):
                if card.address and (each.row.card.place, each.row.card.address) == (card.place, card.address):
                    self.database.delete(other)
            self.database.hosts[host] = _Host(HostRow(host, HostState.SERVING, card))
            self._begin(host)

        named(host)
        await self._done("join", enter)
        return host

    @property
    def format(self) -> int:
        return self.database.format

    async def raise_format(self, to: int) -> int:
        def look() -> int:
            if all(each.row.card.format_max >= to for each in self.database.hosts.values()):
                self.database.format = max(self.database.format, to)
            return self.database.format

        return await self._done("raise format", look)

    async def resume(self) -> bool:
        host = self.host

        def enter() -> bool:
            if host in self.database.hosts:
                self._begin(host)
            return host in self.database.hosts

        if self._life is not None:
            self._end(self._life, "the server is another one")
        return await self._done("resume", enter)

    async def leave(self) -> None:
        await self._done("leave", lambda: self.database.leave(self.host))
        if self._life is not None:
            self._end(self._life, "it has left")

    async def set_state(self, state: HostState) -> None:
        def write(life: _Life) -> None:
            row = self.database.hosts[life.host]
            row.row = row.row._replace(state=state)

        await self._fenced("set_state", write)

    async def hosts(self) -> Sequence[HostRow]:
        return await self._done("hosts", lambda: [each.row for each in self.database.hosts.values()])

    async def owners(self) -> Sequence[ShardRow]:
        def read() -> Sequence[ShardRow]:
            owners = self.database.owners
            for shard in range(len(owners), len(self._apps) * self._shards):  # the shards of new apps
                owners[shard] = ShardRow(shard, None, 0)
            return list(owners.values())

        return await self._done("owners", read)

    async def kill(self, host: int, beat: int) -> bool:
        def delete(life: _Life) -> bool:
            there = self.database.hosts.get(host)
            if there is None or there.beat != beat:
                return False
            self.database.delete(host)
            return True

        return await self._fenced("kill", delete)

    async def take(self, seen: Sequence[tuple[int, int]]) -> Mapping[int, int]:
        def write(life: _Life) -> Mapping[int, int]:
            taken = {}
            for shard, epoch in seen:
                row = self.database.owners[shard]
                free = row.host == life.host or row.host not in self.database.hosts
                if row.epoch == epoch and free:
                    taken[shard] = epoch + 1
                    self.database.owners[shard] = ShardRow(shard, life.host, epoch + 1)
            return taken

        taken = await self._fenced("take", write)
        self.adopt(taken)
        return taken

    def adopt(self, epochs: Mapping[int, int]) -> None:
        if self.alive:
            self._epochs.update(epochs)

    async def give(self, shard: int, to: int, epoch: int) -> int | None:
        def write(life: _Life) -> int | None:
            row = self.database.owners[shard]
            if row != ShardRow(shard, life.host, epoch) or to not in self.database.hosts:
                return None
            self.database.owners[shard] = ShardRow(shard, to, epoch + 1)
            return epoch + 1

        given = await self._fenced("give", write)
        if given is not None:
            self._epochs.pop(shard, None)
        return given

    async def set_cut(self, peer: int, *, cut: bool) -> None:
        def write(life: _Life) -> None:
            if cut and peer in self.database.hosts:
                self.database.cuts = self.database.cuts | {(life.host, peer)}
            elif not cut:
                self.database.cuts = self.database.cuts - {(life.host, peer)}

        await self._fenced("set_cut", write)

    async def cuts(self) -> Sequence[tuple[int, int]]:
        return await self._done("cuts", lambda: sorted(self.database.cuts))

    async def secret(self, name: str, make: Callable[[], bytes]) -> bytes:
        return await self._done("secret", lambda: self.database.secrets.setdefault(name, make()))

    async def replace_secret(self, name: str, value: bytes) -> None:
        await self._done("replace_secret", lambda: self.database.secrets.__setitem__(name, value))

    async def figures(self) -> ServerFigures | None:
        """None: there is no server."""
        return None

    # Lives.

    def _begin(self, host: int) -> None:
        self._life = _Life(host, self.database.timeline)
        self._epochs = {}
        self._heart = BeatingHeart(_MemoryBeater(self.database, self._link, host), anyio.current_time(), threaded=False)


class _MemoryBeater:
    """Beats for one host in a database in memory."""

    def __init__(self, database: MemoryDatabase, link: MemoryLink, host: int) -> None:
        self._database = database
        self._link = link
        self._host = host

    async def beat(self, *, alone: bool) -> Beats:
        beats: Beats | None = None
        with anyio.move_on_after(SLOW_S):
            await self._link.there("beat")
            hosts = self._database.hosts
            if self._host in hosts and not alone:
                hosts[self._host].beat += 1
            seen = {host: each.beat for host, each in hosts.items()}
            found = Beats(self._host in hosts, seen, self._database.version, str(self._database.timeline))
            await self._link.back("beat")
            beats = found
        if beats is None:
            raise StoreUncertain("a beat", f"no answer within {SLOW_S:.0f} s")
        return beats

    async def close(self) -> None:
        """Do nothing: no connection is open."""
