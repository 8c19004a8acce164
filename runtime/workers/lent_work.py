"""Lent work: activities that a worker has, or has answered, while the shard of their instance moves.

The rule: the giver names the tokens under which workers have the activities of a shard, and dispatches no more of them.
The new owner takes such a job as dispatched when its instance requests it, or takes its answer before that; and it
waits for an answer that is on its way from the giver. So a move performs nothing twice.

The dispatcher (`runtime/workers/dispatcher.py`) has one; `runtime/activities/lending.py` calls it when shards move.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from ...actors.address import Address
from ..instance.message import ActivityDone, Invoke, Withdraw
from .items import ActivityAnswer, home_id_of
from .lent import LentJob, activity_address
from .room import Room
from .stream import Job, Stream

ANSWERED_MAX = 10_000  # answers that are remembered until their instances have requested them


class LentWork:
    """The activities of one dispatcher that move with their shards.

    Args:
        jobs: The jobs of the dispatcher, by key.
        streams: All streams.
        room: Counts the jobs that workers have.
        drop: Takes a job out of the dispatcher.
        add: Gives an activity to the dispatcher, as if its instance had requested it.
    """

    def __init__(
        self,
        jobs: dict[Address, Job],
        streams: Sequence[Stream],
        room: Room,
        *,
        drop: Callable[[Job], None],
        add: Callable[[Address, Invoke], None],
    ) -> None:
        self._jobs = jobs
        self._streams = streams
        self._room = room
        self._drop = drop
        self._add = add
        self._held_back: list[Invoke] = []  # of shards that are closed: their next owner dispatches these
        # by the address of the activity; neither requested nor answered here yet
        self._lent: dict[Address, LentJob] = {}
        self._awaited: dict[Address, Invoke] = {}  # the requests for some of these; another host sends the answer
        self._answered: OrderedDict[Address, None] = OrderedDict()  # before the request

    # Instances that go.

    def lend(self, has: Callable[[str], bool], me: str) -> Sequence[LentJob]:
        """Dispatch no more activities of instances that are about to move to another host.

        Args:
            has: Whether an instance is one of them.
            me: The name of this host.

        Returns:
            The activities that workers have.
        """
        lent = [each for each in self._lent.values() if has(each.instance_id)]
        for job in [job for job in self._jobs.values() if has(job.home_id)]:
            invoke = job.request
            if not isinstance(invoke, Invoke) or job.withdrawn:
                continue
            if job.sent and job.stream is not None:
                whose = (invoke.home_id, invoke.execution_id, invoke.task_id)
                lent.append(LentJob(*whose, job.stream.gate or me, job.sent_us, job.token, job.stream.id))
            else:
                self._held_back.append(invoke)
                self._drop(job)
        return lent

    def keep(self, has: Callable[[str], bool]) -> None:
        """Resume the activities of instances that stay with this host after all."""
        back = [invoke for invoke in self._held_back if has(invoke.home_id)]
        self._forget_held_back(has)
        for invoke in back:
            self._add(activity_address(invoke.execution_id, invoke.task_id), invoke)

    def leave(self, has: Callable[[str], bool]) -> None:
        """Forget instances that another host owns now."""
        self._forget_held_back(has)
        for address in [address for address, each in self._lent.items() if has(each.instance_id)]:
            self._end(address)

    # Instances that come.

    def borrow(self, lent: Iterable[LentJob]) -> None:
        """Take note of activities that workers have, or have answered, for instances that this host owns now."""
        self._lent.update({each.address: each for each in lent})

    def keeps(self, key: Address, invoke: Invoke) -> bool:
        """Whether a requested activity must not be dispatched, because a worker has it, or has answered it.

        Args:
            key: The key of its job.
        """
        address = activity_address(invoke.execution_id, invoke.task_id)
        if address in self._answered:
            del self._answered[address]
            return not invoke.again
        lent = self._lent.get(address)
        if lent is None or invoke.again:
            self._end(address)
            return False
        if not lent.token:
            self._awaited[address] = invoke
            return True
        self._end(address)
        stream = next((each for each in self._streams if each.id == lent.stream), None)
        if stream is None:
            return False  # the stream has ended, and its worker's answer would have no receiver
        job = self._jobs[key] = Job(key, invoke)
        stream.adopt(job, lent.token, lent.began_us)
        self._room.count(job, +1)
        return True

    def take(self, answer: ActivityAnswer) -> ActivityDone | None:
        """Take an answer to an activity that its instance has not requested here yet; None if there is no such."""
        for address, each in self._lent.items():
            known = (each.instance_id, each.task_id) == (home_id_of(answer), answer.task_id)
            if known and each.token and answer.token in ("", each.token):
                self._end(address)
                self._answered[address] = None
                if len(self._answered) > ANSWERED_MAX:
                    self._answered.popitem(last=False)
                return ActivityDone(each.execution_id, each.task_id, answer.result, answer.failure, each.began_us)
        return None

    def answered(self, done: ActivityDone) -> None:
        """Note that a commit of this host holds an answer which has come from another host."""
        self._end(activity_address(done.execution_id, done.task_id))

    def withdraw(self, message: Withdraw) -> None:
        """Forget activities whose answers nothing waits for any more."""
        for task_id in message.task_ids:
            self._end(activity_address(message.execution_id, task_id))

    def take_back(self, reaches: Callable[[str], bool]) -> None:
        """Dispatch the activities that have no answer, and will not get one.

        Args:
            reaches: Whether a host, by name, runs and can be reached.
        """
        for address in [address for address, each in self._lent.items() if not reaches(each.holder)]:
            invoke = self._end(address)
            if invoke is not None:
                self._add(address, invoke)

    def _forget_held_back(self, has: Callable[[str], bool]) -> None:
        self._held_back = [invoke for invoke in self._held_back if not has(invoke.home_id)]

    def _end(self, address: Address) -> Invoke | None:
        """Forget one activity; return its request, if an answer is waited for."""
        self._lent.pop(address, None)
        return self._awaited.pop(address, None)
