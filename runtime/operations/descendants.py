"""The family of an instance: its children, their children, and so on.

The rule: only children of the present generation are found, because the walk
reads them from histories. It passes over a child that was purged, and an
instance that has the id of a child and another parent.

The facade walks a family before it purges it, or uses the id of its root again.
"""

from typing import NamedTuple

from ...actors.address import Address
from ...actors.errors import RingUnknown
from ...actors.hosting.host import Host
from ...actors.store.errors import StoreDamaged
from ..directory import AppAddresses
from ..history.event import ChildCreated
from ..history.record import unpack_record
from ..history.row import CorruptHistory, unpack_row
from ..history.status import Status


class Relative(NamedTuple):
    """One instance of a family."""

    address: Address
    app_id: str
    status: Status
    path: tuple[str, ...]  # the ids from the child of the root down to this instance; empty for the root
    run: str | None = None  # `InstanceRecord.run_id`; None: it cannot be read
    set_aside: bool = False

    @property
    def instance_id(self) -> str:
        """Its id, in its app."""
        return self.address.id


class Descendants:
    """Walks families, over all apps. Each step reads the store, so callers use this and turns do not.

    Args:
        own: The addresses of the app of the roots.
    """

    def __init__(self, host: Host, own: AppAddresses) -> None:
        self._host = host
        self.own = own

    async def family(self, root_id: str, own: AppAddresses | None = None) -> list[Relative]:
        """The root and all its descendants, parents before children; empty if there is no such root.

        Args:
            own: The addresses of its app, if it is another one.
        """
        found: list[Relative] = []
        root = (own or self.own).instance(root_id)
        seen = {root}
        waiting: list[tuple[Address, AppAddresses, str | None, tuple[str, ...]]] = [(root, own or self.own, None, ())]
        for address, app, parent_id, path in waiting:
            try:
                stored = await self._host.read(address)
                record = unpack_record(stored.record) if stored is not None else None
            except (StoreDamaged, CorruptHistory):
                # The family of a root that cannot be read is unknown; a child that cannot be read is passed over.
                if not path:
                    found.append(Relative(address, app.app_id, Status.STALLED, path))
                continue
            except RingUnknown:
                # No host has its app: it cannot have ended.
                found.append(Relative(address, app.app_id, Status.PENDING, path))
                continue
            if stored is None or record is None:
                continue
            if parent_id is not None and (record.parent is None or record.parent.instance_id != parent_id):
                continue
            found.append(
                Relative(address, app.app_id, record.status, path, record.run_id, record.set_aside is not None)
            )
            if not record.has_children:
                continue
            for entry in stored.entries:
                for event in unpack_row(entry).turn or ():
                    if not isinstance(event, ChildCreated):
                        continue
                    childs = app.of(event.target_app)
                    child = childs.instance(event.instance_id)
                    if child not in seen:
                        seen.add(child)
                        waiting.append((child, childs, address.id, (*path, event.instance_id)))
        return found

    async def unfinished(self, root_id: str, own: AppAddresses | None = None) -> tuple[str, ...] | None:
        """The path to a descendant that is not finished; None if all are. For `own` see `family`."""
        for relative in await self.family(root_id, own):
            if relative.path and not relative.status.terminal:
                return relative.path
        return None
