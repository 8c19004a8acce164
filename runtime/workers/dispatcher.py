"""The dispatcher: work for remote workers, and their answers.

The one law: work is never lost, and never in two places that count. It waits
until a worker is there, goes to one stream at a time under a token of its own,
and comes back to the queue when that stream ends. An answer under another
token than the last is void (contract 3.5).

A turn of a workflow comes as an offer, and what it feeds is settled when it is
sent. While a worker is busy anyhow, an offer may wait a little for results
that are on their way.

Nothing here is durable: an instance's history says what was asked for, and
after a restart it is asked for again.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from itertools import count
from typing import Any
from uuid import uuid4

import anyio

from ...actors.address import Address
from ...actors.errors import HostStopping
from ...actors.waiting.signal import Signal
from ..instance.message import (
    ACTIVITY,
    WORK,
    ActivityDone,
    Invoke,
    RemoteAnswer,
    Stalled,
    TryAgain,
    WorkflowTurnWork,
    workflow_address,
)
from ..instance.state import Offered
from ..instance.work import ActivityAnswer, ActivityItem, Worker, WorkflowAnswer, WorkflowItem, WorkItem, WorkUnknown
from .limits import DispatchLimits

logger = logging.getLogger(__name__)


class Job:
    """One piece of work, from the request to the answer that counts."""

    __slots__ = ("key", "sent", "stream", "token", "work")

    def __init__(self, key: Address, work: Offered | Invoke) -> None:
        self.key = key
        self.work: Offered | WorkflowTurnWork | Invoke = work  # an offer until it is sent
        self.stream: Stream | None = None  # None: it waits
        self.token = ""  # of the last time it was given to a worker
        self.sent = False  # to that worker


class Stream:
    """A connected worker, and what it has.

    Args:
        withdraw: Takes a job back whose offer is void.
    """

    # Of how many instances a worker is taken to keep the history; Python's SDK keeps 100 000.
    HISTORIES_MAX = 10_000

    def __init__(self, worker: Worker, withdraw: Callable[[Job], None]) -> None:
        self.worker = worker
        self.jobs: dict[Address, Job] = {}
        self._withdraw = withdraw
        self._ready: deque[Job] = deque()
        self._patient: list[tuple[float, int, Job]] = []  # a heap: until when (event loop's clock), a number, what
        self._numbers = count()
        self._signal = Signal()
        self._stopped = False
        # Instance to its generation and how much of its history the worker was sent.
        self._sent: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def give(self, job: Job) -> None:
        job.stream = self
        job.token = uuid4().hex
        job.sent = False
        self.jobs[job.key] = job
        patience_s = 0.0 if isinstance(job.work, WorkflowTurnWork | Invoke) else job.work.patience_s
        # A worker that has nothing else to do gains nothing by a wait.
        if patience_s > 0 and len(self.jobs) > 1:
            heappush(self._patient, (anyio.current_time() + patience_s, next(self._numbers), job))
        else:
            self._ready.append(job)
        self._signal.set()

    def hurry(self, job: Job) -> None:
        """Send a job as soon as possible, if it has not been sent."""
        self._ready.append(job)
        self._signal.set()

    def stop(self) -> None:
        """Let `items` end."""
        self._stopped = True
        self._signal.set()

    def __aiter__(self) -> AsyncIterator[WorkItem]:
        return self

    async def __anext__(self) -> WorkItem:
        """The next item for this worker, as soon as there is one."""
        while not self._stopped:
            self._take_patient()
            while self._ready:
                item = self._item(self._ready.popleft())
                if item is not None:
                    return item
            if self._patient:
                await self._signal.wait_for(self._patient[0][0] - anyio.current_time())
            else:
                await self._signal.wait()
        raise StopAsyncIteration

    def forget_beyond(self, offer: Offered) -> None:
        """Count as unsent a history that went further than this one: its end did not become durable, and is void."""
        if self._sent.get(offer.instance_id, ("", 0))[1] > offer.position:
            del self._sent[offer.instance_id]

    def keeps(self, instance_id: str) -> bool:
        """Whether the worker has been sent the history of an instance."""
        return instance_id in self._sent

    def _take_patient(self) -> None:
        """Make ready what has waited long enough."""
        while self._patient and self._patient[0][0] <= anyio.current_time():
            self._ready.append(heappop(self._patient)[2])

    def _item(self, job: Job) -> WorkItem | None:
        """What is sent for a job; None if it is another's by now, was sent before, or is void."""
        if self.jobs.get(job.key) is not job or job.sent:
            return None
        job.sent = True
        work = job.work
        if isinstance(work, Invoke):
            return ActivityItem(
                work.instance_id,
                work.task_id,
                work.task_execution_id,
                work.name,
                work.input,
                job.token,
                propagated=work.propagated,
                wire=work.wire,
            )
        if not isinstance(work, WorkflowTurnWork):
            settled = work.settle()
            if settled is None:
                self._withdraw(job)
                return None
            job.work = work = settled
        cached = self._cached(work)
        past = work.past[cached or 0 : work.position]
        return WorkflowItem(work.instance_id, work.execution_id, past, work.new, job.token, cached, work.propagated)

    def _cached(self, work: WorkflowTurnWork) -> int | None:
        """How much of the history the worker has already; None: it is sent whole (contract 3.20)."""
        if not self.worker.stateful:
            return None
        generation, count = self._sent.get(work.instance_id, ("", 0))
        self._sent[work.instance_id] = (work.execution_id, work.position)
        self._sent.move_to_end(work.instance_id)
        if len(self._sent) > self.HISTORIES_MAX:
            self._sent.popitem(last=False)
        return count if generation == work.execution_id and 0 < count <= work.position else None


class Dispatcher:
    """Hands work to streams, fairly, within limits.

    Args:
        send: Takes an answer to the instance that asked.
        greet: Called when a worker has come.
    """

    def __init__(
        self,
        limits: DispatchLimits,
        *,
        send: Callable[[Address, Any], None],
        greet: Callable[[], None] = lambda: None,
    ) -> None:
        self._greet = greet
        self._limits = limits
        self._send = send
        self._streams: list[Stream] = []
        self._jobs: dict[Address, Job] = {}
        self._workflows: deque[Job] = deque()
        self._activities: deque[Job] = deque()
        self._at_work: dict[str, int] = {}  # by kind, and by kind and name: how many workers have
        self._stalled: set[str] = set()
        self._stopping = False

    @property
    def connected(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def __len__(self) -> int:
        """How much work is not answered."""
        return len(self._jobs)

    def stop(self) -> None:
        """End all streams, and take in no more workers."""
        self._stopping = True
        for stream in self._streams:
            stream.stop()

    # Work comes.

    def receive(self, address: Address, body: Offered | Stalled) -> None:
        """Take a message of a workflow actor."""
        if isinstance(body, Stalled):
            # It waits for other code, which the next worker that comes may have.
            self._stalled.add(address.id)
        else:
            self._receive_offer(address, body)

    def _receive_offer(self, address: Address, offer: Offered) -> None:
        """Take a turn that a worker is to take. One for another state of the instance is void with it."""
        job = self._jobs.get(address)
        if job is not None:
            assert not isinstance(job.work, Invoke)
            if _is_continued(job.work, offer):
                self._renew(job, offer)
                return
            self._drop(job)
        for stream in self._streams:
            stream.forget_beyond(offer)
        self._add(Job(address, offer), self._workflows)

    def _renew(self, job: Job, offer: Offered) -> None:
        """Take an offer in the place of the one before, unless a worker has that already."""
        if not isinstance(job.work, WorkflowTurnWork):
            job.work = offer
            if job.stream is not None and offer.patience_s == 0:
                job.stream.hurry(job)

    def receive_activity(self, address: Address, invoke: Invoke) -> None:
        """Take an activity that a worker is to perform, once at a time."""
        key = _activity_key(invoke.instance_id, invoke.task_id)
        job = self._jobs.get(key)
        if job is not None:
            assert isinstance(job.work, Invoke)
            if job.work.execution_id == invoke.execution_id:
                return
            self._drop(job)  # of an earlier generation, whose ids begin anew
        self._add(Job(key, invoke), self._activities)

    # Workers come and go.

    @asynccontextmanager
    async def connect(self, worker: Worker) -> AsyncIterator[AsyncIterator[WorkItem]]:
        """Take a worker in for as long as the context lasts; what it has not answered then goes to others.

        Raises:
            HostStopping: There will be no work any more.
        """
        if self._stopping:
            raise HostStopping
        stream = Stream(worker, self._withdraw)
        self._streams.append(stream)
        self._greet()
        self._retry_stalled()
        self._pump()
        try:
            yield stream
        finally:
            self._streams.remove(stream)
            # In front, in their order: they have waited longest.
            for job in reversed(list(stream.jobs.values())):
                job.stream = None
                self._count(job, -1)
                self._queue_of(job).appendleft(job)
            self._pump()

    # Answers come.

    async def complete_workflow(self, answer: WorkflowAnswer) -> None:
        """Take the answer to a turn, over whichever connection it comes.

        Raises:
            WorkUnknown: No turn of this instance is given out.
        """
        job = self._finish(Address(WORK, answer.instance_id), answer.token)
        if job is None:
            return
        assert isinstance(job.work, WorkflowTurnWork)
        self._send(workflow_address(answer.instance_id), RemoteAnswer(job.work, answer))

    async def complete_activity(self, answer: ActivityAnswer) -> None:
        """Take the result of an activity, over whichever connection it comes.

        Raises:
            WorkUnknown: This activity is not given out.
        """
        job = self._finish(_activity_key(answer.instance_id, answer.task_id), answer.token, answer.task_id)
        if job is not None:
            assert isinstance(job.work, Invoke)
            done = ActivityDone(job.work.execution_id, answer.task_id, answer.result, answer.failure)
            self._send(workflow_address(answer.instance_id), done)

    # Inside.

    def _retry_stalled(self) -> None:
        stalled, self._stalled = self._stalled, set()
        for instance_id in stalled:
            self._send(workflow_address(instance_id), TryAgain())

    def _add(self, job: Job, queue: deque[Job]) -> None:
        self._jobs[job.key] = job
        queue.append(job)
        self._pump()

    def _finish(self, key: Address, token: str, task_id: int | None = None) -> Job | None:
        """Take a job as answered; None if the answer is to an earlier time it was given."""
        job = self._jobs.get(key)
        if job is None:
            instance_id = key.id if task_id is None else key.id.rpartition("::")[0]
            raise WorkUnknown(instance_id, task_id)
        if (token and token != job.token) or not job.sent:
            logger.debug("an answer to %s under another token is void", key)
            return None
        self._drop(job)
        self._pump()
        return job

    def _withdraw(self, job: Job) -> None:
        self._drop(job)
        self._pump()

    def _drop(self, job: Job) -> None:
        del self._jobs[job.key]
        if job.stream is not None:
            del job.stream.jobs[job.key]
            job.stream = None
            self._count(job, -1)
        else:
            self._queue_of(job).remove(job)

    def _queue_of(self, job: Job) -> deque[Job]:
        return self._workflows if not isinstance(job.work, Invoke) else self._activities

    def _pump(self) -> None:
        """Give out what can be given."""
        for queue in (self._workflows, self._activities):
            held_back: list[Job] = []
            while queue and self._streams:
                job = queue.popleft()
                if self._is_full(job):
                    held_back.append(job)
                    continue
                stream = self._choose(job)
                if stream is None:
                    queue.appendleft(job)
                    break
                self._count(job, +1)
                stream.give(job)
            queue.extendleft(reversed(held_back))

    def _choose(self, job: Job) -> Stream | None:
        """A stream with room: the one that has the instance's history, or the one with least to do."""
        room = self._limits.items_per_stream_max
        free = [stream for stream in self._streams if len(stream.jobs) < room]
        if not isinstance(job.work, Invoke):
            for stream in free:
                if stream.worker.stateful and stream.keeps(job.work.instance_id):
                    return stream
        return min(free, key=lambda stream: len(stream.jobs), default=None)

    def _is_full(self, job: Job) -> bool:
        """Whether a limit keeps a job waiting."""
        limits = self._limits
        if not isinstance(job.work, Invoke):
            total, named = limits.workflows_max, limits.workflow_max.get(job.work.name)
        else:
            total, named = limits.activities_max, limits.activity_max.get(job.work.name)
        kind, name = _counters(job)
        at_work = self._at_work
        return (total is not None and at_work.get(kind, 0) >= total) or (
            named is not None and at_work.get(name, 0) >= named
        )

    def _count(self, job: Job, by: int) -> None:
        for counter in _counters(job):
            self._at_work[counter] = self._at_work.get(counter, 0) + by
            if self._at_work[counter] == 0:
                del self._at_work[counter]


def _is_continued(work: Offered | WorkflowTurnWork, offer: Offered) -> bool:
    """Whether an offer stands for the same turn as one before, whatever else it may feed by now."""
    if (work.execution_id, work.position) != (offer.execution_id, offer.position):
        return False
    # What a worker has been sent is not changed any more, and must still be true.
    return not isinstance(work, WorkflowTurnWork) or work.fed == offer.fed[: len(work.fed)]


def _counters(job: Job) -> tuple[str, str]:
    kind = "activity" if isinstance(job.work, Invoke) else "workflow"
    return kind, f"{kind}/{job.work.name}"


def _activity_key(instance_id: str, task_id: int) -> Address:
    """An answer names the instance and the task, and not the generation."""
    return Address(ACTIVITY, f"{instance_id}::{task_id}")
