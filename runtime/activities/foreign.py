"""Foreign activities: activities of instances of other hosts, which do not have their code.

The rule: this host performs an activity that its app has, and refuses any other. It never forwards one, so none goes in
circles. A repeated request does not begin an activity again that is under way; if it has ended, its answer is on its
way.

`runtime/hosted_app.py` has one, where there are other hosts; `runtime/activities/actors.py` performs the activities.
The other end is `elsewhere.py`.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence

from ...actors.address import Address
from ...actors.cluster.method import HostMethod
from ...actors.cluster.peers import AppPeers
from ..authoring.app import ActivityKind
from ..instance.message import Invoke, Withdraw
from ..workers.lent import activity_address
from .job import ActivityJob
from .lane import Lane

ENDED_MAX = 10_000  # activities that are remembered as ended

# Perform activities; says of each whether it is performed.
PERFORM = HostMethod("activities.perform", (Sequence[Invoke],), Sequence[bool])
# Takes the name of the sending host: it does not perform these after all, by their execution and event ids.
BACK = HostMethod("activities.back", (str, Sequence[tuple[str, int]]), None)
# Do not perform these any more.
WITHDRAW_FOREIGN = HostMethod("activities.withdraw", (Withdraw,), None)


class ForeignActivities:
    """The activities that one host performs for others.

    Args:
        peers: The other hosts.
        names: The names of the app's activities.
        busy: The jobs of this host that have no answer, by their addresses.
        lanes: Where they are performed.
    """

    def __init__(
        self,
        peers: AppPeers,
        *,
        names: Collection[str],
        busy: Mapping[Address, ActivityJob],
        lanes: Mapping[ActivityKind, Lane[ActivityJob]],
    ) -> None:
        self._peers = peers
        self._names = names
        self._busy = busy
        self._lanes = lanes
        # Set by the owner: takes an activity, as if its instance were this host's; and takes some back.
        self.receive: Callable[[Address, Invoke], None] = lambda address, invoke: None
        self.withdrawn: Callable[[Withdraw], None] = lambda message: None
        self.leaving = False  # nothing is begun any more
        self._ended: OrderedDict[Address, None] = OrderedDict()
        peers.answer(PERFORM, self._perform)
        peers.answer(WITHDRAW_FOREIGN, self._withdraw)

    def ended(self, address: Address) -> None:
        """Remember that an activity has ended: its answer is on its way."""
        self._ended[address] = None
        if len(self._ended) > ENDED_MAX:
            self._ended.popitem(last=False)

    def leave(self) -> Sequence[ActivityJob]:
        """Begin no more activities of other hosts, and return to those hosts the ones that have not begun.

        Returns:
            The ones that have not begun; they are in no lane any more.
        """
        self.leaving = True
        back = []
        for job in self._busy.values():
            lane = self._lanes[job.definition.kind]
            if job.foreign and job.holder is None and job.earlier is None and not lane.has_begun(job):
                lane.withdraw(job.invoke.home_id, (job,))
                back.append(job)
        ids = [(job.invoke.execution_id, job.invoke.task_id) for job in back]
        for host in self._peers.names if ids else ():
            self._peers.tell(host, BACK, self._peers.membership.me, ids)
        return back

    def _withdraw(self, message: Withdraw) -> None:
        self.withdrawn(message)

    def _perform(self, invokes: Sequence[Invoke]) -> Sequence[bool]:
        return [self._perform_one(activity_address(each.execution_id, each.task_id), each) for each in invokes]

    def _perform_one(self, address: Address, invoke: Invoke) -> bool:
        known = self._busy.get(address)
        if known is None:
            if not invoke.again and address in self._ended:
                return True
            if self.leaving or invoke.name not in self._names:
                return False
        self.receive(address, invoke)
        if (job := self._busy.get(address)) is not None:
            job.foreign = True
        return True
