"""A batch becomes rows, each named once, and a commit has only the parts that it needs."""

from typing import Any

from perdure.actors.address import Address
from perdure.actors.store.audit import AuditRow
from perdure.actors.store.contract import Write
from perdure.actors.store.listing import Facets
from perdure.actors.store.postgres.changes import Group, changes_of
from perdure.actors.store.postgres.kinds import KindNumbers
from perdure.actors.store.postgres.log import placed
from perdure.actors.store.postgres.statements import PARTS, commit_of

from ....support.actors.store_bench import write

A, B = Address("wf", "a"), Address("wf", "b")
ROOT = Facets("N", "R", 1, 1)
TAGGED = Facets("N", "R", 1, 1, tags=(("k", "v"),))


def group_of(*writes: Write, unborn: frozenset[int] = frozenset({1, 2, 3})) -> Group:
    kinds = KindNumbers()
    kinds.learn([(7, "wf", "R", "N", True)])
    changes = changes_of(writes, unborn)
    epochs = dict.fromkeys(range(8), 1)
    return Group(changes, placed(changes.entries, 0, epochs), unborn, kinds)


def rows(group: Group, part: str) -> list[Any]:
    return [tuple(row) for row in group.rows.get(part, ())]


def test_a_new_actor_is_created_and_one_that_is_there_is_changed() -> None:
    group = group_of(write(1, A, record=b"r", facets=ROOT), write(9, B, record=b"r", active=True))
    assert group.parts() == ("create", "update", "tally")
    assert rows(group, "tally") == [(7, 1)]
    assert group.born == {1}


def test_several_writes_of_an_actor_are_one_row() -> None:
    group = group_of(
        write(1, A, record=b"1", entry=b"e"), write(1, A, record=b"2", active=True), write(1, A, active=False)
    )
    ((key, _, _, _, active, record, *_),) = rows(group, "create")
    assert (key, active, record[-1:]) == (1, False, b"2")
    assert len(rows(group, "log")) == 1


def test_an_actor_that_follows_on_a_deleted_one_takes_its_row() -> None:
    group = group_of(write(9, A, delete=True), write(1, A, record=b"r", facets=ROOT))
    assert [row[:2] for row in rows(group, "replace")] == [(9, 1)]
    assert "delete" not in group.rows
    assert "create" not in group.rows
    assert rows(group, "was") == [(9,)]
    assert rows(group, "forget") == [(9,)]


def test_an_actor_that_the_batch_creates_and_deletes_leaves_nothing_to_do() -> None:
    group = group_of(write(1, A, record=b"r", entry=b"e", facets=ROOT), write(1, A, delete=True))
    assert group.parts() == ()
    assert group.born == {1}


def test_a_deletion_looks_up_what_was_there() -> None:
    assert group_of(write(9, A, delete=True)).parts() == ("forget", "delete", "was", "retally", "untag")
    # An actor that is known to have no tags needs no deletion of tags.
    assert group_of(write(9, A, delete=True, facets_before=ROOT)).parts() == ("forget", "delete", "was", "retally")


def test_tags_are_written_with_their_actor() -> None:
    group = group_of(write(1, A, record=b"r", facets=TAGGED))
    assert rows(group, "tag") == [("k", "v", 1, 1)]
    group = group_of(write(9, A, facets=TAGGED, facets_before=TAGGED))
    assert rows(group, "untag") == rows(group, "tag") == [("k", "v", 1, 9)]


def test_a_mark_alone_is_taken_away_by_its_key() -> None:
    group = group_of(write(9, A, active=False))
    assert (group.parts(), rows(group, "unmark")) == (("unmark",), [(9,)])


def test_a_commit_that_may_happen_twice_says_so() -> None:
    assert group_of(write(9, A, active=False, reminders_cleared=[("r", 1)])).repeatable
    assert group_of(write(9, A, record=b"r", facets=ROOT)).repeatable
    assert not group_of(write(9, A, entry=b"e")).repeatable
    assert not group_of(write(1, A, record=b"r")).repeatable
    assert not group_of(write(9, A, delete=True, audit=[AuditRow("purge", "ann", b"")])).repeatable


def test_the_arguments_are_those_of_the_statement() -> None:
    group = group_of(
        write(1, A, record=b"r", entry=b"e", facets=TAGGED, reminders_set=[("r", 1)]),
        write(9, B, record=b"r", facets=ROOT), write(8, Address("wf", "c"), delete=True),
        write(7, Address("wf", "d"), record=b"", audit=[AuditRow("x", "y", b"")], reminders_cleared=[("s", 2)]),
    )  # fmt: skip
    group.give_receipt(-1, 5)
    arguments = group.arguments()
    assert len(arguments) == sum(len(PARTS[part][0]) for part in group.parts()) + 1
    assert arguments[-1] == 2  # an update and a change must find their rows
    assert f"${len(arguments) + 3}::bigint" in commit_of(group.parts()).sql
