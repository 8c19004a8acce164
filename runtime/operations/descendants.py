"""The family of an instance: its children, their children, and so on.

The one law: only children of the present generation are found, because the walk
reads them from histories. It passes over a child that was purged, and an
instance that has the id of a child and another parent.

The facade walks a family before it purges it, or uses the id of its root again.
"""

from typing import NamedTuple

from ...actors.hosting.host import Host
from ...actors.store.errors import StoreDamaged
from ..history.event import ChildCreated
from ..history.record import unpack_record
from ..history.row import CorruptHistory, unpack_row
from ..history.status import Status
from ..instance.message import workflow_address


class Relative(NamedTuple):
    """One instance of a family."""

    instance_id: str
    status: Status
    path: tuple[str, ...]  # the ids from the child of the root down to this instance; empty for the root
    run: str | None = None  # `InstanceRecord.run_id`; None: it cannot be read
    set_aside: bool = False


class Descendants:
    """Walks families. Each step reads the store, so callers use this and turns do not."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def family(self, root_id: str) -> list[Relative]:
        """The root and all its descendants, parents before children; empty if there is no such root."""
        found: list[Relative] = []
        seen = {root_id}
        waiting: list[tuple[str, str | None, tuple[str, ...]]] = [(root_id, None, ())]
        for instance_id, parent_id, path in waiting:
            try:
                stored = await self._host.read(workflow_address(instance_id))
                record = unpack_record(stored.record) if stored is not None else None
            except (StoreDamaged, CorruptHistory):
                # Of a root that cannot be read no family is known; a child that cannot be read is passed over.
                if not path:
                    found.append(Relative(instance_id, Status.STALLED, path))
                continue
            if stored is None or record is None:
                continue
            if parent_id is not None and (record.parent is None or record.parent.instance_id != parent_id):
                continue
            found.append(Relative(instance_id, record.status, path, record.run_id, record.set_aside is not None))
            if not record.has_children:
                continue
            for entry in stored.entries:
                for event in unpack_row(entry).turn or ():
                    if isinstance(event, ChildCreated) and event.instance_id not in seen:
                        seen.add(event.instance_id)
                        waiting.append((event.instance_id, instance_id, (*path, event.instance_id)))
        return found

    async def unfinished(self, root_id: str) -> tuple[str, ...] | None:
        """The path to a descendant that is not finished; None if all are."""
        for relative in await self.family(root_id):
            if relative.path and not relative.status.terminal:
                return relative.path
        return None
