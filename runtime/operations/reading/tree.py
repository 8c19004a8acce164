"""Trees: an instance with its descendants, down to a requested depth.

The rule: a tree has at most TREE_MAX instances, under any request; a node whose children are left out says so.

The management API uses it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ....actors.hosting.host import Host
from ....actors.store.listing import Listed, ListFilter, Order
from ...directory import AppAddresses
from ...errors import InstanceNotFound, InvalidRequest
from ...history.facets import parent_facet
from ...history.record import unpack_record
from ...history.row import CorruptHistory

DEPTH = 3
DEPTH_MAX = 32
TREE_MAX = 1_000  # instances of a tree
PAGE = 200


@dataclass(slots=True, kw_only=True)
class TreeNode:
    """An instance in a tree."""

    id: str
    app_id: str
    name: str  # the workflow's
    status: str  # the name of a Status, or SET_ASIDE
    children: list["TreeNode"] = field(default_factory=list)  # oldest first; also those of earlier generations
    more: bool = False  # it has had children that are left out: the tree is deeper, or too large


class Trees:
    """Reads trees, level by level."""

    def __init__(self, host: Host, own: AppAddresses) -> None:
        self._host = host
        self._own = own

    async def tree(self, instance_id: str, depth: int = DEPTH) -> TreeNode:
        """Read the tree below an instance.

        Args:
            depth: How many levels below it, 0 to 32.

        Raises:
            InstanceNotFound
            InvalidRequest: The depth is out of its range.
        """
        if not 0 <= depth <= DEPTH_MAX:
            raise InvalidRequest(f"a tree has 0 to {DEPTH_MAX} levels, not {depth}")
        # Found by its id, which comes first in the list of all ids that begin with it.
        page = await self._host.lists.list(
            self._own.workflow, ListFilter(id_prefix=instance_id), order=Order.ID, cursor=None, limit=1
        )
        if not page.listed or page.listed[0].id != instance_id:
            raise InstanceNotFound(instance_id)
        root = _node(page.listed[0], self._own.app_id)
        seen = {(root.app_id, instance_id)}  # ids can be used again, so a descendant may bear the id of an ancestor
        level: Sequence[TreeNode] = [root]
        for _ in range(depth):
            for node in level:
                if node.more:
                    await self._add_children(node, seen)
            level = [child for node in level for child in node.children]
        return root

    async def _add_children(self, node: TreeNode, seen: set[tuple[str, str]]) -> None:
        node.more = False
        own = self._own.of(node.app_id)
        for childs in own.all():
            await self._add_children_of(
                childs, parent_facet(node.id, None if childs is own else own.app_id), node, seen
            )

    async def _add_children_of(
        self, childs: AppAddresses, parent: str, node: TreeNode, seen: set[tuple[str, str]]
    ) -> None:
        """Add the children that are of one app."""
        cursor: str | None = None
        while True:
            page = await self._host.lists.list(
                childs.workflow, ListFilter(parent=parent), order=Order.CREATED, cursor=cursor, limit=PAGE
            )
            for child in page.listed:
                if (childs.app_id, child.id) in seen:
                    continue
                if len(seen) >= TREE_MAX:
                    node.more = True
                    return
                seen.add((childs.app_id, child.id))
                node.children.append(_node(child, childs.app_id))
            cursor = page.cursor
            if cursor is None:
                return


def _node(found: Listed, app_id: str) -> TreeNode:
    """Make the node of an instance, without its children."""
    try:
        more = unpack_record(found.record).has_children
    except CorruptHistory:
        more = True
    return TreeNode(id=found.id, app_id=app_id, name=found.facets.name, status=found.facets.status, more=more)
