"""Streams: the workers that are connected, each with the jobs it has been given.

The rule: a job is settled once in each stream that gets it, and only while the
stream still has it. Until then its offer may change or become void.

A turn is sent again, under the same token, if no answer to it comes: the worker
may have lost it, or its answer was lost. Activities are not, because they may
take any time.

An offer may wait here a little for results that are on their way, unless it is
the only job of its worker. `runtime/workers/dispatcher.py` decides which stream
gets a job; the door of the workers (`rpc/services/work_items.py`) reads the
items.
"""

from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

import anyio

from ...actors.address import Address
from ...actors.instruments import SYSTEM, Chance
from ...actors.waiting.signal import Signal
from ...journal.journal import Journal
from ...journal.vocabulary import TURN_SENT_AGAIN
from ..instance.message import Invoke, WorkflowTurnWork
from ..instance.state import Offered
from .activity_spans import ActivitySpans
from .items import CALL_MARK, ActivityItem, PassedItem, Worker, WorkflowItem, WorkItem
from .passed import PassedItems
from .unanswered import Unanswered

ANSWER_TIMEOUT_MAX_S = 3600.0  # where the doubling ends

# Dapr's JavaScript SDK answers without a token, so that the second answer to a turn could be taken for one to the next.
TOKENLESS_AGENT = "dapr-js-sdk"


class TurnGiver(NamedTuple):
    """The host that has given a turn to a worker that sends no tokens."""

    host: str  # its name; "": this host
    lease: str  # under which it delivers to the worker's stream; the next process of the host has another


HERE = TurnGiver("", "")


class Job:
    """A turn or an activity, from the request to the answer that counts."""

    __slots__ = (
        "again",
        "asked_us",
        "due_s",
        "earlier_tokens",
        "first_sent_us",
        "hung_with",
        "key",
        "request",
        "sent",
        "sent_us",
        "stream",
        "timeout_s",
        "token",
        "withdrawn",
    )

    def __init__(self, key: Address, request: Offered | Invoke) -> None:
        self.key = key
        self.request: Offered | WorkflowTurnWork | Invoke = request  # of a turn: an offer until it is sent
        self.stream: Stream | None = None  # None: it waits in the dispatcher
        self.token = ""  # a new one each time it is given to a worker
        self.earlier_tokens: tuple[str, ...] = ()  # of its earlier dispatches, because it hung
        self.hung_with: Stream | None = None  # the last of these workers
        self.sent = False  # to the worker of its stream
        self.sent_us: int | None = None  # when it was sent; Unix time, microseconds
        self.first_sent_us: int | None = None  # if it hung and was dispatched again: when it was first sent
        self.asked_us = 0  # when it was requested; Unix time, microseconds
        self.again = False  # it is to be sent again, because no answer has come
        self.timeout_s = 0.0  # how long the worker has for its answer
        self.due_s = 0.0  # when that time is over; event loop's clock
        self.withdrawn = False  # its worker may answer it, and no other worker gets it

    @property
    def home_id(self) -> str:
        """The id of the actor that waits for its answer."""
        return self.request.home_id if isinstance(self.request, Invoke) else self.request.instance_id

    def has_token(self, token: str) -> bool:
        """Whether it was dispatched under a token, now or before."""
        return token == self.token or token in self.earlier_tokens


class StreamRoom(NamedTuple):
    """How many jobs of this host a stream may have at once."""

    activities: int
    turns: int


class Stream:
    """A connected worker and its jobs; an iterator of the items that it is sent.

    Args:
        worker: The worker as it describes itself.
        withdraw: Takes back a job whose offer is void, or whose answer nothing waits for any more.
        gate: The name of the host to which the worker is connected; None: this one.
        room: How many jobs of this host it may have.
        answer_timeout_s: After this time without an answer a turn is sent again, then after twice the time, and so on;
            None: never.
        now_us: The wall clock; Unix time, microseconds.
        journal: Gets lines about turns that are sent again.
    """

    # The number of instances whose history a worker is assumed to keep; Python's SDK keeps 100 000.
    HISTORIES_MAX = 10_000

    def __init__(
        self,
        worker: Worker,
        withdraw: Callable[[Job], None],
        *,
        gate: str | None = None,
        room: StreamRoom,
        answer_timeout_s: float | None = None,
        now_us: Callable[[], int],
        chance: Chance = SYSTEM.chance,
        journal: Journal | None = None,
    ) -> None:
        self.id = ""  # if there are other hosts, which identify it by this
        self.worker = worker
        self.gate = gate
        self.room = room
        self.spans: ActivitySpans | None = None  # makes the spans of activities; None: they have none
        self.parked = False  # its host cannot be reached: it keeps its jobs, and is given none
        self._chance = chance
        self.connected_us = self.seen_us = now_us()  # seen: when it has answered last
        self.says_tokens = TOKENLESS_AGENT not in worker.agent  # whether its answers have tokens
        self.turns: dict[Address, Job] = {}
        self.activities: dict[Address, Job] = {}
        self.unanswered = Unanswered[Job]()  # by a worker without tokens
        self._withdraw = withdraw
        self._journal = (journal or Journal()).at(__name__)
        self._now_us = now_us
        self._ready: deque[Job] = deque()
        self._patient: list[tuple[float, int, Job]] = []  # a heap: until when (event loop's clock), a number, the job
        self._numbers = count()
        self._signal = Signal()
        self.passed = PassedItems(self._signal.set)
        self._givers: dict[str, deque[TurnGiver]] = {}  # of the turns that it has, by instance, the oldest first
        self._stopped = False
        self._answer_timeout_s = answer_timeout_s
        self._check_at_s: float | None = None  # when to look for turns without an answer; None: none is with the worker
        # Instance to its generation and the number of events of its history that the worker was sent.
        self._sent: OrderedDict[str, tuple[str, int]] = OrderedDict()

    @property
    def load(self) -> int:
        """The number of its jobs."""
        return len(self.turns) + len(self.activities)

    def jobs_like(self, job: Job) -> dict[Address, Job]:
        """Its jobs of the kind of a job, turns or activities."""
        return self.activities if isinstance(job.request, Invoke) else self.turns

    def takes_room(self, job: Job) -> int:
        """How many jobs of the kind of a job the worker has, void ones included."""
        jobs = self.jobs_like(job)
        return len(jobs) + (self.unanswered.beside(jobs, job.key.type) if self.unanswered else 0)

    def has_room(self, job: Job) -> bool:
        """Whether the worker may have one more job of the kind of a job."""
        room = self.room.activities if isinstance(job.request, Invoke) else self.room.turns
        return self.takes_room(job) < room

    def says_none(self) -> None:
        """Note that the worker answers without tokens."""
        if self.says_tokens:
            self.says_tokens = False
            for job in (*self.turns.values(), *self.activities.values()):
                if job.sent:
                    self.unanswered.sent(job)

    def give(self, job: Job) -> None:
        """Add a job, under a new token."""
        job.stream = self
        if self.spans is not None and job.sent and isinstance(job.request, Invoke):
            self.spans.lost(job.request, job.token, job.sent_us)
        job.token = self._chance(16).hex()
        if isinstance(job.request, Invoke) and job.request.call is not None:
            # Its answer names the instance, which is of another app: only the token names the call.
            job.token += f"{CALL_MARK}{job.request.call}"
        job.sent = job.again = False
        job.sent_us = None
        job.timeout_s = self._answer_timeout_s or 0.0
        self.jobs_like(job)[job.key] = job
        patience_s = 0.0 if isinstance(job.request, WorkflowTurnWork | Invoke) else job.request.patience_s
        # For a worker without another job a wait has no use.
        if patience_s > 0 and self.load > 1:
            heappush(self._patient, (anyio.current_time() + patience_s, next(self._numbers), job))
        else:
            self._ready.append(job)
        self._signal.set()

    def adopt(self, job: Job, token: str, sent_us: int | None) -> None:
        """Add an activity that the worker has already, under a token that another host has given it."""
        job.stream = self
        job.token = token
        job.sent, job.sent_us = True, sent_us
        self.activities[job.key] = job
        self._note_sent(job)

    def hurry(self, job: Job) -> None:
        """Send a job as soon as possible, if it has not been sent."""
        self._ready.append(job)
        self._signal.set()

    def stop(self) -> None:
        """End the iteration."""
        self._stopped = True
        self._signal.set()

    def __aiter__(self) -> AsyncIterator[WorkItem | PassedItem]:
        return self

    async def __anext__(self) -> WorkItem | PassedItem:
        """The next item for this worker, as soon as there is one; those of this host and of others in turn."""
        while not self._stopped:
            item = self.passed.take() or self._next() or self.passed.take()
            if item is not None:
                self._note_giver(item)
                return item
            await self._wait()
        raise StopAsyncIteration

    def giver_of(self, instance_id: str) -> "TurnGiver | None":
        """Note an answer without a token to a turn, and return the giver of that turn.

        A worker answers the turns of an instance in their order. None if it has no turn of this instance.
        """
        givers = self._givers.get(instance_id)
        if not givers:
            return None
        giver = givers.popleft()
        if not givers:
            del self._givers[instance_id]
        return giver

    def _note_giver(self, item: WorkItem | PassedItem) -> None:
        """Remember the giver of a turn that goes to a worker without tokens."""
        if self.id and not self.says_tokens:
            if isinstance(item, WorkflowItem):
                self._givers.setdefault(item.instance_id, deque()).append(HERE)
            elif isinstance(item, PassedItem) and item.task_id is None:
                giver = TurnGiver(self.passed.host, self.passed.lease)
                self._givers.setdefault(item.instance_id, deque()).append(giver)

    async def take(self, items_max: int) -> Sequence[WorkItem]:
        """The next items of this host, as soon as there is one; empty once the stream has ended."""
        items: list[WorkItem] = []
        while not items and not self._stopped:
            while len(items) < items_max and (item := self._next()) is not None:
                items.append(item)
            if not items:
                await self._wait()
        return items

    def _next(self) -> WorkItem | None:
        """The next item of this host; None if there is none now."""
        self._take_patient()
        self._take_unanswered()
        while self._ready:
            item = self._item(self._ready.popleft())
            if item is not None:
                return item
        return None

    async def _wait(self) -> None:
        """Wait until there may be an item."""
        moments = [self._patient[0][0]] if self._patient else []
        if self._check_at_s is not None:
            moments.append(self._check_at_s)
        if moments:
            await self._signal.wait_for(min(moments) - anyio.current_time())
        else:
            await self._signal.wait()

    def forget_beyond(self, offer: Offered) -> None:
        """Count a history as unsent if the worker got more of it than an offer has: the rest did not become durable."""
        if self._sent.get(offer.instance_id, ("", 0))[1] > offer.position:
            del self._sent[offer.instance_id]

    def keeps(self, instance_id: str) -> bool:
        """Whether the worker has been sent the history of an instance."""
        return instance_id in self._sent

    def _take_patient(self) -> None:
        """Make the jobs ready that have waited long enough."""
        while self._patient and self._patient[0][0] <= anyio.current_time():
            self._ready.append(heappop(self._patient)[2])

    def _take_unanswered(self) -> None:
        """Make the turns ready again to which no answer has come in time, and give up the withdrawn ones."""
        if self._check_at_s is None or self._check_at_s > anyio.current_time():
            return
        now_s = anyio.current_time()
        self._check_at_s = None
        for job in list(self.turns.values()):
            request = job.request
            if not job.sent or not isinstance(request, WorkflowTurnWork) or not self.says_tokens:
                continue
            if job.due_s > now_s:
                self._check_no_later_than(job.due_s)
            elif job.withdrawn:
                # Nothing waits for its answer, and it would keep the room of another turn.
                self._withdraw(job)
            else:
                self._journal.write(
                    TURN_SENT_AGAIN,
                    worker=self.worker.peer,
                    instance_id=request.instance_id,
                    workflow=request.name,
                    waited_s=job.timeout_s,
                    limit="worker_answer_timeout",
                )
                job.timeout_s = min(job.timeout_s * 2, ANSWER_TIMEOUT_MAX_S)
                job.again = True
                self._ready.append(job)

    def _note_sent(self, job: Job) -> None:
        if not self.says_tokens:
            self.unanswered.sent(job)

    def _await_answer(self, job: Job) -> None:
        if job.timeout_s:
            job.due_s = anyio.current_time() + job.timeout_s
            self._check_no_later_than(job.due_s)

    def _check_no_later_than(self, due_s: float) -> None:
        if self._check_at_s is None or due_s < self._check_at_s:
            self._check_at_s = due_s

    def _item(self, job: Job) -> WorkItem | None:
        """The item for a job; None if another stream has it by now, it was sent before, or nothing waits for it."""
        if self.jobs_like(job).get(job.key) is not job or (job.sent and not job.again):
            return None
        if job.withdrawn:
            self._withdraw(job)
            return None
        again = job.again
        job.sent, job.again = True, False
        job.sent_us = self._now_us()
        request = job.request
        if isinstance(request, Invoke):
            self._note_sent(job)
            return ActivityItem(
                request.instance_id,
                request.task_id,
                request.task_execution_id,
                request.name,
                request.input,
                job.token,
                trace=self.spans.trace_of(request, job.token) if self.spans is not None else request.trace,
                propagated=request.propagated,
                wire=request.wire,
            )
        turn = request if isinstance(request, WorkflowTurnWork) else request.settle()
        if turn is None:
            self._withdraw(job)
            return None
        job.request = turn
        self._note_sent(job)
        self._await_answer(job)
        # A second sending is whole: the worker may not have got the first.
        cached = self._cached(turn) if not again else None
        past = turn.past[cached or 0 : turn.position]
        return WorkflowItem(turn.instance_id, turn.execution_id, past, turn.new, job.token, cached, turn.propagated)

    def _cached(self, turn: WorkflowTurnWork) -> int | None:
        """The number of events of the history that the worker has; None: it gets all of them (contract 3.20)."""
        if not self.worker.stateful:
            return None
        generation, count = self._sent.get(turn.instance_id, ("", 0))
        self._sent[turn.instance_id] = (turn.execution_id, turn.position)
        self._sent.move_to_end(turn.instance_id)
        if len(self._sent) > self.HISTORIES_MAX:
            self._sent.popitem(last=False)
        return count if generation == turn.execution_id and 0 < count <= turn.position else None
