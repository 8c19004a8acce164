"""A side of a world: the callers of one app, and the reader of the commits of its instances."""

from collections.abc import Callable, Sequence

from perdure.runtime.directory import WORKFLOW
from perdure.testing.simulation.base import BaseWorld

from .doors import Doors
from .invariants import Witness
from .story.fates import Living
from .story.reader import Reader


class Side:
    """The callers of one app.

    Args:
        world: The world as they see it.
        prefix: Of the ids of their instances.
        workflow: Gives the type of these.

    Attributes:
        livings: The fates of the instances.
    """

    def __init__(
        self,
        world: BaseWorld,
        witness: Witness,
        doors: Doors,
        *,
        prefix: str = "i",
        workflow: Callable[[], str] = lambda: WORKFLOW,
    ) -> None:
        self.world = world
        self.witness = witness
        self.doors = doors
        self.prefix = prefix
        self.workflow = workflow
        self.reader = Reader(world, witness, doors)
        self.livings: Sequence[Living] = ()

    @property
    def asleep(self) -> list[str]:
        """The ids of the instances that do not end."""
        return [living.fate.id for living in self.livings if living.fate.kind == "asleep"]

    @property
    def purged(self) -> list[str]:
        """The ids of the instances that callers have purged."""
        return [living.fate.id for living in self.livings if living.fate.kind.startswith("purged")]
