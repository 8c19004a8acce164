"""The patches of an instance are those of all its turns, in the order first asked."""

from perdure.runtime.history.event import PatchesApplied, TaskScheduled
from perdure.runtime.history.patches import patches_of
from perdure.runtime.history.row import Row


def test_patches_gather_over_the_turns() -> None:
    rows = [
        Row(1, [PatchesApplied(("a", "b"))], []),
        Row(2, None, []),
        Row(3, [TaskScheduled(1, "t", None, "x-1")], []),
        Row(4, [PatchesApplied(("c",))], []),
    ]
    assert patches_of(rows) == ("a", "b", "c")
    assert patches_of([]) == ()
