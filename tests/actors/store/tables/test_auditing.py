"""A row of the audit comes back as it was sealed, and a page reads only the rows that it examines."""

from typing import Any

import pytest

from perdure.actors.store.audit import AuditFilter, AuditRow
from perdure.actors.store.cursor import Position
from perdure.actors.store.listing import EXAMINED_MAX
from perdure.actors.store.tables.auditing import (
    AuditFound,
    audit_page,
    audit_values,
    faults_of_audit,
    find_audited,
    unseal_audit,
)

(ROW,) = audit_values(5, "a", [AuditRow("suspend", "ann", b"body")])


def test_a_row_is_unsealed_at_its_place_only() -> None:
    assert unseal_audit(*ROW) == b"body"
    changed: list[tuple[Any, ...]] = [
        (6, *ROW[1:]),
        ("5", *ROW[1:]),
        (5, "b", *ROW[2:]),
        (*ROW[:3], "bob", ROW[4]),
        (*ROW[:4], ROW[4][:3]),
        (*ROW[:4], "text"),
        (*ROW[:4], ROW[4] + b"x"),
    ]
    for each in changed:
        assert unseal_audit(*each) is None, each


@pytest.mark.parametrize("sort", [False, True])
def test_a_full_page_asks_once_and_goes_on_behind_its_last_row(sort: bool) -> None:
    asking = find_audited(AuditFilter(id="a", author="ann"), Position("audit", 9, 4), 2, sort=sort)
    question = next(asking)
    assert question.values == ["a", 9, 9, 4, EXAMINED_MAX, "ann", 3]
    assert question.sql.count("?") == len(question.values)
    assert question.sql.count("ORDER BY") == 1 + sort
    with pytest.raises(StopIteration) as end:
        asking.send([(8,), (7,), (6,)])
    found = end.value.value
    assert found == AuditFound([8, 7], full=True, examined_to=None)
    page = audit_page(found, [(7, *ROW), (8, *ROW)])
    assert [row.position.key for row in page.rows] == [8, 7]
    assert page.cursor is not None


@pytest.mark.parametrize(("behind", "more"), [([(3, 2)], False), ([(3, 2), (3, 1)], True)])
def test_a_short_page_asks_whether_it_has_examined_all(behind: list[tuple[int, int]], more: bool) -> None:
    asking = find_audited(AuditFilter(), None, 2, sort=True)
    next(asking)
    question = asking.send([(8,)])
    assert question.values == [2, EXAMINED_MAX - 1]
    with pytest.raises(StopIteration) as end:
        asking.send(behind)
    found = end.value.value
    assert found == AuditFound([8], full=False, examined_to=(3, 2) if more else None)
    assert (audit_page(found, [(8, *ROW)]).cursor is not None) is more


def test_a_row_that_is_not_what_was_written_is_shown_without_its_body() -> None:
    page = audit_page(AuditFound([1], full=False, examined_to=None), [(1, *ROW[:4], b"other")])
    assert [row.body for row in page.rows] == [b""]


def test_faults_are_counted_in_a_sentence() -> None:
    assert faults_of_audit([]) == []
    assert faults_of_audit([4, 5]) == [
        "2 rows of the audit do not match their checksums; the first is row 4",
    ]
