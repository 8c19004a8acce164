"""The schema of a store's SQLite file, and the migrations from older versions.

The rule: every later release opens the files of this one. So no statement here is
changed in place. A new layout is a new version, and a migration that leads to it;
`tests/actors/store/sqlite/test_schema.py` pins the versions that are on disks already.

All functions are synchronous: they run on the thread of their connection. All
modules of `actors/store/sqlite/` use them.
"""

import sqlite3
from collections.abc import Mapping, Sequence

from ...instruments import SYSTEM, Chance, number_of
from ..errors import StoreFailed, StoreForeign, StoreTooNew
from ..part import WHOLE, Part
from ..presence.apps import PREFIX, apps_in
from ..tables.checksums import Unsealed

SCHEMA_VERSION = 5
VERSION_OF_LISTS = 4  # has had the tables of lists and the audit first
VERSION_OF_ITEMS = 5  # has had the table of items first

# Stands in the header of the file (`file perdure.db` shows it), so that the
# database of another program is never taken for a store, or changed. "Prdr".
APPLICATION_ID = 0x50726472

# Names in `meta`.
VERSION = "schema"
SHARDS = "shards"
CREATED_US = "created_us"
RETIRED_KEY = "retired_key"  # the highest key of an actor that was deleted; no key is given out twice
FAILED_COMMITS = "failed_commits"  # see `transact` in actors/store/sqlite/writing.py
PART = "part"  # from version 2: which part of the store this file is, from 0 ...
PARTS = "parts"  # ... of how many
LAYOUT = "layout"  # the same random number in all parts that were made together; 0 if this one was made by itself
STORE = "store"  # from version 3: a random number of this file, which its copies have too
UNSEALED_KEY = "unsealed_key"  # the highest key whose record may have no checksum ...
UNSEALED_POSITION = "unsealed_position"  # ... and the highest position of an entry without one
UNLISTED_KEY = "unlisted_key"  # from version 4: the highest key that an earlier version has written ...
LISTED_KEY = "listed_key"  # ... and up to which of them the facets of actors are known

# Version -> the names in `meta` of such a file.
META: Mapping[int, frozenset[str]] = {
    1: frozenset({VERSION, SHARDS, CREATED_US, RETIRED_KEY, FAILED_COMMITS}),
    2: frozenset({VERSION, SHARDS, CREATED_US, RETIRED_KEY, FAILED_COMMITS, PART, PARTS, LAYOUT}),
    3: frozenset(
        {VERSION, SHARDS, CREATED_US, RETIRED_KEY, FAILED_COMMITS, PART, PARTS, LAYOUT}
        | {STORE, UNSEALED_KEY, UNSEALED_POSITION}
    ),
    4: frozenset(
        {VERSION, SHARDS, CREATED_US, RETIRED_KEY, FAILED_COMMITS, PART, PARTS, LAYOUT}
        | {STORE, UNSEALED_KEY, UNSEALED_POSITION, UNLISTED_KEY, LISTED_KEY}
    ),
    5: frozenset(
        {VERSION, SHARDS, CREATED_US, RETIRED_KEY, FAILED_COMMITS, PART, PARTS, LAYOUT}
        | {STORE, UNSEALED_KEY, UNSEALED_POSITION, UNLISTED_KEY, LISTED_KEY}
    ),
}

# The tables of lists and counts, which version 4 has brought. docs/design/listing.md says what each index is for, and
# what it costs.
LISTS = (
    # The values that actors have in common in lists. Few, so that the rows of `facets` and of its indexes have a number
    # instead.
    """
    CREATE TABLE kinds (
        kind INTEGER PRIMARY KEY,
        type TEXT NOT NULL,
        status TEXT NOT NULL,
        name TEXT NOT NULL,
        root INTEGER NOT NULL,
        UNIQUE (type, status, name, root)
    )
    """,
    # Not columns of `actors`: a page that examines 20 000 actors would read their records, and a store that is
    # migrated would be written anew.
    """
    CREATE TABLE facets (
        key INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL,
        created_us INTEGER NOT NULL,
        updated_us INTEGER NOT NULL,
        ended_us INTEGER,
        parent TEXT,
        tags TEXT
    )
    """,
    "CREATE INDEX facets_created ON facets (kind, created_us)",
    "CREATE INDEX facets_updated ON facets (kind, updated_us)",
    "CREATE INDEX facets_parent ON facets (parent, created_us) WHERE parent IS NOT NULL",
    """
    CREATE TABLE tags (
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        created_us INTEGER NOT NULL,
        key INTEGER NOT NULL,
        PRIMARY KEY (name, value, created_us, key)
    ) WITHOUT ROWID
    """,
)
AUDIT = (
    """
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY,
        at_us INTEGER NOT NULL,
        id TEXT NOT NULL,
        action TEXT NOT NULL,
        author TEXT NOT NULL,
        body BLOB NOT NULL
    )
    """,
    "CREATE INDEX audit_at ON audit (at_us)",
    "CREATE INDEX audit_id ON audit (id, at_us)",
)

# Named values of actors, which version 5 has brought (docs/design/state.md). Clustered by number, and not by name:
# values may be large, and a page of the index of names holds many names.
ITEMS = (
    """
    CREATE TABLE items (
        number INTEGER PRIMARY KEY,
        key INTEGER NOT NULL,
        name BLOB NOT NULL,
        version INTEGER NOT NULL,
        expires_us INTEGER NOT NULL,
        value BLOB NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX items_name ON items (key, name)",
    "CREATE INDEX items_expires ON items (key, expires_us) WHERE expires_us > 0",
)

TABLES = (
    """
    CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE shards (
        shard INTEGER PRIMARY KEY,
        host TEXT,
        epoch INTEGER NOT NULL,
        lease_until_us INTEGER
    )
    """,
    # Names are mapped to time-ordered integers once, here; all other tables have
    # the key, so that the rows of actors of the same time lie together. `type`
    # comes first because there are few types, and the rows of one type stay in
    # the order of their ids.
    """
    CREATE TABLE actors (
        key INTEGER PRIMARY KEY,
        type TEXT NOT NULL,
        id TEXT NOT NULL,
        record BLOB NOT NULL,
        UNIQUE (type, id)
    )
    """,
    "CREATE TABLE active (key INTEGER PRIMARY KEY)",
    # Append-only: positions rise with time, and their order is the log's. A
    # table clustered by actor reads a little faster and writes 4 times slower
    # when a thousand actors take turns. The index alone costs two thirds of
    # the rows that a second holds (110 000 of 360 000 left), and is worth it:
    # without it a load would read the whole table, or a second copy of it
    # would have to be folded in the background.
    # No foreign keys: each would be looked up for each row, and would only
    # catch a bug of ours, which `check` finds.
    """
    CREATE TABLE log (
        position INTEGER PRIMARY KEY,
        key INTEGER NOT NULL,
        at_us INTEGER NOT NULL,
        entry BLOB NOT NULL
    )
    """,
    "CREATE INDEX log_key ON log (key)",
    """
    CREATE TABLE reminders (
        due_us INTEGER NOT NULL,
        key INTEGER NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (due_us, key, name)
    ) WITHOUT ROWID
    """,
    *LISTS,
    *AUDIT,
    *ITEMS,
)

# Old version -> the statements that make the next version of it.
MIGRATIONS: Mapping[int, Sequence[str]] = {
    # Before there were parts, each file was the whole of its store.
    1: ["INSERT INTO meta (name, value) VALUES ('part', 0), ('parts', 1), ('layout', 0)"],
    # Records and entries have checksums from here on. No row is rewritten: older rows have none.
    2: [
        """
        INSERT INTO meta (name, value) VALUES
            ('store', abs(random() / 2) + 1),
            ('unsealed_key', (SELECT coalesce(max(key), 0) FROM actors)),
            ('unsealed_position', (SELECT coalesce(max(position), 0) FROM log))
        """
    ],
    # Only the type of an actor can say its facets, so the host asks it, for a few actors at a time, once the store is
    # open (`actors/hosting/reading/enlisting.py`).
    3: [
        *LISTS,
        *AUDIT,
        "INSERT INTO meta (name, value) VALUES"
        " ('unlisted_key', (SELECT coalesce(max(key), 0) FROM actors)), ('listed_key', 0)",
    ],
    4: ITEMS,
}


def version_of(connection: sqlite3.Connection, path: str) -> int | None:
    """Read the version of a file; None if it is empty.

    Raises:
        StoreTooNew: A newer release wrote it.
        StoreForeign: It is a database of another program.
        StoreFailed: It is no database.
    """
    try:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise StoreFailed(f"{path} cannot be read as a store: {error}") from error
    if (application_id, tables) == (0, 0):
        return None
    if application_id != APPLICATION_ID:
        raise StoreForeign(path)
    version = read_meta(connection, path, VERSION)
    if version < 1:
        raise StoreFailed(f"{path} is damaged: no release writes version {version}. Restore it from a backup.")
    if version > SCHEMA_VERSION:
        raise StoreTooNew(path, found=version, known=SCHEMA_VERSION)
    return version


def read_meta(connection: sqlite3.Connection, path: str, name: str) -> int:
    """Read a number of `meta` that every store has.

    Raises:
        StoreFailed: The number is missing or cannot be read: the file is damaged.
    """
    try:
        row: tuple[int] | None = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    except sqlite3.Error as error:
        raise StoreFailed(f"{path} cannot be read as a store: {error}") from error
    if row is None:
        raise StoreFailed(f"{path} is damaged: it does not say its {name!r}. Restore it from a backup.")
    return row[0]


def read_apps(connection: sqlite3.Connection) -> Mapping[str, int]:
    """Read the apps of a store, with their numbers."""
    return apps_in(connection.execute("SELECT name, value FROM meta"))


def write_apps(apps: Mapping[str, int], connection: sqlite3.Connection) -> None:
    """Replace the apps of the file by these. The caller holds the transaction."""
    gone = [(f"{PREFIX}{name}",) for name in read_apps(connection) if name not in apps]
    connection.executemany("DELETE FROM meta WHERE name = ?", gone)
    rows = [(f"{PREFIX}{name}", number) for name, number in apps.items()]
    connection.executemany("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", rows)


def part_in(connection: sqlite3.Connection, path: str, *, version: int) -> Part:
    """Read which part of its store a file of `version` is.

    Raises:
        StoreFailed: The part is missing or impossible: the file is damaged.
    """
    if version == 1:
        return WHOLE
    index, of = (read_meta(connection, path, name) for name in (PART, PARTS))
    if not 0 <= index < of:
        raise StoreFailed(f"{path} is damaged: it says it is part {index} of {of}. Restore it from a backup.")
    return Part(index, of)


def unsealed_in(connection: sqlite3.Connection, path: str, *, version: int) -> Unsealed:
    """Read which rows of a file of `version` may have no checksum.

    Raises:
        StoreFailed: The file does not say: it is damaged.
    """
    if version < 3:
        return Unsealed(key=NO_LIMIT, position=NO_LIMIT)
    return Unsealed(*(read_meta(connection, path, name) for name in (UNSEALED_KEY, UNSEALED_POSITION)))


NO_LIMIT = 2**63 - 1


def create(
    connection: sqlite3.Connection,
    *,
    shards: int,
    created_us: int,
    part: Part = WHOLE,
    layout: int = 0,
    chance: Chance = SYSTEM.chance,
) -> None:
    """Make an empty file a store, or a part of one. The caller holds the transaction.

    A part has rows of its own shards only, so that a commit for a shard of another
    part finds no epoch and is refused.

    Args:
        shards: How many the whole store has.
        created_us: Unix time, microseconds.
        layout: As for LAYOUT.
        chance: Draws the number of the file.
    """
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for statement in TABLES:
        connection.execute(statement)
    meta = {VERSION: SCHEMA_VERSION, SHARDS: shards, CREATED_US: created_us, RETIRED_KEY: 0, FAILED_COMMITS: 0}
    meta |= {PART: part.index, PARTS: part.of, LAYOUT: layout}
    meta |= {STORE: number_of(chance, 62), UNSEALED_KEY: 0, UNSEALED_POSITION: 0}
    meta |= {UNLISTED_KEY: 0, LISTED_KEY: 0}
    connection.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", meta.items())
    own = filter(part.holds, range(shards))
    connection.executemany("INSERT INTO shards (shard, epoch) VALUES (?, 0)", ((shard,) for shard in own))


def migrate(connection: sqlite3.Connection, *, found: int) -> None:
    """Bring a store from version `found` to this release's. The caller holds the transaction.

    All steps share one transaction: after a crash the file has its old
    version, whole, and the older release still opens it.
    """
    for version in range(found, SCHEMA_VERSION):
        for statement in MIGRATIONS[version]:
            connection.execute(statement)
    connection.execute("UPDATE meta SET value = ? WHERE name = ?", (SCHEMA_VERSION, VERSION))
