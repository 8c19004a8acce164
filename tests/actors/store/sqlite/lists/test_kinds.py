"""The counts of kinds are those of the rows: after each commit, and from the index at each start."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from random import Random

import pytest

from perdure.actors.address import Address
from perdure.actors.store.contract import Write
from perdure.actors.store.listing import Facets, ListFilter
from perdure.actors.store.sqlite import schema
from perdure.actors.store.sqlite.lists.changes import ListChanges
from perdure.actors.store.sqlite.lists.kinds import Kinds, take_kinds
from perdure.actors.store.sqlite.writing import changes_of

from .....support.actors.sqlite_file import write


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.create(connection, shards=1, created_us=1)
        yield connection


def counted(kinds: Kinds) -> dict[int, int]:
    return {number: count for number, count in kinds.counts("wf", ListFilter()).items() if count}


def batch(*writes: Write, kinds: Kinds, known_max: int) -> ListChanges:
    return changes_of(writes, kinds, known_max).lists


def commit(changes: ListChanges, kinds: Kinds, connection: sqlite3.Connection) -> None:
    looked = changes.look(connection)
    for sql, values in changes.statements():
        connection.execute(sql, values)
    kinds.committed(changes.kinds, changes.delta(looked))


def shown(key: int, facets: Facets, before: Facets | None = None) -> Write:
    return write(key, Address("wf", str(key)), facets=facets, facets_before=before)


def test_whatever_is_written_the_counts_are_those_of_the_rows(connection: sqlite3.Connection) -> None:
    kinds, random, known = Kinds(), Random(1), 0
    there: dict[int, Facets] = {}
    for _ in range(100):
        # When a batch changes some actors, perhaps twice, and deletes others, with or without their former facets,
        now, writes = dict(there), []
        for key in random.choices(range(1, 40), k=random.randrange(8)):
            before = now.get(key) if random.random() < 0.5 else None
            if random.random() < 0.3:
                now.pop(key, None)
                writes.append(write(key, Address("wf", str(key)), delete=True, facets_before=before))
            else:
                tags = random.choice(((), (("k", "v"),), (("k", "w"),)))
                name, status = random.choices("abc", k=2)
                facets = Facets(name, status, random.randrange(2), 1, parent=random.choice((None, "p")), tags=tags)
                writes.append(shown(key, facets, before))
                now[key] = facets
        changes = batch(*writes, kinds=kinds, known_max=known)
        known = max(known, *changes.facets, 0)
        if random.random() < 0.2:
            continue  # its commit fails
        commit(changes, kinds, connection)
        there = now
        # then each kind is counted correctly and is in the file, and so is each tag.
        rows = connection.execute("SELECT kind, count(*) FROM facets GROUP BY kind").fetchall()
        assert counted(kinds) == dict(rows)
        assert {kind for kind, _ in rows} <= {kind for (kind,) in connection.execute("SELECT kind FROM kinds")}
        tagged = [(*facets.tags[0], facets.created_us, key) for key, facets in there.items() if facets.tags]
        assert sorted(connection.execute("SELECT * FROM tags").fetchall()) == sorted(tagged)
        assert {key for (key,) in connection.execute("SELECT key FROM facets")} == there.keys()
    assert len(counted(kinds)) > 8
    # The next start counts the same.
    assert Counter(counted(take_kinds(connection))) == Counter(counted(kinds))


def test_what_the_writes_say_of_before_is_not_read(connection: sqlite3.Connection) -> None:
    kinds, first, second = Kinds(), Facets("Order", "OLD", 1, 1), Facets("Order", "NEW", 1, 2)
    begun = batch(shown(1, first), shown(2, first), kinds=kinds, known_max=0)
    assert begun.unknown == []
    commit(begun, kinds, connection)
    gone = write(2, Address("wf", "2"), delete=True, facets_before=first)
    assert batch(shown(1, second, first), gone, kinds=kinds, known_max=2).unknown == []
    gone = write(2, Address("wf", "2"), delete=True)
    assert batch(shown(1, second), gone, kinds=kinds, known_max=2).unknown == [1, 2]


def test_kinds_of_which_there_are_none_are_forgotten_at_the_next_start(connection: sqlite3.Connection) -> None:
    kinds = Kinds()
    begun = [shown(key, Facets("Order", status, 1, 1)) for key, status in enumerate(("OLD", "NEW"), 1)]
    commit(batch(*begun, kinds=kinds, known_max=0), kinds, connection)
    commit(batch(write(1, Address("wf", "1"), delete=True), kinds=kinds, known_max=2), kinds, connection)
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
