"""The counts of kinds are those of the rows: after each commit, and from the index at each start."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from random import Random

import pytest

from perdure.actors.store.listing import Facets, ListFilter
from perdure.actors.store.sqlite import schema
from perdure.actors.store.sqlite.lists.changes import ListChanges, facets_row
from perdure.actors.store.sqlite.lists.kinds import Kinds, take_kinds


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.create(connection, shards=1, created_us=1)
        yield connection


def counted(kinds: Kinds) -> dict[int, int]:
    return {number: count for number, count in kinds.counts("wf", ListFilter()).items() if count}


def test_whatever_is_written_the_counts_are_those_of_the_rows(connection: sqlite3.Connection) -> None:
    kinds, random, known = Kinds(), Random(1), 0
    for _ in range(60):
        # When a batch changes some actors and deletes others,
        changes = ListChanges(known_max=known)
        for key in random.sample(range(1, 40), random.randrange(8)):
            facets = Facets(random.choice("ab"), random.choice("xyz"), key, key, parent=random.choice((None, "p")))
            changes.facets[key] = facets_row(key, kinds.number_of("wf", facets), facets)
        changes.finish(random.sample(range(1, 40), random.randrange(4)), kinds)
        known = max(known, *changes.facets, 0)
        if random.random() < 0.2:
            continue  # its commit fails
        kinds.committed(changes.kinds, changes.apply(connection))
        # then each kind is counted right, and stands in the file.
        rows = connection.execute("SELECT kind, count(*) FROM facets GROUP BY kind").fetchall()
        assert counted(kinds) == dict(rows)
        assert {kind for kind, _ in rows} <= {kind for (kind,) in connection.execute("SELECT kind FROM kinds")}
    assert len(counted(kinds)) > 8
    # And the next start counts the same.
    assert Counter(counted(take_kinds(connection))) == Counter(counted(kinds))


def test_kinds_of_which_there_are_none_are_forgotten_at_the_next_start(connection: sqlite3.Connection) -> None:
    kinds = Kinds()
    for key, status in enumerate(("OLD", "NEW"), 1):
        facets = Facets("Order", status, 1, 1)
        changes = ListChanges({key: facets_row(key, kinds.number_of("wf", facets), facets)})
        changes.finish((), kinds)
        kinds.committed(changes.kinds, changes.apply(connection))
    gone = ListChanges()
    gone.finish([1], kinds)
    kinds.committed((), gone.apply(connection))
    assert [kinds[number].status for number in kinds.matching("wf", ListFilter())] == ["OLD", "NEW"]
    again = take_kinds(connection)
    assert [again[number].status for number in again.matching("wf", ListFilter())] == ["NEW"]
    assert connection.execute("SELECT status FROM kinds").fetchall() == [("NEW",)]


def test_a_kind_that_no_commit_has_brought_into_the_file_is_brought_by_the_next() -> None:
    kinds = Kinds()
    number = kinds.number_of("wf", Facets("Order", "NEW", 1, 1))
    assert kinds.unsaved([number]).keys() == {number}
    assert kinds.unsaved([number]).keys() == {number}  # the first commit failed
    kinds.committed([number], {number: 1})
    assert kinds.unsaved([number]) == {}
    assert kinds.number_of("wf", Facets("Order", "NEW", 2, 2)) == number


def test_counting_at_the_start_reads_an_index_only(connection: sqlite3.Connection) -> None:
    seen: list[str] = []
    connection.set_trace_callback(seen.append)
    take_kinds(connection)
    connection.set_trace_callback(None)
    plans = [str(connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()) for sql in seen if "count(*)" in sql]
    assert len(plans) == 1
    assert "USING COVERING INDEX facets_created" in plans[0]
