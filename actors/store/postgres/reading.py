"""Reading actors from a store on PostgreSQL.

The rule: rows that belong together are read by one statement, so that they are of one snapshot. An actor that cannot be
read does not prevent the others of its batch from being read.

`actors/store/postgres/store.py` has one `ReadingSession` for actors, and one for lists.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Any, TypeVar

import anyio

from ...address import Address
from ..contract import FoundItems, Inspection, Reminder, Stored
from ..errors import StoreDamaged, StoreError, StoreFailed
from ..tables.checksums import ALL_SEALED
from ..tables.facets import facets_in
from ..tables.items import found_expiring, found_items
from ..tables.reading import inspection_of, stored_of
from .driver import DatabaseSession, Lost, Refused, Row, Statement
from .kinds import KindNumbers
from .presence import Connect
from .statements import ACTIVE, EXPIRING, FIND_KEY, IDS, IDS_BEHIND, INSPECT, ITEMS, KINDS, LOAD, REMINDERS
from .url import DatabaseUrl
from .writer import Pauses, Writer

T = TypeVar("T")

KEY, POSITION = itemgetter(0), itemgetter(1)  # columns of rows of actors and of the log
FACETS_READ = 6
DAMAGE = frozenset({"XX001", "XX002"})  # a damaged page or index of the server


class ReadingSession:
    """A session that reads, and that is replaced when it is lost.

    It does not read while a commit is in doubt: the writer settles the commit first.
    """

    def __init__(self, url: DatabaseUrl, connect: Connect, writer: Writer, *, purpose: str, patience_s: float) -> None:
        self._url = url
        self._connect = connect
        self._writer = writer
        self._purpose = purpose
        self._patience_s = patience_s
        self._session: DatabaseSession | None = None
        self._lock = anyio.Lock()
        self._closed = False

    async def run(self, statement: Statement, arguments: Sequence[Any], what: str) -> Sequence[Row]:
        """Run one statement.

        Raises:
            StoreFailed, StoreTakenOver: The read failed.
        """

        async def work(session: DatabaseSession) -> Sequence[Row]:
            return await session.run(statement, arguments)

        return await self.call(work, what)

    async def call(self, work: Callable[[DatabaseSession], Awaitable[T]], what: str) -> T:
        """Call a function with the session; again with a new session, if the first is lost.

        Raises:
            StoreFailed, StoreTakenOver: The read failed.
            Refused: The server reports that rows are damaged.
        """
        async with self._lock:
            pauses = Pauses(self._patience_s)
            while True:
                if self._writer.in_doubt:
                    await self._writer.settle()
                try:
                    return await work(await self._ready())
                except (Lost, Refused) as error:
                    if self._session is not None:
                        self._session.terminate()  # it may be inside a transaction
                    if isinstance(error, Refused) and error.state in DAMAGE:
                        raise
                    if not await pauses.pause(error):
                        raise StoreFailed(f"{what} failed in {self._url.shown}: {error}") from error

    async def _ready(self) -> DatabaseSession:
        """The session; a new one if it was lost."""
        if self._session is None or self._session.lost:
            self._session = None
            session = await self._connect(self._purpose)
            if self._closed:
                session.terminate()
            self._session = session
        if self._closed:
            raise StoreFailed(f"{self._url.shown} is not open")
        return self._session

    async def close(self) -> None:
        """End the session, and the statement under way."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            if self._lock.locked():
                session.terminate()
            else:
                await session.close()


async def learn_kinds(reader: ReadingSession, kinds: KindNumbers) -> None:
    """Read all kinds."""
    kinds.learn(await reader.run(KINDS, (), "reading the kinds"))


# Actors.


async def read_actors(
    reader: ReadingSession, addresses: Sequence[Address], kinds: KindNumbers
) -> Sequence[Stored | StoreError | None]:
    """Read actors whole; see `Store.load`."""
    return await _each_or_error(_actors, reader, addresses, kinds)


async def read_outsides(
    reader: ReadingSession, addresses: Sequence[Address], kinds: KindNumbers
) -> Sequence[Inspection | StoreError | None]:
    """Read the outside of actors; see `Store.inspect`."""
    return await _each_or_error(_outsides, reader, addresses, kinds)


async def _each_or_error(
    read: Callable[[ReadingSession, Sequence[Address], KindNumbers], Awaitable[Mapping[Address, T | StoreError]]],
    reader: ReadingSession,
    addresses: Sequence[Address],
    kinds: KindNumbers,
) -> Sequence[T | StoreError | None]:
    """Read a batch; if that fails, read its actors one by one, so that a damaged actor does not affect the others."""
    if not addresses:
        return []
    try:
        found = await read(reader, addresses, kinds)
    except Refused as refused:
        if len(addresses) == 1:
            return [await _as_damage(reader, addresses[0], refused)]
        return [(await _each_or_error(read, reader, [address], kinds))[0] for address in addresses]
    return [found.get(address) for address in addresses]


async def _as_damage(reader: ReadingSession, address: Address, refused: Refused) -> StoreError:
    key: int | None = None
    with suppress(Refused):  # the index may be sound
        rows = await reader.run(FIND_KEY, address, "reading")
        key = rows[0][0] if rows else None
    return StoreDamaged(address, f"its rows cannot be read ({refused})", key=key)


async def _actors(
    reader: ReadingSession, addresses: Sequence[Address], kinds: KindNumbers
) -> Mapping[Address, Stored | StoreError]:
    rows = await reader.run(LOAD, _columns(addresses), "loading")
    actors: list[Row] = []
    log_rows: list[Row] = []
    for row in rows:
        if row[1] is None:
            actors.append(row)
        else:
            log_rows.append(row)
    logs: dict[int, list[Row]] = {row[0]: [] for row in actors}
    for row in sorted(log_rows, key=POSITION):
        logs[row[0]].append(row[1:4])
    await _learn(reader, kinds, [row[7] for row in actors])
    found: dict[Address, Stored | StoreError] = {}
    for key, _, _, record, type_, id_, active, *facets in actors:
        address, seen = Address(type_, id_), facets_in(kinds, *facets)
        found[address] = stored_of(address, key, record, logs[key], ALL_SEALED, active=active, facets=seen)
    return found


async def _outsides(
    reader: ReadingSession, addresses: Sequence[Address], kinds: KindNumbers
) -> Mapping[Address, Inspection | StoreError]:
    rows = await reader.run(INSPECT, _columns(addresses), "reading")
    await _learn(reader, kinds, [row[4] for row in rows])
    found: dict[Address, Inspection | StoreError] = {}
    for type_, id_, key, record, *columns in rows:
        address, seen = Address(type_, id_), facets_in(kinds, *columns[:FACETS_READ])
        found[address] = inspection_of(address, key, record, columns[FACETS_READ:], ALL_SEALED, facets=seen)
    return found


async def _learn(reader: ReadingSession, kinds: KindNumbers, numbers: Sequence[int | None]) -> None:
    """Read the kinds anew if one of these numbers is not known."""
    if any(number is not None and kinds.get(number) is None for number in numbers):
        await learn_kinds(reader, kinds)


def _columns(addresses: Sequence[Address]) -> tuple[list[str], list[str]]:
    # PostgreSQL has no text with a NUL, so no actor has such an id.
    distinct = [each for each in dict.fromkeys(addresses) if "\0" not in each.id]
    return [each.type for each in distinct], [each.id for each in distinct]


# Items.


async def read_items(
    reader: ReadingSession, address: Address, names: Sequence[str], expiring: int
) -> FoundItems | None:
    """Read items of an actor; see `Store.items`."""
    encoded = [name.encode() for name in dict.fromkeys(names)]
    statement, asked = (EXPIRING, expiring) if expiring else (ITEMS, encoded)
    try:
        rows = await reader.run(statement, (*address, asked), "reading")
    except Refused as refused:
        raise await _as_damage(reader, address, refused) from refused
    if not rows:
        return None
    owner, own = (rows[0][0], rows[0][1]), [tuple(row[2:]) for row in rows if row[2] is not None]
    return (found_expiring if expiring else found_items)(address, owner, own, ALL_SEALED)


# Lists in an order.


async def read_ids(reader: ReadingSession, actor_type: str, after: str | None, limit: int) -> Sequence[str]:
    """List ids of a type; see `Store.ids`."""
    statement, more = (IDS, ()) if after is None else (IDS_BEHIND, (after,))
    return [row[0] for row in await reader.run(statement, (actor_type, limit, *more), "listing ids")]


async def read_active(reader: ReadingSession, shards: Collection[int] | None) -> Sequence[Address]:
    """List the actors that have the active mark; see `Store.active`."""
    rows = await reader.run(ACTIVE, (_listed(shards),), "listing active actors")
    return [Address(type_, id_) for _, type_, id_ in sorted(rows, key=KEY)]


async def read_reminders(
    reader: ReadingSession,
    after: Reminder | None,
    until: Reminder | None,
    shards: Collection[int] | None,
    limit: int,
) -> Sequence[Reminder]:
    """Read the next reminders; see `Store.reminders`."""
    behind = after[:3] if after is not None else (-(2**63), 0, "")
    last = until[:3] if until is not None else (2**63 - 1, 2**63 - 1, "")
    rows = await reader.run(REMINDERS, (*behind, limit, *last, _listed(shards)), "reading reminders")
    return [Reminder(due_us, key, name, Address(type_, id_)) for due_us, key, name, type_, id_ in rows]


def _listed(shards: Collection[int] | None) -> Sequence[int] | None:
    return None if shards is None else sorted(shards)
