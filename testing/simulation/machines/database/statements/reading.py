"""The statements that read actors, logs and reminders, for a host and for a copy.

The rule: a read never waits. If its SQL names no order, it promises none.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from ......actors.store.postgres.driver import Statement
from ......actors.store.postgres.exporting import ROWS_AT_ONCE
from ......actors.store.postgres.settings import VERSION_MIN
from ..backend import Scene
from ..transactions import Row
from .committing import FACETS, require_text


def read_meta(scene: Scene, statement: Statement) -> Sequence[Row]:
    """READ_META: the names and values of `meta`."""
    return list(scene.work.scan(scene.tables["meta"]))


def older_hosts(scene: Scene, statement: Statement) -> Sequence[Row]:
    """OLDER_HOSTS: a host of a release that knows no apps, if one lives."""
    hosts = scene.tables["hosts"]
    said = hosts.getter("name", "release")
    return [said(row) for row in scene.work.scan(hosts) if row[hosts.at["apps"]] is None][:1]


def tables_there(scene: Scene, statement: Statement, schema: str) -> Sequence[Row]:
    """TABLES_THERE: the names of the tables of a schema."""
    return [(name,) for name in scene.server.schemas.get(schema, ())]


def show(scene: Scene, statement: Statement, names: Sequence[str]) -> Sequence[Row]:
    """SHOW: settings of the server."""
    settings = {
        "server_version_num": str(VERSION_MIN * 10_000),
        "server_encoding": "UTF8",
        "synchronous_standby_names": "",
        "transaction_isolation": "read committed",
        **scene.backend.settings,
    }
    return [(name, settings[name]) for name in names if name in settings]


def kinds(scene: Scene, statement: Statement) -> Sequence[Row]:
    """KINDS: all kinds with their numbers."""
    table = scene.tables["kinds"]
    wanted = table.getter("kind", "type", "status", "name", "root")
    return [wanted(row) for row in scene.work.scan(table)]


# Actors.


def _asked(scene: Scene, types: Sequence[str], ids: Sequence[str]) -> Iterable[Row]:
    require_text((list(types), list(ids)))
    actors = scene.tables["actors"]
    by_id = actors.places("type", "id")
    for address in zip(types, ids, strict=True):
        yield from scene.work.rows(actors, by_id, address)


def load(scene: Scene, statement: Statement, types: Sequence[str], ids: Sequence[str]) -> Sequence[Row]:
    """LOAD: actors, each with its entries."""
    actors, log, work = scene.tables["actors"], scene.tables["log"], scene.work
    wanted = actors.getter("record", "type", "id", "active", *FACETS)
    entry = log.getter("key", "position", "at_us", "entry")
    by_key, key_at = log.places("key"), actors.at["key"]
    found: list[Row] = []
    logs: list[Row] = []
    nothing = (None,) * (3 + len(FACETS))
    for row in _asked(scene, types, ids):
        found.append((row[key_at], None, None, *wanted(row)))
        logs += [(*entry(each), *nothing) for each in work.rows(log, by_key, row[key_at])]
    return found + logs


def inspect(scene: Scene, statement: Statement, types: Sequence[str], ids: Sequence[str]) -> Sequence[Row]:
    """INSPECT: actors, each with its record and its last entry."""
    actors, log, work = scene.tables["actors"], scene.tables["log"], scene.work
    wanted = actors.getter("type", "id", "key", "record", *FACETS)
    entry = log.getter("position", "at_us", "entry")
    found: list[Row] = []
    for row in _asked(scene, types, ids):
        entries = sorted(entry(each) for each in work.rows(log, log.places("key"), row[actors.at["key"]]))
        ends = (*entries[0], *entries[-1]) if entries else (None,) * 6
        found.append((*wanted(row), *ends))
    return found


def items(scene: Scene, statement: Statement, type_: str, id_: str, names: Sequence[bytes]) -> Sequence[Row]:
    """ITEMS: items of an actor, by name, with its record."""
    table, actors = scene.tables["items"], scene.tables["actors"]
    owner, wanted = actors.getter("key", "record"), table.getter("name", "version", "expires_us", "value")
    found: list[Row] = []
    for row in _asked(scene, [type_], [id_]):
        key, record = owner(row)
        own = [wanted(each) for name in names for each in scene.work.rows(table, table.keys[0], (key, name))]
        found += [(key, record, *item) for item in own or [(None, None, None, None)]]
    return found


def expiring(scene: Scene, statement: Statement, type_: str, id_: str, limit: int) -> Sequence[Row]:
    """EXPIRING: the items of an actor that expire first."""
    table, actors = scene.tables["items"], scene.tables["actors"]
    owner, wanted = actors.getter("key", "record"), table.getter("expires_us", "name", "version")
    found: list[Row] = []
    for row in _asked(scene, [type_], [id_]):
        key, record = owner(row)
        own = sorted(each for each in map(wanted, scene.work.rows(table, table.places("key"), key)) if each[0] > 0)
        found += [(key, record, *each) for each in own[:limit] or [(None, None, None)]]
    return found


def find_key(scene: Scene, statement: Statement, type_: str, id_: str) -> Sequence[Row]:
    """FIND_KEY: the key of an actor."""
    return [(row[scene.tables["actors"].at["key"]],) for row in _asked(scene, [type_], [id_])]


def any_actor(scene: Scene, statement: Statement) -> Sequence[Row]:
    """ANY_ACTOR: a row if there is any actor."""
    return [(1,) for _ in scene.work.scan(scene.tables["actors"])][:1]


def ids(scene: Scene, statement: Statement, type_: str, limit: int, behind: str | None = None) -> Sequence[Row]:
    """IDS: a page of the ids of a type, in their order."""
    actors = scene.tables["actors"]
    address = actors.getter("type", "id")
    found = (address(row) for row in scene.work.scan(actors))
    # The order of code points, which is that of the bytes of UTF-8.
    right = sorted(id_ for of, id_ in found if of == type_ and (behind is None or id_ > behind))
    return [(id_,) for id_ in right[:limit]]


def active(scene: Scene, statement: Statement, shards: Sequence[int] | None) -> Sequence[Row]:
    """ACTIVE: the actors with an active mark, of some shards or of all."""
    actors = scene.tables["actors"]
    wanted, at, shard_at = actors.getter("key", "type", "id"), actors.at["active"], actors.at["shard"]
    return [wanted(row) for row in scene.work.scan(actors) if row[at] and (shards is None or row[shard_at] in shards)]


def reminders(scene: Scene, statement: Statement, *arguments: Any) -> Sequence[Row]:
    """REMINDERS: a page of reminders in the order of their times, of some shards or of all."""
    due_us, key, name, limit, due_to_us, key_to, name_to, shards = arguments
    table, actors, work = scene.tables["reminders"], scene.tables["actors"], scene.work
    place, address = table.getter("due_us", "key", "name"), actors.getter("type", "id")
    behind, last, shard_at = (due_us, key, name), (due_to_us, key_to, name_to), table.at["shard"]
    asked = (
        here
        for row in work.scan(table)
        if behind < (here := place(row)) <= last and (shards is None or row[shard_at] in shards)
    )
    found: list[Row] = []
    for each in sorted(asked):
        if len(found) == limit:
            break
        found += [(*each, *address(row)) for row in work.rows(actors, actors.keys[0], each[1])]
    return found


# For a copy.


def page(scene: Scene, statement: Statement, after: int, limit: int) -> Sequence[Row]:
    """PAGE: a page of all actors in the order of their keys, for an export."""
    actors = scene.tables["actors"]
    wanted = actors.getter("key", "type", "id", "record", "active", *FACETS)
    return sorted((row for each in scene.work.scan(actors) if (row := wanted(each))[0] > after), key=_first)[:limit]


def logs(scene: Scene, statement: Statement, keys: Sequence[int]) -> Sequence[Row]:
    """LOGS: the entries of these actors."""
    log = scene.tables["log"]
    wanted = log.getter("key", "position", "at_us", "entry")
    return [wanted(row) for key in dict.fromkeys(keys) for row in scene.work.rows(log, log.places("key"), key)]


def timers(scene: Scene, statement: Statement) -> Sequence[Row]:
    """TIMERS: open a cursor over all reminders."""
    table = scene.tables["reminders"]
    wanted = table.getter("key", "name", "due_us")
    scene.backend.cursor = sorted(wanted(row) for row in scene.work.scan(table))
    return []


def next_timers(scene: Scene, statement: Statement) -> Sequence[Row]:
    """NEXT_TIMERS: the next rows of that cursor."""
    rows = scene.backend.cursor
    scene.backend.cursor = rows[ROWS_AT_ONCE:]
    return rows[:ROWS_AT_ONCE]


def close_timers(scene: Scene, statement: Statement) -> Sequence[Row]:
    """CLOSE_TIMERS: close the cursor."""
    scene.backend.cursor = []
    return []


def audit_page(scene: Scene, statement: Statement, after: int, limit: int) -> Sequence[Row]:
    """AUDIT_PAGE: a page of the audit in the order of its numbers."""
    audit = scene.tables["audit"]
    wanted = audit.getter("number", "at_us", "id", "action", "author", "body")
    return sorted((row for each in scene.work.scan(audit) if (row := wanted(each))[0] > after), key=_first)[:limit]


def items_page(scene: Scene, statement: Statement, key: int, name: bytes, limit: int) -> Sequence[Row]:
    """ITEMS_PAGE: a page of all items in the order of keys and names, each with its actor."""
    table, actors = scene.tables["items"], scene.tables["actors"]
    wanted, address = table.getter("key", "name", "version", "expires_us", "value"), actors.getter("type", "id")
    rows = sorted(row for each in scene.work.scan(table) if (row := wanted(each))[:2] > (key, name))[:limit]
    owners = {row[0]: [*map(address, scene.work.rows(actors, actors.keys[0], row[0]))] for row in rows}
    return [(*row, *owner) for row in rows for owner in owners[row[0]] or [(None, None)]]


def _first(row: Row) -> Any:
    return row[0]
