"""Kinds have the numbers of the database, and kinds without a number are known."""

from perdure.actors.store.listing import Facets
from perdure.actors.store.postgres.kinds import KindNumbers

ROOT, CHILD = Facets("N", "R", 1, 1), Facets("N", "R", 1, 1, parent="p")


def test_a_kind_has_the_number_that_the_database_gave() -> None:
    kinds = KindNumbers()
    kinds.learn([(4, "wf", "R", "N", True), (5, "wf", "R", "N", False)])
    assert (kinds.number_of("wf", ROOT), kinds.number_of("wf", CHILD)) == (4, 5)
    assert kinds.all[5].root is False
    assert kinds.get(4) is not None
    assert kinds.get(6) is None


def test_kinds_without_a_number_are_told_once_each() -> None:
    kinds = KindNumbers()
    kinds.learn([(4, "wf", "R", "N", True)])
    assert kinds.missing([("wf", ROOT), ("wf", CHILD), ("wf", CHILD)]) == [("wf", "R", "N", False)]
