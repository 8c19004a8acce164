"""Moving activities: the fate of activities whose instances move to another host, or come from one.

The rule: an activity that has begun goes on where it is. One that has not is begun by the new owner; until it is known
who that is, nobody begins it. An activity that another host performs is not begun here, as long as an answer may come.

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
        self.lent: dict[Address, LentJob] = {}  # what other hosts perform, whether it was asked for here or not
        # Tells the host that performs a job of its withdrawal.
        self.tell_holder: Callable[[str, Withdraw], None] = lambda holder, message: None
        self._busy = busy
        self._lanes = lanes

    # Instances that go.

    def lend(self, has: Callable[[str], bool], me: str) -> Sequence[LentJob]:
        """Begin no more activities of instances that are about to be another host's.

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
            if begun is not job:
                lane.withdraw(invoke.home_id, (job,))
                job.holder = ""
        return lent

    def keep(self, has: Callable[[str], bool]) -> None:
        """Go on with the activities of instances that have not become another host's after all."""
        for job in self._busy.values():
            if job.holder == "" and has(job.invoke.home_id):
                self._begin(job)

    def forget(self, has: Callable[[str], bool]) -> None:
        """Forget the activities that others perform for instances that are not this host's any more."""
        for address in [address for address, each in self.lent.items() if has(each.instance_id)]:
            del self.lent[address]

    # Instances that come.

    def borrow(self, lent: Iterable[LentJob]) -> None:
        """Learn of activities that other hosts perform for instances that are this host's now."""
        self.lent.update({each.address: each for each in lent})

    def keeps(self, address: Address, invoke: Invoke, definition: ActivityDefinition | None) -> bool:
        """Whether an activity that is asked for is not to be begun, because another host performs it."""
        lent = self.lent.get(address)
        if lent is None:
            return False
        if invoke.again or definition is None:
            # It hangs there, or that host has another app: it is performed here too, and the first answer counts.
            self._end(address)
            return False
        self._busy[address] = ActivityJob(address, invoke, definition, lent.began_us, holder=lent.holder)
        return True

    def answered(self, done: ActivityDone) -> None:
        """Learn that a commit of this host holds an answer which has come from another host."""
        self._end(activity_address(done.execution_id, done.task_id))

    def withdraw(self, message: Withdraw, addresses: Iterable[Address]) -> None:
        """Forget the activities that others perform for an instance. They cancel these if the instance was ended."""
        lent = [each for address in addresses if (each := self._end(address)) is not None]
        for holder in dict.fromkeys(each.holder for each in lent) if message.ended else ():
            self.tell_holder(holder, message)

    def take_back(self, performs: Callable[[str], bool]) -> None:
        """Perform here the activities of other hosts of which no answer comes any more.

        Args:
            performs: Whether a host of that name still performs what it has.
        """
        for address in [address for address, each in self.lent.items() if not performs(each.holder)]:
            del self.lent[address]
            if (job := self._busy.get(address)) is not None:
                self._begin(job)

    def stop(self) -> None:
        """Wait for nothing that is not performed here: this host stops."""
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
