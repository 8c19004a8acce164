"""Moving activities: the fate of activities whose instances move to another host, or come from one.

The rule: an activity that has begun goes on where it is. The new owner begins the others; until the owner is known, no
host begins them. An activity that another host performs is not begun here while its answer may come.

`runtime/activities/actors.py` has one, and `runtime/activities/lending.py` calls it as shards come and go.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from ...actors.address import Address
from ..authoring.app import ActivityDefinition, ActivityKind
from ..instance.message import ActivityDone, Invoke, Withdraw
from ..workers.lent import LentJob, activity_address
from .job import ActivityJob, earlier_of
from .lane import Lane


class MovingActivities:
    """The activities of a host that it performs for others, and that others perform for it.

    Args:
        busy: The jobs of this host that have no answer, by their addresses.
        lanes: Where they are performed.
    """

    def __init__(self, busy: dict[Address, ActivityJob], lanes: Mapping[ActivityKind, Lane[ActivityJob]]) -> None:
        self.lent: dict[Address, LentJob] = {}  # the jobs that other hosts perform, requested here or not
        # Sends a withdrawal to the host that performs a job.
        self.tell_holder: Callable[[str, Withdraw], None] = lambda holder, message: None
        self._busy = busy
        self._lanes = lanes

    # Instances that go.

    def lend(self, has: Callable[[str], bool], me: str) -> Sequence[LentJob]:
        """Begin no more activities of instances that are about to move to another host.

        Args:
            has: Whether an instance is one of them.
            me: The name of this host.

        Returns:
            The jobs that go on, here or on the host from which this one has them.
        """
        lent = [each for each in self.lent.values() if has(each.instance_id)]
        for job in [job for job in self._busy.values() if job.holder is None and has(job.invoke.home_id)]:
            lane, invoke = self._lanes[job.definition.kind], job.invoke
            begun = next((each for each in (job, *earlier_of(job)) if lane.has_begun(each)), None)
            if begun is not None:
                lent.append(LentJob(invoke.home_id, invoke.execution_id, invoke.task_id, me, begun.began_us))
                begun.foreign = True
            if begun is not job:
                lane.withdraw(invoke.home_id, (job,))
                job.holder = ""
        return lent

    def keep(self, has: Callable[[str], bool]) -> None:
        """Resume the activities of instances that stay with this host after all."""
        for job in self._busy.values():
            if job.holder == "" and has(job.invoke.home_id):
                self._begin(job)

    def forget(self, has: Callable[[str], bool]) -> None:
        """Forget the activities that others perform for instances that are not this host's any more."""
        for address in [address for address, each in self.lent.items() if has(each.instance_id)]:
            del self.lent[address]

    # Instances that come.

    def borrow(self, lent: Iterable[LentJob]) -> None:
        """Take note of activities that other hosts perform for instances that this host owns now."""
        self.lent.update({each.address: each for each in lent})

    def keeps(self, address: Address, invoke: Invoke, definition: ActivityDefinition | None) -> bool:
        """Whether a requested activity must not be begun, because another host performs it."""
        lent = self.lent.get(address)
        if lent is None:
            return False
        if invoke.again or definition is None:
            # It hangs there: it is performed here too, and the first answer counts.
            self._end(address)
            return False
        self._busy[address] = ActivityJob(address, invoke, definition, lent.began_us, holder=lent.holder)
        return True

    def holder_of(self, address: Address) -> str | None:
        """Forget which host performs an activity, and return its name; None if none is known to.

        `runtime/activities/elsewhere.py` keeps track of activities that the app of this host does not have.
        """
        lent = self._end(address)
        return lent.holder if lent is not None else None

    def answered(self, done: ActivityDone) -> None:
        """Note that a commit of this host holds an answer which has come from another host."""
        self._end(activity_address(done.execution_id, done.task_id))

    def withdraw(self, message: Withdraw, addresses: Iterable[Address]) -> None:
        """Forget the activities that others perform for an instance. They cancel these if the instance was ended."""
        lent = [each for address in addresses if (each := self._end(address)) is not None]
        for holder in dict.fromkeys(each.holder for each in lent) if message.ended else ():
            self.tell_holder(holder, message)

    def take_back(self, performs: Callable[[str], bool]) -> None:
        """Perform here the activities whose answers do not come from other hosts any more.

        Args:
            performs: Whether a host, by name, still performs its activities.
        """
        for address in [address for address, each in self.lent.items() if not performs(each.holder)]:
            del self.lent[address]
            if (job := self._busy.get(address)) is not None:
                self._begin(job)

    def stop(self) -> None:
        """Drop the waits for activities that other hosts perform, because this host stops."""
        self.lent.clear()
        for address in [address for address, job in self._busy.items() if job.holder is not None]:
            del self._busy[address]

    # Inside.

    def _begin(self, job: ActivityJob) -> None:
        job.holder = job.began_us = None
        self._lanes[job.definition.kind].add(job.invoke.home_id, job)

    def _end(self, address: Address) -> LentJob | None:
        """Forget one job that another host performs; return it, if there was one."""
        lent = self.lent.pop(address, None)
        if lent is not None:
            self._busy.pop(address, None)
        return lent
