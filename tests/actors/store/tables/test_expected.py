"""Missing rows of an actor are reported; superfluous ones are not."""

from perdure.actors.address import Address
from perdure.actors.store.tables.expected import SHOWN_MAX, Expected, shortened, unlike

A = Address("wf", "a")


def test_missing_rows_are_reported_and_superfluous_ones_are_not() -> None:
    expected = Expected(frozenset({("t", 5), ("s", 6)}), active=True)
    assert unlike(A, expected, {("t", 5), ("s", 6), ("x", 1)}, active=True) == []
    assert unlike(A, expected, {("t", 4)}, active=False) == [
        f"{A}: its timer s is due at 6 µs, and has no such reminder",
        f"{A}: its timer t is due at 5 µs, and has no such reminder",
        f"{A}: it has something in flight, and no active mark",
    ]
    assert unlike(A, Expected(frozenset(), active=False), set(), active=True) == []


def test_many_faults_are_counted_behind_the_first() -> None:
    faults = [str(i) for i in range(SHOWN_MAX + 2)]
    assert shortened(faults[:SHOWN_MAX], "more") == faults[:SHOWN_MAX]
    assert shortened(faults, "more") == [*faults[:SHOWN_MAX], "2 more"]
