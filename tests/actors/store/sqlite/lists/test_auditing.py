"""The audit in SQLite: a damaged row is not returned, and thinning is done in pieces."""

from pathlib import Path

import pytest

from perdure.actors.store.audit import AuditFilter, AuditRow
from perdure.actors.store.sqlite.lists import auditing
from perdure.actors.store.sqlite.maintenance import check

from .....support.actors.sqlite_file import change, on_writer, opened, write

pytestmark = pytest.mark.anyio


async def fill(path: Path, rows: int) -> None:
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        audit = [AuditRow("suspend", "ann", b"%d" % n) for n in range(rows)]
        await store.commit([write(key, record=b"", audit=audit)], fences)


@pytest.mark.parametrize(
    "damage", ["author = 'bob'", "at_us = 2", "body = x'00'", "body = 'text'", "body = substr(body, 1, 3)", "id = 'b'"]
)
async def test_a_row_that_is_not_what_was_written_is_listed_without_its_body(path: Path, damage: str) -> None:
    await fill(path, 3)
    change(path, f"UPDATE audit SET {damage} WHERE number = 2")
    async with opened(path) as store:
        page = await store.audit(AuditFilter(), cursor=None, limit=9)
        assert sorted(row.body for row in page.rows) == [b"", b"0", b"2"]
    (fault,) = check(path)
    assert fault == "1 rows of the audit do not match their checksums; the first is row 2"


async def test_thinning_is_done_in_several_commits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(path, 7)
    monkeypatch.setattr(auditing, "THINNED_AT_ONCE", 3)
    async with opened(path) as store:
        statements: list[str] = []
        await on_writer(store, lambda connection: connection.set_trace_callback(statements.append))
        assert await store.thin_audit(5) == 7
        assert statements.count("COMMIT") == 4  # the last finds nothing
        assert (await store.audit(AuditFilter(), cursor=None, limit=9)).rows == []


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (AuditFilter(), "audit_at"),
        (AuditFilter(since_us=1, until_us=5), "audit_at"),
        (AuditFilter(id="a"), "audit_id"),
        (AuditFilter(id="a", since_us=1, author="ann", action="suspend"), "audit_id"),
    ],
)
async def test_a_page_is_read_from_an_index_in_its_order(path: Path, wanted: AuditFilter, index: str) -> None:
    await fill(path, 3)
    async with opened(path) as store:
        page = await store.audit(wanted, cursor=None, limit=1)
        statements: list[str] = []
        assert store._lister is not None
        await store._lister.call(lambda connection: connection.set_trace_callback(statements.append))
        await store.audit(wanted, cursor=page.cursor, limit=9)
        await store._lister.call(lambda connection: connection.set_trace_callback(None))
        (sql,) = (each for each in statements if each.startswith("SELECT number FROM ("))
        plan = await on_writer(store, lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())
        assert index in str(plan)
        assert "TEMP B-TREE" not in str(plan)
