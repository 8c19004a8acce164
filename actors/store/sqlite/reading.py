"""Reading from a store's SQLite file.

The rule: a read of several statements sees one snapshot, and an actor that cannot be
read does not prevent the others of its batch from being read. All functions run on the reader's
thread; `actors/store/sqlite/store.py` sends them there.
"""

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from ...address import Address, shard_of
from ..contract import FoundItems, Inspection, Reminder, Stored
from ..errors import StoreDamaged, StoreError, StoreFailed
from ..tables.checksums import Unsealed
from ..tables.facets import facets_in
from ..tables.items import found_expiring, found_items
from ..tables.reading import inspection_of, stored_of
from .damage import is_damage
from .lists.kinds import Kinds
from .rows import flat, rows_of

T = TypeVar("T")

# Before and after every reminder.
FIRST, LAST = (-(2**63), 0, ""), (2**63 - 1, 2**63 - 1, "")
FACETS_READ = 6
WITH_FACETS = (
    "f.kind, f.created_us, f.updated_us, f.ended_us, f.parent, f.tags",
    "LEFT JOIN facets AS f ON f.key = actors.key",
)
WITHOUT_FACETS = ("NULL, NULL, NULL, NULL, NULL, NULL", "")
assert FACETS_READ == len(WITH_FACETS[0].split(",")) == len(WITHOUT_FACETS[0].split(","))


def read_actors(
    addresses: Sequence[Address], unsealed: Unsealed, kinds: Kinds, connection: sqlite3.Connection
) -> Sequence[Stored | StoreError | None]:
    """Read actors whole; see `Store.load`."""
    return _each_or_error(_actors, addresses, unsealed, kinds, connection)


def read_outsides(
    addresses: Sequence[Address], unsealed: Unsealed, kinds: Kinds, connection: sqlite3.Connection
) -> Sequence[Inspection | StoreError | None]:
    """Read the outside of actors; see `Store.inspect`."""
    return _each_or_error(_outsides, addresses, unsealed, kinds, connection)


def _each_or_error(
    read: Callable[[Sequence[Address], Unsealed, Kinds | None, sqlite3.Connection], Mapping[Address, T | StoreError]],
    addresses: Sequence[Address],
    unsealed: Unsealed,
    kinds: Kinds,
    connection: sqlite3.Connection,
) -> Sequence[T | StoreError | None]:
    """Read a batch; if that fails, read its actors one by one, so that a damaged actor does not affect the others."""
    try:
        found = read(addresses, unsealed, kinds, connection)
    except sqlite3.Error as error:
        if len(addresses) == 1:
            return [_alone(read, addresses[0], error, unsealed, connection)]
        singly = [_each_or_error(read, [address], unsealed, kinds, connection) for address in addresses]
        return [one for (one,) in singly]
    return [found.get(address) for address in addresses]


def _alone(
    read: Callable[[Sequence[Address], Unsealed, Kinds | None, sqlite3.Connection], Mapping[Address, T | StoreError]],
    address: Address,
    error: sqlite3.Error,
    unsealed: Unsealed,
    connection: sqlite3.Connection,
) -> T | StoreError | None:
    """Read one actor that could not be read with its facets, without them: they follow from its record."""
    if is_damage(error):
        with suppress(sqlite3.Error):
            return read([address], unsealed, None, connection).get(address)
    return _as_damage(address, error, connection)


def _as_damage(address: Address, error: sqlite3.Error, connection: sqlite3.Connection) -> StoreError:
    """Turn an error of SQLite in reading one actor into an error of that actor."""
    if not is_damage(error):
        return StoreFailed(f"{address} could not be read: {error}")
    key: int | None = None
    with suppress(sqlite3.Error):  # the index may be sound
        rows = connection.execute("SELECT key FROM actors WHERE type = ? AND id = ?", address).fetchall()
        key = rows[0][0] if rows else None
    return StoreDamaged(address, f"its rows cannot be read ({error})", key=key)


def _actors(
    addresses: Sequence[Address], unsealed: Unsealed, kinds: Kinds | None, connection: sqlite3.Connection
) -> dict[Address, Stored | StoreError]:
    selected, join = WITHOUT_FACETS if kinds is None else WITH_FACETS
    connection.execute("BEGIN")  # one snapshot for the following statements
    with connection:
        actors: list[tuple[Any, ...]] = asked(
            connection,
            addresses,
            f"""
            SELECT type, id, actors.key, record, EXISTS (SELECT 1 FROM active WHERE active.key = actors.key), {selected}
            FROM asked CROSS JOIN actors USING (type, id) {join}
            """,  # noqa: S608  ours
        )
        logs: dict[int, list[tuple[int, Any, Any]]] = {key: [] for _, _, key, *_ in actors}
        for sql, keys in rows_of(
            "SELECT key, position, at_us, entry FROM log WHERE key IN (VALUES ",
            1,
            list(logs),
            ") ORDER BY key, position",
        ):
            for key, *row in connection.execute(sql, keys).fetchall():
                logs[key].append(row)
    found: dict[Address, Stored | StoreError] = {}
    for type_, id_, key, record, active, *facets in actors:
        address, seen = Address(type_, id_), facets_in(kinds, *facets)
        found[address] = stored_of(address, key, record, logs[key], unsealed, active=bool(active), facets=seen)
    return found


def _outsides(
    addresses: Sequence[Address], unsealed: Unsealed, kinds: Kinds | None, connection: sqlite3.Connection
) -> dict[Address, Inspection | StoreError]:
    selected, join = WITHOUT_FACETS if kinds is None else WITH_FACETS
    connection.execute("BEGIN")
    with connection:
        rows: list[tuple[Any, ...]] = asked(
            connection,
            addresses,
            f"""
            SELECT type, id, actors.key, record, {selected}, first.position, first.at_us, first.entry,
                last.position, last.at_us, last.entry
            FROM asked CROSS JOIN actors USING (type, id) {join}
            LEFT JOIN log AS first ON first.position = (SELECT min(position) FROM log WHERE log.key = actors.key)
            LEFT JOIN log AS last ON last.position = (SELECT max(position) FROM log WHERE log.key = actors.key)
            """,  # noqa: S608  ours
        )
    found: dict[Address, Inspection | StoreError] = {}
    for type_, id_, key, record, *columns in rows:
        address, seen = Address(type_, id_), facets_in(kinds, *columns[:FACETS_READ])
        found[address] = inspection_of(address, key, record, columns[FACETS_READ:], unsealed, facets=seen)
    return found


def read_items(
    address: Address, names: Sequence[str], expiring: int, unsealed: Unsealed, connection: sqlite3.Connection
) -> FoundItems | None:
    """Read items of an actor; see `Store.items`."""
    distinct = list(dict.fromkeys(names))
    try:
        connection.execute("BEGIN")
        with connection:
            owner = _owner_of_items(connection, address)
            if owner is None:
                return None
            if expiring:
                rows = connection.execute(EXPIRING, (owner[0], expiring)).fetchall()
                return found_expiring(address, owner, rows, unsealed)
            return found_items(address, owner, _rows_of_items(connection, owner[0], distinct), unsealed)
    except sqlite3.DatabaseError as error:
        if expiring or not is_damage(error):
            raise
    return _read_one_by_one(address, distinct, unsealed, connection)


def _read_one_by_one(
    address: Address, names: Sequence[str], unsealed: Unsealed, connection: sqlite3.Connection
) -> FoundItems | None:
    """Read the readable items one by one, after a page could not be read.

    Not in a transaction: a damaged page would end it. The record is read first; its actor knows later changes of items.
    """
    owner = _owner_of_items(connection, address)
    if owner is None:
        return None
    rows, lost = list[tuple[Any, ...]](), dict[str, str]()
    for name in names:
        try:
            rows += _rows_of_items(connection, owner[0], [name])
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            lost[name] = f"its page cannot be read: {error}"
    found = found_items(address, owner, rows, unsealed)
    found.damaged.update(lost)
    return found


def _owner_of_items(connection: sqlite3.Connection, address: Address) -> tuple[int, Any] | None:
    owner: tuple[int, Any] | None = connection.execute(
        "SELECT key, record FROM actors WHERE type = ? AND id = ?", address
    ).fetchone()
    return owner


def _rows_of_items(connection: sqlite3.Connection, key: int, names: Sequence[str]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    values = flat((key, name.encode()) for name in names)
    for sql, some in rows_of("WITH asked (key, name) AS (VALUES ", 2, values, f") {ASKED_ITEMS}"):
        rows += connection.execute(sql, some).fetchall()
    return rows


ASKED_ITEMS = "SELECT items.name, version, expires_us, value FROM asked CROSS JOIN items USING (key, name)"
EXPIRING = """
    SELECT expires_us, name, version FROM items WHERE key = ? AND expires_us > 0 ORDER BY expires_us, name LIMIT ?
"""


def read_ids(actor_type: str, after: str | None, limit: int, connection: sqlite3.Connection) -> list[str]:
    """List ids of a type; see `Store.ids`."""
    # SQLite compares text as UTF-8, which is the order of code points.
    rows = connection.execute(
        "SELECT id FROM actors WHERE type = ? AND id > ? ORDER BY id LIMIT ?"
        if after is not None
        else "SELECT id FROM actors WHERE type = ? AND ? IS NULL ORDER BY id LIMIT ?",
        (actor_type, after, limit),
    )
    return [row[0] for row in rows.fetchall()]


def read_active(connection: sqlite3.Connection) -> list[Address]:
    """List the actors that have the active mark; see `Store.active`."""
    rows = _with_names(connection, "SELECT type, id FROM active CROSS JOIN {actors} USING (key) ORDER BY active.key")
    return [Address(*row) for row in rows]


def in_shards(addresses: Sequence[Address], shards: Collection[int], *, of: int) -> list[Address]:
    """The addresses among these that belong to `shards`, in a store that has `of` shards."""
    return [address for address in addresses if shard_of(address.id, of) in shards]


class Wanted(NamedTuple):
    """The range and the shards of reminders to read; see `Store.reminders`."""

    after: Reminder | None
    until: Reminder | None
    shards: frozenset[int] | None
    of: int  # how many shards the whole store has

    def has(self, reminder: Reminder) -> bool:
        """Whether a reminder belongs to one of the shards. Rows have no shard, because a file belongs to one host."""
        return self.shards is None or shard_of(reminder.address.id, self.of) in self.shards


def read_reminders(wanted: Wanted, limit: int, connection: sqlite3.Connection) -> list[Reminder]:
    """Read the next reminders; see `Store.reminders`."""
    found: list[Reminder] = []
    while page := _read_reminders(wanted, limit, connection):
        found += filter(wanted.has, page)
        if len(found) >= limit or len(page) < limit:
            break
        wanted = wanted._replace(after=page[-1])
    return found[:limit]


def _read_reminders(wanted: Wanted, limit: int, connection: sqlite3.Connection) -> list[Reminder]:
    # CROSS JOIN fixes this order, reminders first; otherwise SQLite might sort all of them.
    rows = _with_names(
        connection,
        """
        SELECT due_us, key, name, type, id FROM reminders CROSS JOIN {actors} USING (key)
        WHERE (due_us, key, name) > (?, ?, ?) AND (due_us, key, name) <= (?, ?, ?) ORDER BY due_us, key, name LIMIT ?
        """,
        *(wanted.after[:3] if wanted.after is not None else FIRST),
        *(wanted.until[:3] if wanted.until is not None else LAST),
        limit,
    )
    return [Reminder(due_us, key, name, Address(type_, id_)) for due_us, key, name, type_, id_ in rows]


def _with_names(connection: sqlite3.Connection, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a query that needs the type and the id of actors by their keys.

    If a page of the table of actors cannot be read, type and id are read from its index, which is slow: so a damaged
    actor does not affect the reminders of others.
    """
    try:
        return connection.execute(query.format(actors="actors"), values).fetchall()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
    names = "SELECT key, type, id FROM actors INDEXED BY sqlite_autoindex_actors_1"
    return connection.execute(f"WITH named AS MATERIALIZED ({names}) {query.format(actors='named')}", values).fetchall()


def asked(connection: sqlite3.Connection, addresses: Sequence[Address], select: str) -> list[Any]:
    """Run `select` with the addresses as a table `asked (type, id)`."""
    rows: list[Any] = []
    for sql, values in rows_of("WITH asked (type, id) AS (VALUES ", 2, flat(addresses), f") {select}"):
        rows += connection.execute(sql, values).fetchall()
    return rows
