"""A filter lets kinds through by type, status, name and root, and by nothing else."""

from perdure.actors.store.listing import ListFilter
from perdure.actors.store.tables.kinds import Kind, matching

KINDS = {
    1: Kind("wf", "R", "N", True),
    2: Kind("wf", "C", "N", False),
    3: Kind("other", "R", "N", True),
}


def test_a_kind_matches_as_its_actors_do() -> None:
    for wanted, numbers in (
        (ListFilter(), [1, 2]),
        (ListFilter(statuses=frozenset({"R"})), [1]),
        (ListFilter(root=False), [2]),
        (ListFilter(not_names=frozenset({"N"})), []),
        (ListFilter(parent="p", id_prefix="a"), [1, 2]),
    ):
        assert list(matching(KINDS, "wf", wanted)) == numbers, wanted
