"""E14: only instances are forgotten that a caller has purged, or that have ended for the time of the retention.

An instance that retention forgets has ended for that time at least, by the date of the turn that deletes it. So a world
without retention loses only purged instances. At rest all instances are gone whose time is over (`rest.py`).
"""

from perdure.actors.store.contract import Write
from perdure.runtime.operations.retention.policy import Retention
from perdure.testing.simulation.base import BaseWorld

from .answers import Version
from .broken import Broken

# How late an instance may be forgotten that is due: a look a second at most, and the clock is looked at each minute
# where it may be set.
LATE_US = 61_000_000


class Forgetting:
    """The instances that may be forgotten in a world.

    Args:
        purging: The ids of instances that callers are about to purge; those of other apps too, as their children may be
            of this one.
    """

    def __init__(self, world: BaseWorld, purging: set[str]) -> None:
        self._world = world
        self._purging = purging

    @property
    def retention(self) -> Retention:
        return self._world.settings.retention

    def asked(self, id_: str) -> None:
        """Note that a caller is about to purge an instance, and its children with it."""
        self._purging.add(id_)

    def check(self, write: Write, last: Version | None) -> bool:
        """Check a write that deletes an instance.

        Args:
            last: The last version of the instance.

        Returns:
            Whether retention has forgotten it.

        Raises:
            Broken: E14.
        """
        id_ = write.address.id
        # A child's id begins with its parent's.
        if last is None or any(id_ == each or id_.startswith((f"{each}:", f"{each}-")) for each in self._purging):
            return False
        kept_us = self.retention.kept_us(last.status)
        if kept_us is None:
            raise Broken("E14", f"{id_} is {last.status.name}, and is purged though nobody has asked for that")
        left_us = last.updated_us + kept_us - write.at_us
        # Between the look at the date and the turn the date may have been set.
        if left_us > 0 and not self._world.clock.may_be_set:
            raise Broken("E14", f"{id_} is forgotten {left_us} us before its time is over")
        return True

    def over_us(self, last: Version | None) -> int | None:
        """When an instance must be gone at the latest; Unix time, microseconds. None: it need not go."""
        kept_us = self.retention.kept_us(last.status) if last is not None else None
        return last.updated_us + kept_us + LATE_US if last is not None and kept_us is not None else None
