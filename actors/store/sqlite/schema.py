"""The schema of a store's SQLite file, and the migrations from older versions.

The rule: every later release opens the files of this release. So no statement here is
changed in place. A new layout is a new version with a migration to it;
`tests/actors/store/sqlite/test_schema.py` pins the versions that are in use.

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
VERSION_OF_LISTS = 4  # the first version with the tables of lists and the audit
VERSION_OF_ITEMS = 5  # the first version with the table of items

# The number in the header of the file (`file perdure.db` shows it), so that the
# database of another program is never taken for a store, or changed. "Prdr".
APPLICATION_ID = 0x50726472

# Names in `meta`.
VERSION = "schema"
SHARDS = "shards"
CREATED_US = "created_us"
RETIRED_KEY = "retired_key"  # the highest key of a deleted actor; no key is used twice
FAILED_COMMITS = "failed_commits"  # see `transact` in actors/store/sqlite/writing.py
PART = "part"  # from version 2: the index of this part of the store, from 0 ...
PARTS = "parts"  # ... and the number of parts
LAYOUT = "layout"  # the same random number in all parts that were made together; 0 if this part was made alone
STORE = "store"  # from version 3: a random number of this file, which its copies have too
UNSEALED_KEY = "unsealed_key"  # the highest key whose record may have no checksum ...
UNSEALED_POSITION = "unsealed_position"  # ... and the highest position of an entry without one
UNLISTED_KEY = "unlisted_key"  # from version 4: the highest key that an earlier version has written ...
LISTED_KEY = "listed_key"  # ... and the highest key up to which the facets of actors are known

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

# The tables of lists and counts, added by version 4. docs/design/listing.md describes the purpose and the cost of each
# index.
LISTS = (
    # The combinations of listed values. There are few, so the rows of `facets` and of its indexes have the number of a
    # combination instead.
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
    # A table apart from `actors`: otherwise a page that examines 20 000 actors would read their records, and a
    # migration would write the whole store anew.
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

# Named values of actors, added by version 5 (docs/design/state.md). Clustered by number, and not by name: values may be
# large, while a page of the index of names holds many names.
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
    # No foreign keys: each would cost a lookup for each row, and would only
    # catch bugs of this code, which `check` finds.
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
    # Before there were parts, each file was a whole store.
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
    # Only the type of an actor can make its facets, so the host does it, for a few actors at a time, once the store is
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
        StoreFailed: It is not a database.
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
    """Read a number in `meta` that every store has.

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
    """Read the apps of a store and their numbers."""
    return apps_in(connection.execute("SELECT name, value FROM meta"))


def write_apps(apps: Mapping[str, int], connection: sqlite3.Connection) -> None:
    """Replace the apps of the file by `apps`. The caller holds the transaction."""
    gone = [(f"{PREFIX}{name}",) for name in read_apps(connection) if name not in apps]
    connection.executemany("DELETE FROM meta WHERE name = ?", gone)
    rows = [(f"{PREFIX}{name}", number) for name, number in apps.items()]
    connection.executemany("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", rows)


def part_in(connection: sqlite3.Connection, path: str, *, version: int) -> Part:
    """Read the part of its store that a file of `version` is.

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
        StoreFailed: The numbers are missing: the file is damaged.
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
    """Turn an empty file into a store, or into a part of a store. The caller holds the transaction.

    A part has rows of its own shards only, so that a commit for a shard of another
    part finds no epoch and is refused.

    Args:
        shards: How many shards the whole store has.
        created_us: Unix time, microseconds.
        layout: The number for LAYOUT.
        chance: Random bytes for the number of the file.
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

    All steps share one transaction: after a crash the file still has its
    old version, and the older release opens it.
    """
    for version in range(found, SCHEMA_VERSION):
        for statement in MIGRATIONS[version]:
            connection.execute(statement)
    connection.execute("UPDATE meta SET value = ? WHERE name = ?", (SCHEMA_VERSION, VERSION))
