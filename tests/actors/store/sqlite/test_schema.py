"""Files on the disk stay readable: names and layout are pinned, and old files are migrated completely.

If a test of this file fails, a released file is about to become unreadable:
write a migration, do not change the expectation.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.store.audit import AuditFilter
from perdure.actors.store.contract import (
    Expiring,
    FoundItems,
    Inspection,
    Item,
    Reminder,
    Stored,
    Write,
)
from perdure.actors.store.errors import StoreDivided, StoreFailed, StoreTooNew
from perdure.actors.store.listing import Facets, ListFilter, Order
from perdure.actors.store.part import WHOLE, Part
from perdure.actors.store.sqlite import schema
from perdure.actors.store.sqlite.store import SqliteStore

# A store of version 1, as the first release left it. It is text, so that no code of Perdure makes it.
GOLDEN_1 = """
PRAGMA application_id = 1349674098;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE shards (shard INTEGER PRIMARY KEY, host TEXT, epoch INTEGER NOT NULL, lease_until_us INTEGER);
CREATE TABLE actors (
    key INTEGER PRIMARY KEY, type TEXT NOT NULL, id TEXT NOT NULL, record BLOB NOT NULL, UNIQUE (type, id)
);
CREATE TABLE active (key INTEGER PRIMARY KEY);
CREATE TABLE log (position INTEGER PRIMARY KEY, key INTEGER NOT NULL, at_us INTEGER NOT NULL, entry BLOB NOT NULL);
CREATE INDEX log_key ON log (key);
CREATE TABLE reminders (
    due_us INTEGER NOT NULL, key INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (due_us, key, name)
) WITHOUT ROWID;
INSERT INTO meta VALUES
    ('schema', 1), ('shards', 2), ('created_us', 1700000000000000), ('retired_key', 9), ('failed_commits', 0);
INSERT INTO shards VALUES (0, 'local', 3, NULL), (1, 'local', 3, NULL);
INSERT INTO actors VALUES (4, 'wf', 'order-1', x'01'), (7, 'wf', 'order-2', x'02');
INSERT INTO active VALUES (7);
INSERT INTO log VALUES
    (1, 4, 1700000000000001, x'11'), (2, 7, 1700000000000002, x'21'), (3, 4, 1700000000000003, x'12');
INSERT INTO reminders VALUES (1700000000000009, 7, 'timer-1');
"""

# The same in version 2, which has the tables of version 1, and says which part of its store it is.
GOLDEN_2 = (
    GOLDEN_1
    + """
UPDATE meta SET value = 2 WHERE name = 'schema';
INSERT INTO meta VALUES ('part', 0), ('parts', 1), ('layout', 0);
"""
)

# Version 3 has the same tables. Which rows have no checksum is in `meta`, with a number of the store's own.
GOLDEN_3 = (
    GOLDEN_2
    + """
UPDATE meta SET value = 3 WHERE name = 'schema';
INSERT INTO meta VALUES ('store', 4611686018427387904), ('unsealed_key', 7), ('unsealed_position', 3);
"""
)

# Version 4 has tables for lists and the audit. Facets of actors of earlier versions are not known at first.
GOLDEN_4 = (
    GOLDEN_3
    + """
UPDATE meta SET value = 4 WHERE name = 'schema';
INSERT INTO meta VALUES ('unlisted_key', 7), ('listed_key', 0);
CREATE TABLE kinds (
    kind INTEGER PRIMARY KEY, type TEXT NOT NULL, status TEXT NOT NULL, name TEXT NOT NULL, root INTEGER NOT NULL,
    UNIQUE (type, status, name, root)
);
CREATE TABLE facets (
    key INTEGER PRIMARY KEY, kind INTEGER NOT NULL, created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL,
    ended_us INTEGER, parent TEXT, tags TEXT
);
CREATE INDEX facets_created ON facets (kind, created_us);
CREATE INDEX facets_updated ON facets (kind, updated_us);
CREATE INDEX facets_parent ON facets (parent, created_us) WHERE parent IS NOT NULL;
CREATE TABLE tags (
    name TEXT NOT NULL, value TEXT NOT NULL, created_us INTEGER NOT NULL, key INTEGER NOT NULL,
    PRIMARY KEY (name, value, created_us, key)
) WITHOUT ROWID;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, id TEXT NOT NULL, action TEXT NOT NULL, author TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX audit_at ON audit (at_us);
CREATE INDEX audit_id ON audit (id, at_us);
"""
)

# Version 5 has a table for items.
GOLDEN_5 = (
    GOLDEN_4
    + """
UPDATE meta SET value = 5 WHERE name = 'schema';
CREATE TABLE items (
    number INTEGER PRIMARY KEY, key INTEGER NOT NULL, name BLOB NOT NULL, version INTEGER NOT NULL,
    expires_us INTEGER NOT NULL, value BLOB NOT NULL
);
CREATE UNIQUE INDEX items_name ON items (key, name);
CREATE INDEX items_expires ON items (key, expires_us) WHERE expires_us > 0;
"""
)

# As this release writes the rows of items.
KEPT = """
INSERT INTO items VALUES
    (1, 4, x'617c7c6b', 3, 0, x'c1af47a32831'), (2, 4, x'c3a4', 5, 1700000000000010, x'c154c8b857');
"""

# As this release writes the rows of lists and the audit.
LISTED = """
INSERT INTO kinds VALUES (1, 'wf', 'RUNNING', 'Order', 1), (2, 'wf', 'FAILED', 'Pay', 0);
INSERT INTO facets VALUES
    (4, 1, 1700000000000001, 1700000000000003, NULL, NULL, '[["env","prod"]]'),
    (7, 2, 1700000000000002, 1700000000000004, 1700000000000004, 'order-1', NULL);
INSERT INTO tags VALUES ('env', 'prod', 1700000000000001, 4);
INSERT INTO audit VALUES (1, 1700000000000005, 'order-2', 'suspend', 'ann', x'c1da62ab61ab');
UPDATE meta SET value = 7 WHERE name = 'listed_key';
"""

# As this release writes its rows: 0xC1, the CRC-32 of place and content, the content.
SEALED = """
DELETE FROM log;
DELETE FROM actors;
INSERT INTO actors VALUES (4, 'wf', 'order-1', x'c1c3e7e6a901'), (7, 'wf', 'order-2', x'c1748908a602');
INSERT INTO log VALUES
    (1, 4, 1700000000000001, x'c11c0b974611'), (2, 7, 1700000000000002, x'c1a2eab43f21'),
    (3, 4, 1700000000000003, x'c1e7e2542512');
UPDATE meta SET value = 0 WHERE name IN ('unsealed_key', 'unsealed_position');
"""

FIRST, SECOND = Address("wf", "order-1"), Address("wf", "order-2")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    return file_of(tmp_path / "golden.db", GOLDEN_1)


@pytest.fixture
def golden_2(tmp_path: Path) -> Path:
    return file_of(tmp_path / "golden-2.db", GOLDEN_2)


@pytest.fixture
def golden_3(tmp_path: Path) -> Path:
    return file_of(tmp_path / "golden-3.db", GOLDEN_3)


@pytest.fixture
def golden_4(tmp_path: Path) -> Path:
    return file_of(tmp_path / "golden-4.db", GOLDEN_4)


@pytest.fixture
def golden_5(tmp_path: Path) -> Path:
    return file_of(tmp_path / "golden-5.db", GOLDEN_5)


@pytest.fixture
def golden_5_kept(tmp_path: Path) -> Path:
    return file_of(tmp_path / "golden-5-kept.db", GOLDEN_5 + SEALED + KEPT)


@pytest.fixture
def golden_4_listed(tmp_path: Path) -> Path:
    return file_of(tmp_path / "golden-4-listed.db", GOLDEN_4 + SEALED + LISTED)


@pytest.fixture
def golden_3_sealed(tmp_path: Path) -> Path:
    return file_of(tmp_path / "golden-3-sealed.db", GOLDEN_3 + SEALED)


def file_of(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


@pytest.mark.anyio
@pytest.mark.parametrize("version", ["golden", "golden_2", "golden_3", "golden_3_sealed", "golden_4", "golden_5"])
async def test_a_file_of_every_version_opens_and_is_read_and_written(
    version: str, request: pytest.FixtureRequest
) -> None:
    store = SqliteStore(request.getfixturevalue(version))
    await store.open()
    try:
        assert store.shards == 2
        assert await store.load([FIRST, SECOND]) == [
            Stored(key=4, record=b"\x01", entries=(b"\x11", b"\x12"), active=False),
            Stored(key=7, record=b"\x02", entries=(b"\x21",), active=True),
        ]
        assert await store.inspect([FIRST]) == [
            Inspection(record=b"\x01", first=b"\x11", last=b"\x12", updated_us=1700000000000003)
        ]
        assert await store.active() == [SECOND]
        assert await store.reminders(after=None, limit=9) == [Reminder(1700000000000009, 7, "timer-1", SECOND)]
        fences = await store.claim("local", now_us=1)
        assert fences == {0: 4, 1: 4}
        assert store.new_key() == 10
        await store.commit([Write(key=4, address=FIRST, shard=0, at_us=1, entry=b"\x13")], fences)
        (stored,) = await store.load([FIRST])
        assert isinstance(stored, Stored)
        assert stored.entries == (b"\x11", b"\x12", b"\x13")
    finally:
        await store.close()


def test_what_this_release_creates_is_laid_out_like_the_pinned_file(
    golden_5: Path, connection: sqlite3.Connection
) -> None:
    schema.create(connection, shards=2, created_us=1)
    with closing(sqlite3.connect(golden_5)) as pinned:
        assert layout_of(connection) == layout_of(pinned)
        names = "SELECT name FROM meta ORDER BY name"
        assert connection.execute(names).fetchall() == pinned.execute(names).fetchall()
        made = dict(connection.execute(META))
        own = {"created_us": 1, "retired_key": 0, "store": made["store"], "unsealed_key": 0, "unsealed_position": 0}
        own |= {"unlisted_key": 0, "listed_key": 0}
        assert made == {**dict(pinned.execute(META)), **own}
        assert 0 < made["store"] < 2**63
    assert schema.SCHEMA_VERSION == 5
    assert bytes.fromhex(f"{schema.APPLICATION_ID:x}") == b"Prdr"


@pytest.mark.anyio
@pytest.mark.parametrize("version", ["golden", "golden_2", "golden_3", "golden_4"])
async def test_an_older_file_becomes_the_pinned_file_of_version_5_with_its_rows_as_they_were(
    version: str, golden_5: Path, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(version)
    store = SqliteStore(path)
    await store.open()
    await store.close()
    with closing(sqlite3.connect(path)) as migrated, closing(sqlite3.connect(golden_5)) as pinned:
        assert layout_of(migrated) == layout_of(pinned)
        (own,) = migrated.execute("SELECT value FROM meta WHERE name = 'store'").fetchone()
        assert 0 < own < 2**63
        pinned.execute("UPDATE meta SET value = ? WHERE name = 'store'", (own,))
        for table in (
            "meta",
            "shards",
            "actors",
            "active",
            "log",
            "reminders",
            "kinds",
            "facets",
            "tags",
            "audit",
            "items",
        ):
            rows = f"SELECT * FROM {table} ORDER BY 1"
            assert migrated.execute(rows).fetchall() == pinned.execute(rows).fetchall(), table


@pytest.mark.anyio
async def test_what_version_4_lists_and_audits_is_read(golden_4_listed: Path) -> None:
    store = SqliteStore(golden_4_listed)
    await store.open()
    try:
        page = await store.list("wf", ListFilter(), order=Order.CREATED, cursor=None, limit=9)
        assert [(each.id, each.facets, each.record) for each in page.listed] == [
            (
                "order-1",
                Facets("Order", "RUNNING", 1700000000000001, 1700000000000003, tags=(("env", "prod"),)),
                b"\x01",
            ),
            (
                "order-2",
                Facets("Pay", "FAILED", 1700000000000002, 1700000000000004, 1700000000000004, "order-1"),
                b"\x02",
            ),
        ]
        page = await store.list("wf", ListFilter(tags={"env": "prod"}), order=Order.CREATED, cursor=None, limit=9)
        assert [each.id for each in page.listed] == ["order-1"]
        counted = await store.count("wf", ListFilter(), by=["status"])
        assert list(counted.groups) == [(("FAILED",), 1), (("RUNNING",), 1)]
        (row,) = (await store.audit(AuditFilter(), cursor=None, limit=9)).rows
        assert row[:5] == (1700000000000005, "order-2", "suspend", "ann", b"\xab")
    finally:
        await store.close()


@pytest.mark.anyio
async def test_the_items_of_version_5_are_read(golden_5_kept: Path) -> None:
    store = SqliteStore(golden_5_kept)
    await store.open()
    try:
        found = await store.items(FIRST, ["a||k", "ä"])
        assert found == FoundItems(b"\x01", {"a||k": Item(b"1", 3), "ä": Item(b"", 5, 1700000000000010)}, {})
        assert await store.items(FIRST, expiring=9) == FoundItems(
            b"\x01", expiring=[Expiring(1700000000000010, "ä", 5)]
        )
    finally:
        await store.close()


def test_the_first_release_refuses_what_a_later_one_wrote(golden_2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = golden_2.read_bytes()
    monkeypatch.setattr(schema, "SCHEMA_VERSION", 1)
    with pytest.raises(StoreTooNew, match="store version 2, and this release of Perdure knows versions up to 1"):
        anyio.run(SqliteStore(golden_2).open)
    assert golden_2.read_bytes() == before


def test_a_file_of_version_1_is_the_whole_of_its_store(golden: Path) -> None:
    before = golden.read_bytes()
    with pytest.raises(StoreDivided, match="is part 1 of 1"):
        anyio.run(SqliteStore(golden, part=Part(0, 2)).open)
    assert golden.read_bytes() == before


META = "SELECT name, value FROM meta"


def layout_of(connection: sqlite3.Connection) -> list[object]:
    """The header's mark, every table and index, and every column of them."""
    layout: list[object] = connection.execute("PRAGMA application_id").fetchall()
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall():
        columns = connection.execute(f"PRAGMA {kind}_xinfo({name})").fetchall()
        layout.append((kind, name, columns, "WITHOUT ROWID" in (sql or "")))
    return layout


def test_an_empty_file_has_no_version(connection: sqlite3.Connection) -> None:
    assert schema.version_of(connection, "x.db") is None


def test_a_new_store_has_this_releases_version(connection: sqlite3.Connection) -> None:
    schema.create(connection, shards=3, created_us=5)
    assert schema.version_of(connection, "x.db") == schema.SCHEMA_VERSION
    assert schema.read_meta(connection, "x.db", schema.SHARDS) == 3
    assert schema.read_meta(connection, "x.db", schema.CREATED_US) == 5


def test_a_part_says_which_it_is_and_has_no_shards_but_its_own(connection: sqlite3.Connection) -> None:
    schema.create(connection, shards=5, created_us=5, part=Part(1, 3), layout=77)
    assert schema.part_in(connection, "x.db", version=2) == Part(1, 3)
    assert schema.read_meta(connection, "x.db", schema.SHARDS) == 5
    assert schema.read_meta(connection, "x.db", schema.LAYOUT) == 77
    assert connection.execute("SELECT shard, epoch FROM shards").fetchall() == [(1, 0), (4, 0)]


def test_a_store_that_is_not_told_otherwise_is_whole(connection: sqlite3.Connection) -> None:
    schema.create(connection, shards=2, created_us=5)
    assert schema.part_in(connection, "x.db", version=2) == WHOLE


@pytest.mark.parametrize(
    "damage", ["DELETE FROM meta WHERE name = 'parts'", "UPDATE meta SET value = 0 - (name = 'part')"]
)
def test_a_part_that_cannot_be_is_damage(connection: sqlite3.Connection, damage: str) -> None:
    schema.create(connection, shards=2, created_us=5)
    connection.execute(damage)
    with pytest.raises(StoreFailed, match=r"x\.db is damaged"):
        schema.part_in(connection, "x.db", version=2)


def test_a_newer_version_is_too_new_and_one_that_never_was_is_damage(connection: sqlite3.Connection) -> None:
    schema.create(connection, shards=1, created_us=1)
    connection.execute("UPDATE meta SET value = 6 WHERE name = 'schema'")
    with pytest.raises(StoreTooNew, match=r"x\.db has store version 6"):
        schema.version_of(connection, "x.db")
    connection.execute("UPDATE meta SET value = 0 WHERE name = 'schema'")
    with pytest.raises(StoreFailed, match="damaged"):
        schema.version_of(connection, "x.db")


def test_there_is_a_migration_from_every_older_version() -> None:
    assert set(schema.MIGRATIONS) == set(range(1, schema.SCHEMA_VERSION))
    assert set(schema.META) == set(range(1, schema.SCHEMA_VERSION + 1))


# The mechanism, with made-up versions.


@pytest.fixture
def version_7(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "SCHEMA_VERSION", 7)
    monkeypatch.setattr(
        schema,
        "MIGRATIONS",
        {
            **schema.MIGRATIONS,
            5: ["ALTER TABLE actors ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'"],
            6: ["ALTER TABLE actors RENAME COLUMN colour TO color", "UPDATE actors SET color = 'red' WHERE key = 7"],
        },
    )


@pytest.mark.anyio
@pytest.mark.usefixtures("version_7")
async def test_an_older_file_is_brought_up_to_date_step_by_step(golden: Path) -> None:
    for _ in range(2):  # the second time there is nothing left to do
        store = SqliteStore(golden)
        await store.open()
        assert [stored.record for stored in await store.load([FIRST, SECOND]) if isinstance(stored, Stored)] == [
            b"\x01",
            b"\x02",
        ]
        await store.close()
    with closing(sqlite3.connect(golden)) as connection:
        assert connection.execute("SELECT key, color FROM actors ORDER BY key").fetchall() == [(4, "grey"), (7, "red")]
        assert schema.version_of(connection, str(golden)) == 7


@pytest.mark.anyio
@pytest.mark.usefixtures("version_7")
async def test_a_migration_that_breaks_off_leaves_the_old_version_whole(
    golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a newer release whose last step cannot be done,
    monkeypatch.setattr(schema, "MIGRATIONS", {**schema.MIGRATIONS, 6: ["DROP TABLE active", "DROP TABLE missing"]})
    with pytest.raises(StoreFailed, match="no such table: missing"):
        await SqliteStore(golden).open()
    # then the older release finds an unchanged store.
    monkeypatch.undo()
    store = SqliteStore(golden)
    await store.open()
    assert await store.active() == [SECOND]
    await store.close()
    with closing(sqlite3.connect(golden)) as connection:
        assert [row[1] for row in connection.execute("PRAGMA table_info(actors)")] == ["key", "type", "id", "record"]
