"""The statements of lists and counts: their SQL, run by SQLite on the rows that the snapshot sees.

The rule: the SQL is the store's own. Its parts with another form in SQLite are translated, and nothing is decided
here: lists have more forms than functions could follow.

Where an order matters, the SQL says it. Texts are compared by their bytes, in both.
"""

import json
import re
import sqlite3
from collections.abc import Sequence
from typing import Any

from ......actors.store.postgres.driver import Statement
from ..backend import Scene
from ..transactions import Row
from .committing import require_text

LISTED = ("actors", "tags", "log", "audit")

# The form in PostgreSQL -> the form in SQLite.
_REWRITTEN: Sequence[tuple[re.Pattern[str], str]] = [
    (re.compile(r"= ANY\(\$(\d+)::\w+\[\]\)"), r"IN (SELECT value FROM json_each(?\1))"),
    (re.compile(r"::\w+"), ""),
    (re.compile(r"\$(\d+)"), r"?\1"),
    (
        re.compile(r"LATERAL \(SELECT \* FROM actors WHERE key = t\.key OFFSET 0\) AS a WHERE"),
        "actors AS a WHERE a.key = t.key AND",
    ),
    (re.compile(r"starts_with\(([\w.]+), (\?\d+)\)"), r"substr(\1, 1, length(\2)) = \2"),
]
# Arms of a union, each with an order of its own, stand in parentheses.
_ARMS = re.compile(r"FROM \((\(SELECT .*?\))\) AS u")


def list_(scene: Scene, statement: Statement, *values: Any) -> Sequence[Row]:
    """Run a statement of a list or a count."""
    require_text(values)
    rows = _seen(scene).execute(_rewritten(statement.sql), [_bound(each) for each in values]).fetchall()
    return [tuple(row) for row in rows]


def tallied(scene: Scene, statement: Statement) -> Sequence[Row]:
    """TALLIED: the number of actors of each kind."""
    tallies = scene.tables["tallies"]
    totals: dict[int, tuple[int, int]] = {}
    for kind, more in scene.work.scan(tallies):
        total, rows = totals.get(kind, (0, 0))
        totals[kind] = (total + more, rows + 1)
    return [(kind, *total) for kind, total in totals.items()]


def _rewritten(sql: str) -> str:
    for pattern, words in _REWRITTEN:
        sql = pattern.sub(words, sql)
    return _ARMS.sub(_arms, sql)


def _arms(match: re.Match[str]) -> str:
    arms = match[1].split(" UNION ALL ")
    union = " UNION ALL ".join(f"SELECT * FROM {arm}" for arm in arms)  # noqa: S608  values are bound
    return f"FROM ({union}) AS u"


def _bound(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value


def _seen(scene: Scene) -> sqlite3.Connection:
    """The rows that the snapshot sees; those of a transaction that sees one are kept for its next statement."""
    backend = scene.backend
    if backend.seen_rows is not None:
        return backend.seen_rows
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for name in LISTED:
        table = scene.tables[name]
        connection.execute(f"CREATE TABLE {name} ({', '.join(table.columns)})")
        marks = ", ".join("?" * len(table.columns))
        connection.executemany(f"INSERT INTO {name} VALUES ({marks})", scene.work.scan(table))  # noqa: S608
    if backend.explicit:
        backend.seen_rows = connection
    return connection
