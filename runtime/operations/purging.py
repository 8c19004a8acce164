"""Purging: an instance is forgotten with its family, children first.

The rule: the instance itself goes last, so that a purge that is cut short can be repeated and finds the rest.

The facade uses it.
"""

from collections.abc import Collection
from typing import NamedTuple

from ...actors.address import Address
from ...actors.hosting.host import Host
from ..errors import InstanceNotFound, InstanceStalled, InstanceUnfinished
from ..history.instance_state import InstanceState
from ..history.status import Status
from ..instance.condition import ANY
from ..instance.message import Check, Purge
from .descendants import Descendants, Relative


class PurgeFilter(NamedTuple):
    """Which instances are forgotten together. Times are Unix time in microseconds."""

    created_from_us: int | None  # included; None: no limit
    created_to_us: int | None  # excluded
    statuses: Collection[Status]  # empty: all

    def fits(self, state: InstanceState, *, force: bool) -> bool:
        """Whether an instance is one of them.

        Args:
            force: Also instances that have not ended.
        """
        return (
            (force or state.status.terminal)
            and (not self.statuses or state.status in self.statuses)
            and (self.created_from_us is None or state.created_us >= self.created_from_us)
            and (self.created_to_us is None or state.created_us < self.created_to_us)
        )


class Purging:
    """Purges instances of a host."""

    def __init__(self, host: Host, descendants: Descendants) -> None:
        self._host = host
        self._descendants = descendants

    async def purge(self, instance_id: str, purge: Purge, *, recurse: bool) -> int:
        """Forget an instance, and its descendants with it if `recurse`; return how many were forgotten.

        Raises:
            InstanceNotFound, InstanceUnfinished, InstanceStalled, RunChanged, NoMatch: The instance is unchanged.
        """
        family = await self._descendants.family(instance_id) if recurse else []
        relatives = [relative for relative in family if relative.path]
        for relative in relatives:
            stalled = purge.stalled_too and relative.status is Status.STALLED
            if not (purge.force or relative.status.terminal or stalled):
                _check_purgeable(family[0], purge)
                raise InstanceUnfinished(relative.instance_id)
        if relatives and purge.condition != ANY:
            # Checked before its children are purged, and again in the turn of the instance itself.
            await self._host.ask(self._descendants.own.instance(instance_id), Check(purge.condition))
        purged = 0
        for relative in reversed(relatives):
            purged += await self._purge_one(relative.address, purge)
        await self._host.ask(self._descendants.own.instance(instance_id), purge)
        return purged + 1

    async def _purge_one(self, address: Address, purge: Purge) -> int:
        """Forget a descendant, which the audit does not mention."""
        try:
            await self._host.ask(address, purge._replace(by=None, condition=ANY))
        except InstanceNotFound:
            return 0
        return 1


def _check_purgeable(root: Relative, purge: Purge) -> None:
    """Refuse first if the instance itself cannot be purged."""
    if root.status is Status.STALLED:
        if not (root.set_aside or purge.stalled_too):
            raise InstanceStalled(root.instance_id)
    elif not root.status.terminal:
        raise InstanceUnfinished(root.instance_id)
