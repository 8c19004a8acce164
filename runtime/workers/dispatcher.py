"""The dispatcher: turns and activities for remote workers, and their answers.

The rule: a job is never lost, and never in two places that count. It waits
until a worker is connected, goes to one stream at a time under a token of its
own, and returns to the queue when that stream ends. An answer under another
token than the last is void (contract 3.5). If a worker answers without tokens,
its next job with a key waits for the answer to the one before
(`unanswered.py`). A job that its instance has withdrawn is not dispatched.

A turn of a workflow comes as an offer (`runtime/instance/offer.py`), and the
stream settles which events it feeds when it sends the turn.

Nothing here is durable: the history of an instance shows which jobs are open,
and after a restart the instance requests them again. Workflow actors and
`runtime/activities/actors.py` send the jobs; the doors connect the workers.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio

from ...actors.address import Address
from ...actors.errors import HostStopping
from ...actors.instruments import SYSTEM, Chance
from ...journal.journal import Journal
from ...journal.vocabulary import WAITING_FOR_ANSWER, WORKER_CAME, WORKER_WENT
from ..directory import WORK, AppAddresses
from ..instance.message import (
    ActivityDone,
    Invoke,
    RemoteAnswer,
    Stalled,
    TryAgain,
    Withdraw,
    WorkflowAnswer,
    WorkflowTurnWork,
    WorkState,
)
from ..instance.state import Offered
from .activity_figures import NAMES_MAX, ActivityLoad, oldest_of, recent_attempts
from .activity_spans import ActivitySpans
from .fair_queue import FairQueue
from .items import ActivityAnswer, Worker, WorkUnknown, home_id_of
from .keys import activity_key, instance_of, key_of
from .lent_work import LentWork
from .limits import DispatchLimits
from .room import Room
from .stream import Job, Stream, StreamRoom
from .unanswered import HeldJobs

logger = logging.getLogger(__name__)


class Dispatcher:
    """Gives jobs to streams, oldest first and the instances in turn, within limits.

    Args:
        limits: How many jobs one stream, and all streams together, may have at once.
        own: The addresses of the app whose workers these are; None: it is the only one.
        send: Sends an answer to the requesting instance.
        now_us: The wall clock; Unix time, microseconds.
        greet: Called when a worker has connected.
        chance: Makes the tokens of jobs.
        journal: Gets lines about workers that connect and leave.
    """

    def __init__(
        self,
        limits: DispatchLimits,
        *,
        own: AppAddresses | None = None,
        send: Callable[[Address, Any], None],
        now_us: Callable[[], int],
        greet: Callable[[], None] = lambda: None,
        chance: Chance = SYSTEM.chance,
        journal: Journal | None = None,
    ) -> None:
        self._greet = greet
        self._own = own or AppAddresses()
        self._chance = chance
        self._journal = (journal or Journal()).at(__name__)
        self._limits = limits
        self._send = send
        self._now_us = now_us
        self.streams: list[Stream] = []
        self._jobs: dict[Address, Job] = {}
        self._workflows: FairQueue[Job] = FairQueue()
        self._activities: FairQueue[Job] = FairQueue()
        self._held = HeldJobs[Job](self.streams, lambda job: self._queue_of(job).push_front(job.home_id, job))
        self.room = Room(limits, self.streams, self._journal)
        self.lent = LentWork(self._jobs, self.streams, self.room, drop=self._drop, add=self.receive_activity)
        self._stalled: dict[str, None] = {}  # ids, in the order in which they stalled
        self._full: FairQueue[Job] | None = None  # the queue whose wait for room is in the log
        self._stopping = False
        self.recent = recent_attempts()
        self.spans: ActivitySpans | None = None
        self.timed = False  # whether the times of requests for activities are noted
        self.oldest_waiting = partial(_oldest_waiting, self._jobs)

    @property
    def connected(self) -> int:
        """How many workers there are, at this host and at the others."""
        return len(self.streams)

    @property
    def own(self) -> Sequence[Stream]:
        """The streams of the workers that are connected to this host."""
        return [stream for stream in self.streams if stream.gate is None]

    def __len__(self) -> int:
        """How many jobs are not answered."""
        return len(self._jobs)

    def unserved(self) -> list[str]:
        """List the instances whose work waits for a worker although none is connected, each once, the oldest first."""
        if self.streams:
            return []
        return list(dict.fromkeys(job.request.instance_id for job in self._jobs.values()))

    def loads(self) -> dict[str, ActivityLoad]:
        """Count the activities that wait for a worker, and the ones that workers have, by name."""
        loads: dict[str, ActivityLoad] = {}
        for job in self._jobs.values():
            if isinstance(job.request, Invoke):
                name = job.request.name
                loads[name] = loads.get(name, ActivityLoad()).with_one(job.sent_us if job.sent else None)
        return loads

    def stop(self) -> None:
        """End all streams, and take in no more workers."""
        self._stopping = True
        for stream in self.streams:
            stream.stop()

    # Jobs come.

    def receive(self, address: Address, body: Offered | Stalled) -> None:
        """Take a message of a workflow actor."""
        if isinstance(body, Stalled):
            # The instance waits for other code, which the next worker may have.
            self._stalled[address.id] = None
        else:
            self._receive_offer(address, body)

    def _receive_offer(self, address: Address, offer: Offered) -> None:
        """Take the offer of a turn. An earlier offer for another state of the instance is void."""
        job = self._jobs.get(address)
        if job is not None:
            assert not isinstance(job.request, Invoke)
            if _is_continued(job.request, offer):
                self._renew(job, offer)
                return
            self._drop(job)
        for stream in self.streams:
            stream.forget_beyond(offer)
        self._add(Job(address, offer), self._workflows)

    def _renew(self, job: Job, offer: Offered) -> None:
        """Replace the offer of a job, unless a worker has been sent it already."""
        if not isinstance(job.request, WorkflowTurnWork):
            job.request = offer
            if job.stream is not None and offer.patience_s == 0:
                job.stream.hurry(job)

    def receive_activity(self, address: Address, invoke: Invoke) -> None:
        """Take an activity that a worker is to perform, once at a time."""
        key = activity_key(invoke.home_id, invoke.task_id)
        job = self._jobs.get(key)
        if job is not None:
            assert isinstance(job.request, Invoke)
            if job.request.execution_id == invoke.execution_id:
                # A job whose stream has ended waits to be dispatched in any case.
                if invoke.again and job.sent and job.stream is not None:
                    self._give_again(job)
                return
            self._drop(job)  # it is of an earlier generation, which had the same ids
        if self.lent.keeps(key, invoke):
            return
        self._add(Job(key, invoke), self._activities)

    def _give_again(self, job: Job) -> None:
        """Give a worker's activity to another worker, or once more to the same one. The first answer counts."""
        assert job.stream is not None
        job.earlier_tokens = (*job.earlier_tokens, job.token)
        job.first_sent_us = job.first_sent_us or job.sent_us
        job.hung_with = job.stream
        del job.stream.activities[job.key]
        job.stream = None
        job.sent = False
        self.room.count(job, -1)
        self._activities.push_front(job.home_id, job)
        self.pump()

    def withdraw(self, message: Withdraw) -> None:
        """Dispatch no more activities of an instance, nor its turn if it was ended.

        A worker may still answer the jobs that it was sent. The answer is passed on, and the instance drops it.
        """
        self.lent.withdraw(message)
        keys = [activity_key(message.instance_id, task_id) for task_id in message.task_ids]
        if message.ended:
            keys.append(Address(WORK, message.instance_id))
            self._stalled.pop(message.instance_id, None)
        waiting: set[Job] = set()
        for key in keys:
            job = self._jobs.get(key)
            if job is None or job.request.execution_id != message.execution_id:
                continue
            if job.stream is None:
                del self._jobs[key]
                self._held.drop(key)
                waiting.add(job)
            elif job.sent:
                job.withdrawn = True
            else:
                self._drop(job)
        if waiting:
            for queue in (self._workflows, self._activities):
                queue.remove(message.instance_id, waiting)
        self.pump()

    def leave(self, has: Callable[[str], bool]) -> None:
        """Forget the jobs of instances that another host owns now.

        Args:
            has: Whether an instance is one of them.
        """
        self.lent.leave(has)
        for job in [job for job in self._jobs.values() if has(job.home_id)]:
            self._drop(job)
        for stream in self.streams:
            # Later answers to these go to their next owner.
            stream.unanswered.forget([key for key in stream.unanswered if has(instance_of(key))])
        for instance_id in [instance_id for instance_id in self._stalled if has(instance_id)]:
            del self._stalled[instance_id]
        self.pump()

    # For readers.

    def activity_state(self, instance_id: str, execution_id: str, task_id: int) -> WorkState | None:
        """Whether an activity of a generation waits or is with a worker; None: it is not here."""
        return _state(self._jobs.get(activity_key(instance_id, task_id)), execution_id)

    def turn_state(self, instance_id: str, execution_id: str) -> WorkState | None:
        """Whether the turn of an instance waits or is with a worker; None: none is here."""
        return _state(self._jobs.get(Address(WORK, instance_id)), execution_id)

    # Workers come and go.

    @asynccontextmanager
    async def connect(self, worker: Worker, room: StreamRoom | None = None) -> AsyncIterator[Stream]:
        """Connect a worker for as long as the context lasts. Its open jobs then go to other workers.

        Args:
            room: How many jobs of this host it may have; None: as many as fit.

        Yields:
            The items for this worker, as they come.

        Raises:
            HostStopping: The engine stops, and gives no more jobs.
        """
        if self._stopping:
            raise HostStopping

        stream = self.new_stream(worker, room)
        began_s = anyio.current_time()
        self._journal.write(WORKER_CAME, worker=worker.peer, agent=worker.agent)
        self.add(stream)
        try:
            yield stream
        finally:
            self._tell_gone(stream, anyio.current_time() - began_s)
            self.remove(stream)

    def new_stream(self, worker: Worker, room: StreamRoom | None = None, gate: str | None = None) -> Stream:
        """Make a stream without jobs, which gets none before `add`.

        Args:
            room: As for `connect`.
            gate: The name of the host to which the worker is connected; None: this one.
        """

        def take_back(job: Job) -> None:
            self._drop(job)
            self.pump()

        stream = Stream(
            worker,
            take_back,
            gate=gate,
            room=room or self.room.whole,
            answer_timeout_s=self._limits.answer_timeout_s,
            now_us=self._now_us,
            chance=self._chance,
            journal=self._journal,
        )
        stream.spans = self.spans
        return stream

    def add(self, stream: Stream) -> None:
        """Give jobs to a stream from now on."""
        self.streams.append(stream)
        self._greet()
        self._retry_stalled()
        self.pump()

    def remove(self, stream: Stream) -> None:
        """Give a stream no more jobs, and its open ones to others."""
        self.streams.remove(stream)
        # To the front, in their order: these jobs have waited longest.
        for job in reversed([*stream.turns.values(), *stream.activities.values()]):
            job.stream = None
            self.room.count(job, -1)
            if job.withdrawn:
                del self._jobs[job.key]
            else:
                self._queue_of(job).push_front(job.home_id, job)
        self._held.let_go(stream.unanswered)
        self.pump()

    def share_with(self, hosts: int) -> None:
        """Keep to this host's part of the limits on all workers together.

        Args:
            hosts: How many hosts give jobs to workers, this one among them.
        """
        self.room.limits = self._limits.divided(hosts)
        self.pump()

    # Answers come.

    async def complete_workflow(self, answer: WorkflowAnswer) -> None:
        """Take the answer to a turn. It need not come over the connection of the stream.

        Raises:
            WorkUnknown: No turn of this instance is open.
        """
        job = self._finish(Address(WORK, answer.instance_id), answer.token)
        if job is None:
            return
        assert isinstance(job.request, WorkflowTurnWork)
        self._send(self._own.instance(answer.instance_id), RemoteAnswer(job.request, answer))

    async def complete_activity(self, answer: ActivityAnswer) -> None:
        """Take the result of an activity. It need not come over the connection of the stream.

        Raises:
            WorkUnknown: This activity is not open.
        """
        key = key_of(answer, self._jobs)
        if key not in self._jobs and (early := self.lent.take(answer)) is not None:
            home_id = home_id_of(answer)
            self._send(_home(self._own, home_id, call=home_id != answer.instance_id), early)
            return
        job = self._finish(key, answer.token, answer.task_id)
        if job is not None:
            assert isinstance(job.request, Invoke)
            took_s = (self._now_us() - (job.sent_us or 0)) / 1e6
            if job.request.name in self.recent or len(self.recent) < NAMES_MAX:
                self.recent[job.request.name].append(took_s if answer.failure is None else -took_s)
            if self.spans is not None:
                self.spans.answered(job.request, job, answer)
            done = ActivityDone(job.request.execution_id, answer.task_id, answer.result, answer.failure, job.sent_us)
            self._send(_home(self._own, job.request.home_id, call=job.request.call is not None), done)

    # Inside.

    def _tell_gone(self, stream: Stream, stayed_s: float) -> None:
        self._journal.write(
            WORKER_WENT,
            worker=stream.worker.peer,
            agent=stream.worker.agent,
            found=stream.load,
            duration_s=stayed_s,
            duration_ms=round(stayed_s * 1e3),
        )

    def _retry_stalled(self) -> None:
        stalled, self._stalled = self._stalled, {}
        for instance_id in stalled:
            self._send(self._own.instance(instance_id), TryAgain())

    def _add(self, job: Job, queue: FairQueue[Job]) -> None:
        self._jobs[job.key] = job
        if self.timed:
            job.asked_us = self._now_us()
        queue.push(job.home_id, job)
        self.pump()

    def _finish(self, key: Address, token: str, task_id: int | None = None) -> Job | None:
        """Take a job as answered.

        Returns:
            The job; None if the answer is void, because its token is not the job's last one.

        Raises:
            WorkUnknown: There is no such job.
        """
        job = self._jobs.get(key)
        given = job.stream if job is not None else None
        if not token and given is not None:
            given.says_none()
        earlier = self._held.answered(key, token, job, given)
        if earlier:
            self._held.let_go((key,))
            self.pump()
        if job is None:
            raise WorkUnknown(instance_of(key), task_id)
        if earlier and not token:
            logger.debug("an answer to %s without a token is to an earlier job, and void", key)
            return None
        if not (job.sent and token in ("", job.token)) and not (job.earlier_tokens and _is_earlier(job, token)):
            logger.debug("an answer to %s under another token is void", key)
            return None
        if (stream := job.stream) is not None:
            stream.seen_us = self._now_us()
        self._drop(job)
        self.pump()
        return job

    def _drop(self, job: Job) -> None:
        del self._jobs[job.key]
        if job.stream is not None:
            del job.stream.jobs_like(job)[job.key]
            job.stream = None
            self.room.count(job, -1)
        elif not self._held.drop(job.key):
            self._queue_of(job).remove(job.home_id, (job,))

    def _queue_of(self, job: Job) -> FairQueue[Job]:
        return self._workflows if not isinstance(job.request, Invoke) else self._activities

    def pump(self) -> None:
        """Give jobs to streams while there are jobs within the limits and streams with room."""
        for queue in (self._workflows, self._activities):
            held_back: list[Job] = []
            while queue and self.streams:
                job = queue.pop()
                if self._held.hold(job):
                    self._journal.write(WAITING_FOR_ANSWER, instance_id=job.request.instance_id, work=job.request.name)
                    continue
                if self.room.has_full_name(job):
                    held_back.append(job)
                    continue
                if (stream := self.room.choose(job)) is None:
                    queue.push_front(job.home_id, job)
                    if queue is not self._full:
                        self._full = queue
                        self.room.tell_full(job)
                    break  # no other job of this kind has room
                self.room.count(job, +1)
                stream.give(job)
            if not queue and queue is self._full:
                self._full = None
            for job in reversed(held_back):
                queue.push_front(job.home_id, job)


def _home(own: AppAddresses, home_id: str, *, call: bool) -> Address:
    """The address of the actor that has requested an activity."""
    return Address(own.call, home_id) if call else own.instance(home_id)


def _oldest_waiting(jobs: Mapping[Address, Job]) -> dict[str, int]:
    """When the oldest activity that waits for a worker was requested, by name; Unix time, microseconds."""
    waiting = (job for job in jobs.values() if isinstance(job.request, Invoke) and not job.sent)
    return oldest_of((job.request.name, job.asked_us) for job in waiting)


def _is_earlier(job: Job, token: str) -> bool:
    """Whether an answer comes from a worker that had the job before it was dispatched again."""
    return not token or token in job.earlier_tokens


def _is_continued(known: Offered | WorkflowTurnWork, offer: Offered) -> bool:
    """Whether an offer is for the same turn as an earlier one, with perhaps more events to feed."""
    if (known.execution_id, known.position) != (offer.execution_id, offer.position):
        return False
    # A worker has been sent a settled turn: its events cannot change any more, and must still be those to feed.
    return not isinstance(known, WorkflowTurnWork) or known.fed == offer.fed[: len(known.fed)]


def _state(job: Job | None, execution_id: str) -> WorkState | None:
    if job is None or job.request.execution_id != execution_id:
        return None
    return WorkState(job.sent_us if job.stream is not None and job.sent else None)
