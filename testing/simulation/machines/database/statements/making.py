"""Making the tables of a store: statements without arguments, in one transaction.

The rule: the tables are there once the transaction is committed, all of them, as the product's own statements say.
"""

import re
from collections.abc import Mapping, Sequence

from ......actors.store.postgres.driver import Refused, Statement
from ..backend import Lacking, Scene
from ..tables import Table, index_made, table_made
from ..transactions import Row, Strength
from ..work import Waiting, Work

ALREADY_THERE = "42P07"

_LOCK = re.compile(r"SELECT pg_advisory_xact_lock\((-?\d+), (-?\d+)\)")
_META = re.compile(r"INSERT INTO meta \(name, value\) VALUES (.*)")
_META_ROW = re.compile(r"\('([^']+)', (-?\d+)\)")
# The format in which hosts write, and its raising.
_FORMAT_LOCK = "SELECT value FROM meta WHERE name = 'format' FOR UPDATE"
_FORMAT = re.compile(r"UPDATE meta SET value = (\d+) WHERE name = 'format' AND value < \1 AND NOT EXISTS .*")
_SHARDS = re.compile(r"INSERT INTO shards \(shard\) SELECT generate_series\((\d+), (\d+)\)")
# Fails if there is another number of apps than there was.
_APPS = re.compile(r"INSERT INTO meta .* WHERE name LIKE 'app:%' HAVING count\(\*\) <> (\d+)")
# Statements without an effect where nothing takes time and nothing is on a disk.
_IGNORED = ("CREATE SCHEMA IF NOT EXISTS ", "ALTER TABLE ", "SET LOCAL lock_timeout = ")
# No host of an earlier version of the tables is ever there.
_FIRST_VERSION = "UPDATE meta SET value = greatest(value, "

# By which columns the functions of statements find rows, beside the keys.
INDEXES = {"log": ("key",), "actors": ("type", "id"), "reminders": ("due_us", "key", "name"), "items": ("key",)}


def together(scene: Scene, statement: Statement, statements: Sequence[str]) -> Waiting[Sequence[Row]]:
    """Run statements of the making of a store."""
    tables: dict[str, Table] = {}
    for sql in statements:
        scene.work.renew()
        if lock := _LOCK.fullmatch(sql):
            yield from _lock(scene, int(lock[1]), int(lock[2]))
        elif made := table_made(sql):
            if scene.backend.schema in scene.server.schemas:
                raise Refused(ALREADY_THERE, f'relation "{made.name}" already exists')
            tables[made.name] = Table(made)
        elif index := index_made(sql):
            assert index[0] in tables, f"an index of a table that is not there: {sql}"
        elif sql == _FORMAT_LOCK:
            yield from _raise_format(scene, None)
        elif raised := _FORMAT.fullmatch(sql):
            yield from _raise_format(scene, int(raised[1]))
        elif not sql.startswith((*_IGNORED, _FIRST_VERSION)):
            yield from _fill(scene.work, tables or scene.tables, sql)
    for name, columns in INDEXES.items():
        if name in tables:
            tables[name].index(*columns)
    schema, server = scene.backend.schema, scene.server
    if tables:
        scene.backend.when_committed.append(lambda: server.schemas.update({schema: tables}))
    return []


def _raise_format(scene: Scene, to: int | None) -> Waiting[None]:
    """Lock the row of the format, or make the format a newer one that all hosts read."""
    meta, hosts, work = scene.tables["meta"], scene.tables["hosts"], scene.work
    known = min((row[hosts.at["format_max"]] for row in work.scan(hosts)), default=to)
    for version in work.find(meta, meta.keys[0], "format"):
        if to is None:
            yield from work.lock(version, Strength.UPDATE)
        elif known is not None and known >= to and version.row[meta.at["value"]] < to:
            yield from work.update(version, lambda row: meta.changed(row, value=to))


def _fill(work: Work, tables: Mapping[str, Table], sql: str) -> Waiting[None]:
    if known := _APPS.fullmatch(sql):
        rows = work.scan(tables["meta"])
        if sum(str(row[tables["meta"].at["name"]]).startswith("app:") for row in rows) != int(known[1]):
            raise Refused("23505", "another host has entered an app")
    elif meta := _META.fullmatch(sql):
        for name, value in _META_ROW.findall(meta[1]):
            yield from work.insert(tables["meta"], (name, int(value)))
    elif shards := _SHARDS.fullmatch(sql):
        for shard in range(int(shards[1]), int(shards[2]) + 1):
            yield from work.insert(tables["shards"], tables["shards"].row(shard=shard))
    else:
        raise Lacking(f"the stand-in does not know this step of making tables: {sql}")


def _lock(scene: Scene, class_: int, number: int) -> Waiting[None]:
    """Take an advisory lock until the transaction ends."""
    own, locks = scene.backend.transaction, scene.server.advisory
    assert own is not None
    while (holder := locks.get((class_, number))) is not None and holder is not own and not holder.over:
        yield holder
    locks[class_, number] = own
