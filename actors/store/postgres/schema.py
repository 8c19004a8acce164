"""The tables of a store on PostgreSQL, and the migration steps from older versions.

The rule: hosts of the release before go on working during a step. So a step only adds, and changes or rewrites nothing
that an older release reads. `meta` has the version of the tables, and the oldest version that a release must know to
work with them: a release that knows less is refused. No statement here is changed in place;
`tests/actors/store/postgres/test_schema.py` pins the tables of databases that exist.

A step is one transaction. It waits for a lock for at most LOCK_WAIT_MS, because all commits queue up behind a change of
a table that waits for its lock. An index on a table with rows is made outside of the step, CONCURRENTLY.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import anyio

from ..errors import StoreFailed, StoreForeign, StoreTooNew
from ..presence.apps import PREFIX, AppNames, apps_in, with_apps
from .driver import DatabaseSession, Refused, Statement, pairs_of
from .url import DatabaseUrl

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 5
SEVERAL_APPS = 4  # the version that knows of several apps
LOCK_WAIT_MS = 1_000
LOCK_POLL_S = 0.2
# The first number of all advisory locks of stores ("Prdr"); the second number is derived from the schema.
LOCK_CLASS = 0x50726472

META = "meta"
# Names in it.
VERSION = "schema"  # the version of the tables
OLDEST = "oldest"  # the lowest version that a release must know
SHARDS = "shards"
CREATED_US = "created_us"
NEXT_KEY = "next_key"  # the first key of the next block
FORMAT = "format"  # the format in which hosts write (`actors/store/cluster.py`)
COPYING = "copying"  # 1 while the store is the unfinished target of a copy

# Named values of actors, added by version 3. Pages have free room for values that change often.
ITEMS = (
    """
    CREATE TABLE items (
        key bigint NOT NULL,
        name bytea NOT NULL,
        version bigint NOT NULL,
        expires_us bigint NOT NULL,
        value bytea NOT NULL,
        PRIMARY KEY (key, name)
    ) WITH (fillfactor = 80)
    """,
    "CREATE INDEX items_expires ON items (key, expires_us) WHERE expires_us > 0",
    "ALTER TABLE items ALTER value SET STORAGE EXTERNAL",
    "ALTER TABLE items SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000)",
)

# Notes of work under way on hosts, added by version 5. Rows are short-lived.
FLIGHTS = (
    """
    CREATE TABLE flights (
        host bigint NOT NULL,
        type text COLLATE "C" NOT NULL,
        id text COLLATE "C" NOT NULL,
        what text COLLATE "C" NOT NULL,
        shard int NOT NULL,
        epoch bigint NOT NULL,
        begun double precision,
        ends int NOT NULL,
        early int NOT NULL,
        alone int NOT NULL,
        took double precision NOT NULL,
        tried boolean NOT NULL,
        PRIMARY KEY (host, type, id, what)
    )
    """,
    "ALTER TABLE flights SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,"
    " autovacuum_vacuum_cost_delay = 0)",
)

TABLES = (
    'CREATE TABLE meta (name text COLLATE "C" PRIMARY KEY, value bigint NOT NULL)',
    # One row for each living host. A host that deletes the row of another host kills it. Rarely updated, because each
    # commit locks its host's row. `life` grows with each reconnection, and voids statements that were sent before.
    """
    CREATE TABLE hosts (
        host bigint PRIMARY KEY,
        life bigint NOT NULL DEFAULT 0,
        state smallint NOT NULL,
        name text NOT NULL,
        place text NOT NULL,
        address text NOT NULL,
        release text NOT NULL,
        wire_min int NOT NULL,
        wire_max int NOT NULL,
        format_max int NOT NULL DEFAULT 1,
        apps text[]
    ) WITH (fillfactor = 50)
    """,
    # A table apart from `hosts`, because it is updated twice a second: while any session holds a snapshot, each update
    # leaves a row version that every commit would have to skip.
    "CREATE TABLE beats (host bigint PRIMARY KEY, beat bigint NOT NULL DEFAULT 0) WITH (fillfactor = 10)",
    """
    CREATE TABLE shards (shard int PRIMARY KEY, host bigint, epoch bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50)
    """,
    # Pairs: `host` cannot reach `peer`.
    "CREATE TABLE cuts (host bigint NOT NULL, peer bigint NOT NULL, PRIMARY KEY (host, peer))",
    # Values that all hosts share: the authorities that sign their certificates.
    'CREATE TABLE secrets (name text COLLATE "C" PRIMARY KEY, value bytea NOT NULL)',
    # The combinations of listed values. There are few, so rows and indexes have the number of a combination instead.
    """
    CREATE TABLE kinds (
        kind int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        type text COLLATE "C" NOT NULL,
        status text COLLATE "C" NOT NULL,
        name text COLLATE "C" NOT NULL,
        root boolean NOT NULL,
        UNIQUE (type, status, name, root)
    )
    """,
    "CREATE TABLE tallies (kind int NOT NULL, more bigint NOT NULL)",
    # The active mark and the facets are columns, because they mostly change together with the record.
    # COLLATE "C": ids are in the order of their code points in a database of any language.
    """
    CREATE TABLE actors (
        key bigint PRIMARY KEY,
        shard int NOT NULL,
        type text COLLATE "C" NOT NULL,
        id text COLLATE "C" NOT NULL,
        active boolean NOT NULL,
        record bytea NOT NULL,
        kind int,
        created_us bigint,
        updated_us bigint,
        ended_us bigint,
        parent text COLLATE "C",
        tags text,
        UNIQUE (type, id)
    ) WITH (fillfactor = 80)
    """,
    "CREATE INDEX actors_active ON actors (shard, key) WHERE active",
    "CREATE INDEX actors_created ON actors (kind, created_us, key)",
    "CREATE INDEX actors_updated ON actors (kind, updated_us, key)",
    "CREATE INDEX actors_parent ON actors (parent, created_us, key) WHERE parent IS NOT NULL",
    # position = epoch of the shard << 40 | a number that its owner counts.
    """
    CREATE TABLE log (
        key bigint NOT NULL,
        position bigint NOT NULL,
        at_us bigint NOT NULL,
        entry bytea NOT NULL,
        PRIMARY KEY (key, position)
    )
    """,
    # Large entries are not compressed: pglz costs more than the disk that it saves.
    "ALTER TABLE log ALTER entry SET STORAGE EXTERNAL",
    """
    CREATE TABLE reminders (
        due_us bigint NOT NULL,
        key bigint NOT NULL,
        name text COLLATE "C" NOT NULL,
        shard int NOT NULL,
        PRIMARY KEY (due_us, key, name)
    )
    """,
    """
    CREATE TABLE tags (
        name text COLLATE "C" NOT NULL,
        value text COLLATE "C" NOT NULL,
        created_us bigint NOT NULL,
        key bigint NOT NULL,
        PRIMARY KEY (name, value, created_us, key)
    )
    """,
    """
    CREATE TABLE audit (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at_us bigint NOT NULL,
        id text COLLATE "C" NOT NULL,
        action text COLLATE "C" NOT NULL,
        author text COLLATE "C" NOT NULL,
        body bytea NOT NULL
    )
    """,
    "CREATE INDEX audit_at ON audit (at_us, number)",
    "CREATE INDEX audit_id ON audit (id, at_us, number)",
    # Tables with short-lived rows: vacuumed early, and without delays.
    *(
        f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,"
        " autovacuum_vacuum_cost_delay = 0)"
        for table in ("reminders", "beats", "tallies")
    ),
    *ITEMS,
    *FLIGHTS,
)
# A schema that has some of these tables but not `meta` belongs to another program.
TABLE_NAMES = (
    "hosts", "beats", "shards", "cuts", "secrets", "kinds", "tallies", "actors", "log", "reminders", "tags", "audit",
    "items", "flights",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Migration:
    """The statements from a version to the next one."""

    statements: Sequence[str] = ()  # in one transaction
    indexes: Sequence[str] = ()  # before the transaction, one by one: CREATE INDEX CONCURRENTLY IF NOT EXISTS
    oldest: int | None = None  # the lowest version that a release must know from here on, if that changes


STEPS: Mapping[int, Migration] = {
    1: Migration(
        statements=(
            # The default is the format of hosts of version 1, which do not write this column.
            "ALTER TABLE hosts ADD COLUMN format_max int NOT NULL DEFAULT 1",
            f"INSERT INTO meta (name, value) VALUES ('{FORMAT}', 1)",
        )
    ),
    2: Migration(statements=ITEMS),
    # NULL: a host of an older release, which has the first app.
    3: Migration(statements=("ALTER TABLE hosts ADD COLUMN apps text[]",)),
    4: Migration(statements=FLIGHTS),
}

READ_META = Statement("read meta", "SELECT name, value FROM meta")
TABLES_THERE = Statement(
    "tables there",
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1",
)
# Hosts of a release that knows only the first app.
OLDER_HOSTS = Statement("older hosts", "SELECT name, release FROM hosts WHERE apps IS NULL LIMIT 1")
TRY_LOCK = Statement("try lock", "SELECT pg_try_advisory_lock($1::int, $2::int)")
UNLOCK = Statement("unlock", "SELECT pg_advisory_unlock($1::int, $2::int)")
HALF_MADE = Statement(
    "half made",
    "SELECT 1 FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_namespace AS n"
    " ON n.oid = c.relnamespace WHERE c.relname = $1 AND n.nspname = current_schema() AND NOT i.indisvalid",
)
ABSENT = frozenset({"42P01", "3F000"})  # no such table, no such schema
FASTER_MAX = 10  # tries of a step that fails because its table exists, although no host has taken the step
DONE_BY_ANOTHER = frozenset({"42P07", "42P06", "42701", "42710", "23505"})  # the object exists already


async def make_ready(session: DatabaseSession, url: DatabaseUrl, *, shards: int, now_us: int) -> Mapping[str, int]:
    """Make the tables if there are none, or bring them to this release's version.

    Args:
        shards: How many shards a new store gets.
        now_us: Unix time, microseconds.

    Returns:
        The rows of `meta`: name -> value.

    Raises:
        StoreTooNew, StoreForeign, StoreFailed: The schema has no store that this release can use.
        Refused, Lost: As for a session.
    """
    faster = 0  # how often another host was faster, since the last change of the version
    before: Mapping[str, int] | None = None
    while True:
        meta = await read_meta(session)
        faster, before = faster if meta == before else 0, meta
        try:
            if meta is None:
                await _create(session, url, shards=shards, now_us=now_us)
            elif meta[OLDEST] > SCHEMA_VERSION:
                raise StoreTooNew(url.shown, found=meta[OLDEST], known=SCHEMA_VERSION)
            elif meta[VERSION] >= SCHEMA_VERSION:
                return meta
            else:
                await _migrate(session, url, found=meta[VERSION])
        except Refused as refused:
            if refused.state in DONE_BY_ANOTHER and faster < FASTER_MAX:
                faster += 1
                continue
            if refused.state in DONE_BY_ANOTHER and meta is not None:
                raise StoreFailed(
                    f"{url.name} says in meta that it has version {meta[VERSION]}, and its tables are of a later one "
                    f"({refused.message}). Was meta changed by hand? A release that knew this store has had it at "
                    f"version {SCHEMA_VERSION} or above: set it back to what it was, or restore a backup"
                ) from refused
            if refused.state != "55P03":
                raise
            logger.info("waiting for a lock to bring %s to version %d", url.shown, SCHEMA_VERSION)
            await anyio.sleep(0.2)


async def read_meta(session: DatabaseSession) -> Mapping[str, int] | None:
    """The rows of `meta`: name -> value; None if there are no tables."""
    try:
        return pairs_of(await session.run(READ_META))
    except Refused as refused:
        if refused.state in ABSENT:
            return None
        raise


async def _create(session: DatabaseSession, url: DatabaseUrl, *, shards: int, now_us: int) -> None:
    there = {name for (name,) in await session.run(TABLES_THERE, (url.schema,))}
    if META in there:
        return  # another host has made it meanwhile
    if there.intersection(TABLE_NAMES):
        raise StoreForeign(url.name)
    meta = {VERSION: SCHEMA_VERSION, OLDEST: 1, SHARDS: shards, CREATED_US: now_us, NEXT_KEY: 1, COPYING: 0, FORMAT: 1}
    rows = ", ".join(f"('{name}', {value})" for name, value in meta.items())
    await session.run_together(
        [
            *_locked(url),
            f'CREATE SCHEMA IF NOT EXISTS "{url.schema}"',  # it may be a word of SQL
            *TABLES,
            f"INSERT INTO meta (name, value) VALUES {rows}",
            f"INSERT INTO shards (shard) SELECT generate_series(0, {shards - 1})",
        ]
    )


async def _migrate(session: DatabaseSession, url: DatabaseUrl, *, found: int) -> None:
    step = STEPS[found]
    if step.indexes:
        await _make_indexes(session, url, step.indexes, found=found)
    oldest = [f"UPDATE meta SET value = {step.oldest} WHERE name = '{OLDEST}'"] if step.oldest is not None else []
    await session.run_together(
        [
            *_locked(url),
            # Fails if another host has taken the step, and then the whole transaction fails.
            f"INSERT INTO meta (name, value) SELECT '{VERSION}', 0 FROM meta"
            f" WHERE name = '{VERSION}' AND value <> {found}",
            *step.statements,
            *oldest,
            f"UPDATE meta SET value = {found + 1} WHERE name = '{VERSION}'",
        ]
    )


async def _make_indexes(session: DatabaseSession, url: DatabaseUrl, indexes: Sequence[str], *, found: int) -> None:
    """Make indexes one by one, while other hosts work; return early if another host takes the step meanwhile.

    A host that waits for another host polls without a transaction, because making an index waits for all open ones.
    """
    lock = (LOCK_CLASS, _lock_number(url))
    # Behind a pooler a lock would stay with the session that took it, so it is not used there: two hosts may make an
    # index twice.
    while url.prepare and not (await session.run(TRY_LOCK, lock))[0][0]:  # noqa: ASYNC110  another process has it
        await anyio.sleep(LOCK_POLL_S)
    try:
        meta = await read_meta(session)
        if meta is None or meta[VERSION] != found:
            return
        for index in indexes:
            name = index.split(" ON ")[0].split()[-1]
            if await session.run(HALF_MADE, (name,)):
                # The host that made the index has ended before it was complete, so the index is invalid.
                await session.run(Statement("drop index", f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
            await session.run(Statement("index", index))
    finally:
        if url.prepare and not session.lost:
            await session.run(UNLOCK, lock)


async def enter_apps(session: DatabaseSession, url: DatabaseUrl, asked: AppNames) -> Mapping[str, int]:
    """Enter the apps of a host, and the shards of new apps; return all apps and their numbers.

    Raises:
        StoreFailed: A living host knows only the first app.
        Refused, Lost: As for a session.
    """
    while True:
        meta = await read_meta(session) or {}
        known = apps_in(meta.items())
        apps = with_apps(known, asked, alone=False)
        if apps == known:
            return known
        news = {name: number for name, number in apps.items() if name not in known}
        rows = ", ".join(f"('{_quoted(PREFIX + name)}', {number})" for name, number in news.items())
        shards = [(number * meta[SHARDS], (number + 1) * meta[SHARDS] - 1) for number in news.values() if number]
        if shards and (older := await session.run(OLDER_HOSTS)):
            name, release = older[0]
            raise StoreFailed(
                f"{url.name} has one app, and a host on {name} has release {release}, which knows of no other. Upgrade "
                f"it before a host with {', '.join(map(repr, news))} comes."
            )
        # A release that knows only one app would take the shards of the others for its own.
        raised = [f"UPDATE meta SET value = greatest(value, {SEVERAL_APPS}) WHERE name = '{OLDEST}'"] if shards else []
        try:
            await session.run_together(
                [
                    *_locked(url),
                    # Fails if another host has entered an app since the apps were read.
                    f"INSERT INTO meta (name, value) SELECT '{VERSION}', 0 FROM meta"
                    f" WHERE name LIKE '{PREFIX}%' HAVING count(*) <> {len(known)}",
                    *raised,
                    f"INSERT INTO meta (name, value) VALUES {rows}",
                    *(f"INSERT INTO shards (shard) SELECT generate_series({a}, {b})" for a, b in shards),
                ]
            )
        except Refused as refused:
            if refused.state not in DONE_BY_ANOTHER:
                raise


def _quoted(text: str) -> str:
    return text.replace("'", "''")


async def too_new(session: DatabaseSession, url: DatabaseUrl, known: int) -> StoreTooNew:
    """The error for a host that does not read the format in which other hosts write.

    Raises:
        Refused, Lost: As for a session.
    """
    meta = await read_meta(session) or {}
    return StoreTooNew(url.shown, found=meta.get(FORMAT, 0), known=known)


async def raise_format(session: DatabaseSession, to: int) -> int:
    """Let hosts write a newer format, if all living hosts read it; return the format that they write then.

    A host that joins locks the row of the format until its own row is committed. So the hosts are read in a separate
    statement, after the lock was taken.

    Raises:
        Refused, Lost: As for a session.
    """
    unread = f"NOT EXISTS (SELECT 1 FROM hosts WHERE format_max < {to})"
    await session.run_together(
        [
            f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}",
            f"SELECT value FROM meta WHERE name = '{FORMAT}' FOR UPDATE",
            f"UPDATE meta SET value = {to} WHERE name = '{FORMAT}' AND value < {to} AND {unread}",
            # A release of version 1 does not check the format when it joins.
            f"UPDATE meta SET value = greatest(value, 2) WHERE name = '{OLDEST}'"
            f" AND EXISTS (SELECT 1 FROM meta WHERE name = '{FORMAT}' AND value > 1)",
        ]
    )
    found = pairs_of(await session.run(READ_META))
    raised: int = found[FORMAT]
    return raised


def _locked(url: DatabaseUrl) -> Sequence[str]:
    """The statements that let one host at a time change the tables of a schema."""
    lock = f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {_lock_number(url)})"
    return [f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}", lock]


def _lock_number(url: DatabaseUrl) -> int:
    return crc32(url.schema.encode()) - 2**31


def require_whole(meta: Mapping[str, int], url: DatabaseUrl) -> None:
    """Raise `StoreFailed` for a store that is the unfinished target of a copy."""
    if meta.get(COPYING):
        raise StoreFailed(
            f"{url.name} is being made by `perdure store copy`, which has not ended. Call it again with the same "
            "--from and --to: it goes on where it was."
        )
