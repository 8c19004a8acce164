"""The family of an instance: its children, their children, and so on.

Read from histories, which name every child of the present generation. A member
that was purged is passed over, and so is a stranger: an instance that holds an
id which a parent once asked for, and is not that parent's child.
"""

from typing import NamedTuple

from ...actors.hosting.host import Host
from ..history.event import ChildCreated
from ..history.record import unpack_record
from ..history.row import unpack_row
from ..history.status import Status
from ..instance.message import workflow_address


class Member(NamedTuple):
    """One instance of a family."""

    instance_id: str
    status: Status
    path: tuple[str, ...]  # from below the root down to this one


class Descendants:
    """Walks families. Each step is a read of the store, so this is for what people ask, not for turns."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def family(self, root_id: str) -> list[Member]:
        """The root and all its descendants, parents before children; empty if there is no such instance."""
        found: list[Member] = []
        seen = {root_id}
        waiting: list[tuple[str, str | None, tuple[str, ...]]] = [(root_id, None, ())]
        for instance_id, parent_id, path in waiting:
            stored = await self._host.read(workflow_address(instance_id))
            if stored is None:
                continue
            record = unpack_record(stored.record)
            if parent_id is not None and (record.parent is None or record.parent.instance_id != parent_id):
                continue
            found.append(Member(instance_id, record.status, path))
            if not record.has_children:
                continue
            for entry in stored.entries:
                for event in unpack_row(entry).turn or ():
                    if isinstance(event, ChildCreated) and event.instance_id not in seen:
                        seen.add(event.instance_id)
                        waiting.append((event.instance_id, instance_id, (*path, event.instance_id)))
        return found

    async def unfinished(self, root_id: str) -> tuple[str, ...] | None:
        """The way to a descendant that is not finished; None if all are."""
        for member in await self.family(root_id):
            if member.path and not member.status.terminal:
                return member.path
        return None
