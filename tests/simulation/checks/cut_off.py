"""E5: a request of an instance does not begin after the instance was terminated or purged, nor once it has its answer.

Between the moment when the end is on the disk and the moment when its host knows that, no engine can tell: a request
that begins meanwhile has begun as if the commit had taken a little longer. So a generation is cut off when its host
knows of the end, or has died before; and so is an activity with its answer.
"""

from collections.abc import Collection
from typing import NamedTuple

from perdure.actors.turn import Turn
from perdure.testing.simulation.base import BaseWorld
from perdure.testing.simulation.loop import HOST


class CutOff(NamedTuple):
    """The end of a generation by a caller."""

    life: int  # of the host that has written it
    turn: Turn | None  # whose commit has the end, as long as its host does not know of it
    at_s: float  # when it was on the disk, then when the host knows of it; virtual seconds


class CutOffs:
    """The generations of a world that callers have ended."""

    def __init__(self, world: BaseWorld) -> None:
        self._world = world
        self._of: dict[str, CutOff] = {}  # by execution id, or the key of an activity
        self._unheard: dict[int, list[str]] = {}  # those with a turn, by its id

    def ended(self, execution_id: str, turn: Turn | None) -> None:
        """Note that the end of a generation, or the answer to an activity, is on the disk.

        Args:
            turn: Has written it; None if it is unknown: then requests that begin from now on are too late.
        """
        if execution_id not in self._of:
            self._of[execution_id] = CutOff(self._world.writer, turn, self._world.loop.time())
            if turn is not None:
                self._unheard.setdefault(id(turn), []).append(execution_id)

    def heard(self, turn: Turn) -> None:
        """Note that a host knows that the commit of a turn is on the disk."""
        for execution_id in self._unheard.pop(id(turn), ()):
            cut = self._of.get(execution_id)
            if cut is not None and cut.turn is turn:
                self._of[execution_id] = cut._replace(turn=None, at_s=self._world.loop.time())

    def go_back(self, execution_ids: Collection[str]) -> None:
        """Note that the server has lost commits: only generations that were cut off at some moment still are."""
        self._of = {each: cut for each, cut in self._of.items() if each in execution_ids}
        self._unheard.clear()

    @property
    def execution_ids(self) -> Collection[str]:
        """The execution ids of the generations that are cut off."""
        return frozenset(self._of)

    def begun_again(self, execution_id: str) -> None:
        """Note that a generation that was purged exists again: a child, which its parent has begun once more."""
        self._of.pop(execution_id, None)

    def is_over(self, execution_id: str) -> bool:
        """Whether nothing of a generation may begin now, in the host whose code runs."""
        cut = self._of.get(execution_id)
        if cut is None:
            return False
        if cut.life != HOST.get():
            # One of several may not know yet that it has lost the instance.
            return not self._world.several
        return cut.turn is None and self._world.loop.time() > cut.at_s
