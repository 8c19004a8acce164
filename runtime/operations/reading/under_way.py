"""Work under way: which activities run, and whether a worker has the turn, on any host.

The rule: a host is asked only for an instance that has open work which is not found here.

`runtime/engine.py` connects it with the activities and the workers of its host.
"""

from collections.abc import Callable, Collection, Sequence

from ....actors.cluster.method import HostMethod
from ....actors.cluster.peers import AppPeers
from ...instance.message import WorkState
from .waiting import IDLE, UnderWay

METHOD = HostMethod("under way", (str, str, Sequence[int]), UnderWay)  # other hosts call it


class WorkLocator:
    """Finds the work of instances.

    Args:
        activity: The state of an activity on this host, by instance, execution and event id; None: it is not here.
        turn: The state of the turn that a remote worker is to take, by instance and execution.
        awaits_code: Whether an instance waits on this host for code that other hosts have.
        peers: The other hosts, if there are any.
    """

    def __init__(
        self,
        *,
        activity: Callable[[str, str, int], WorkState | None],
        turn: Callable[[str, str], WorkState | None],
        awaits_code: Callable[[str], bool] = lambda instance_id: False,
        peers: AppPeers | None,
    ) -> None:
        self._activity = activity
        self._turn = turn
        self._awaits_code = awaits_code
        self._peers = peers
        if peers is not None:
            peers.answer(METHOD, self.here)

    async def find(self, instance_id: str, execution_id: str, task_ids: Collection[int]) -> UnderWay:
        """Find the work under way for a generation of an instance.

        Args:
            task_ids: The event ids of its open activities.
        """
        found = self.here(instance_id, execution_id, task_ids)
        if self._peers is None or (found != IDLE and found.activities.keys() >= set(task_ids)):
            return found
        # All work of an instance is on the host that owns it, but for activities that only another host has. A host
        # that is away has nothing under way.
        others: list[UnderWay] = await self._peers.ask_reachable(METHOD, instance_id, execution_id, tuple(task_ids))
        return together([found, *others])

    def here(self, instance_id: str, execution_id: str, task_ids: Collection[int]) -> UnderWay:
        """Find the part of the work that is on this host."""
        states = {task_id: self._activity(instance_id, execution_id, task_id) for task_id in task_ids}
        known = {task_id: state for task_id, state in states.items() if state is not None}
        return UnderWay(self._turn(instance_id, execution_id), known, self._awaits_code(instance_id))


def together(parts: Sequence[UnderWay]) -> UnderWay:
    """Merge the work under way on several hosts."""
    turn = next((each.turn for each in parts if each.turn is not None), None)
    activities = {task_id: state for each in reversed(parts) for task_id, state in each.activities.items()}
    return UnderWay(turn, activities, any(each.awaits_code for each in parts))
