"""Activity actors: each performs one activity for one instance, and sends the answer back.

The rule: an activity without an answer is performed again, so an actor
keeps nothing. While it performs one, it ignores a second message to its address:
an instance that is loaded again repeats the request, and the activity still runs once.
An activity that its instance has withdrawn is not begun.

Unlike workflow actors, activity actors wait. They are the only tasks that grow with the
load, and each kind of activity has a limit. The engine routes `Invoke` and
`Withdraw` messages here.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskGroup

from ...actors.address import Address
from ...actors.cluster.peers import AppPeers
from ...actors.hosting.flight_record import Flights
from ...actors.instruments import SYSTEM, Chance, Stopwatch
from ...actors.waiting.cancellation import let_cancellation_spread
from ...journal.journal import Journal
from ...journal.vocabulary import (
    ACTIVITIES_WITHDRAWN,
    ACTIVITY_LEFT_BEHIND,
    ACTIVITY_REPEATED,
    STOP_GRACE_OVER,
    THREADS_ABANDONED,
    THREADS_EXHAUSTED,
    WAITING_FOR_ROOM,
)
from ..authoring.app import ActivityDefinition, ActivityKind, App
from ..authoring.codec import Encoder
from ..authoring.context import ActivityContext
from ..authoring.fence import Performed, perform
from ..directory import AppAddresses
from ..history.event import Trace
from ..history.failure import FailureDetails, failure_of
from ..instance.message import ActivityDone, Invoke, Withdraw, WorkState
from ..observing.observer import Observer, Tracing
from ..observing.spans import activity_span
from ..observing.trace_context import TraceContext, context_of, span_of_dispatch
from ..workers.activity_figures import ActivityLoad, oldest_of, recent_attempts
from ..workers.lent import activity_address
from .elsewhere import ActivitiesElsewhere, not_registered
from .foreign import ForeignActivities
from .job import ActivityJob, earlier_of, home_of
from .lane import Lane
from .limits import ActivityLimits
from .moving import MovingActivities
from .process_call import Reference
from .threads import Threads
from .workshop import SystemWorkshop, WorkerProcesses, Workshop

# To look a member of an enumeration up costs a tenth of a microsecond, and each activity is compared with two.
LOOP, PROCESS = ActivityKind.LOOP, ActivityKind.PROCESS


class ActivityActors:
    """Performs activities of one app.

    Args:
        app: Has the activities; None: all are left to remote workers.
        settings: Limits how many run at once.
        send: Sends an answer to the requesting instance.
        now_us: The wall clock; Unix time, microseconds.
        elsewhere: Takes the activities that remote workers perform.
        flight: Where attempts that run in this process are noted.
        waits_for_workers: Whether activities that the app does not have are left to remote workers, also while none is
            connected.
        workshop: Has the threads and the processes; those of the operating system by default.
    """

    def __init__(
        self,
        app: App | None,
        settings: ActivityLimits,
        *,
        send: Callable[[Address, Any], None],
        now_us: Callable[[], int],
        elsewhere: Callable[[Address, Invoke], None] = lambda address, invoke: None,
        waits_for_workers: Callable[[], bool] = lambda: False,
        flight: Flights | None = None,
        workshop: Workshop | None = None,
    ) -> None:
        self._app = app
        self.own = AppAddresses()  # of the app; by default it is the only one
        self._activities: Mapping[str, ActivityDefinition] = app.activities if app is not None else {}
        self._send = send
        self._now_us = now_us
        self._elsewhere = elsewhere
        self._flight = flight
        self.journal = Journal(__name__)  # gets lines about activities that wait, are withdrawn or do not end
        self.stopwatch: Stopwatch = SYSTEM.stopwatch
        self._waits_for_workers = waits_for_workers
        self._encoder = Encoder()
        self._settings = settings
        self._busy: dict[Address, ActivityJob] = {}
        self._lanes: dict[ActivityKind, Lane[ActivityJob]] = {}
        self.moving = MovingActivities(self._busy, self._lanes)
        self._workshop = workshop or SystemWorkshop()
        self._processes: WorkerProcesses | None = None
        self._threads = Threads(
            settings.activity_threads_max, self._threads_abandoned, self._workshop, self._thread_refused
        )
        self._tasks: TaskGroup | None = None
        self._stopping = False
        self._grace: anyio.CancelScope | None = None  # of the activities under way, on a stop
        self._cancelled = False
        self.observer: Observer | None = None
        self.tracing: Tracing | None = None
        self.timed = False  # whether the times of requests for activities are noted
        self.chance: Chance = SYSTEM.chance
        self.recent = recent_attempts()
        self.hosts: ActivitiesElsewhere | None = None  # perform activities that this app does not have
        self._foreign: ForeignActivities | None = None

    def __len__(self) -> int:
        """How many activities are under way or waiting."""
        return len(self._busy)

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Perform the activities that are received, until cancelled."""
        limits = {
            ActivityKind.LOOP: self._settings.activities_max,
            ActivityKind.THREAD: self._settings.activity_threads_max,
            ActivityKind.PROCESS: self._settings.activity_processes_max,
        }
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            self._processes = self._workshop.processes(tasks)
            for kind, limit in limits.items():
                self._lanes[kind] = Lane(
                    tasks,
                    limit,
                    self._perform,
                    ended=self._ended,
                    left_behind=self._tell_left_behind,
                    full=partial(self._tell_full, kind, limit),
                    stopwatch=self.stopwatch,
                )
            task_status.started()
            try:
                await anyio.sleep_forever()
            finally:
                self._cancelled = True

    async def _ended(self) -> bool:
        """Whether all activities are being cancelled; for a task that was cancelled.

        The state of the task itself does not show it: user code may have cancelled the task, or left a scope open in
        it.
        """
        await let_cancellation_spread()
        return self._cancelled

    def receive(self, address: Address, invoke: Invoke) -> None:
        """Take a message: perform this activity, once for each address at a time."""
        definition = self._activities.get(invoke.name)
        holder = None
        if self.moving.lent:
            if definition is None and not invoke.again:
                holder = self.moving.holder_of(address)
            elif self.moving.keeps(address, invoke, definition):
                return
        known = self._busy.get(address)
        if self._stopping or (known is not None and (not invoke.again or known.began_us is None)):
            return
        if definition is None:
            self._pass_on(address, invoke, holder)
            return
        asked_us = self._now_us() if self.timed else 0
        watched = self._flight is not None and self._flight.waits_for(home_of(self.own, invoke))
        job = self._busy[address] = ActivityJob(address, invoke, definition, asked_us=asked_us, watched=watched)
        if known is not None:
            known.later, job.earlier = job, known
            self.journal.write(
                ACTIVITY_REPEATED, instance_id=invoke.instance_id, activity=invoke.name, task_id=invoke.task_id
            )
        self._lanes[definition.kind].add(invoke.call or invoke.instance_id, job)  # its `home_id`, without a call

    def state_of(self, execution_id: str, task_id: int) -> WorkState | None:
        """Whether an activity of a generation waits or runs here; None if it is not here."""
        job = self._busy.get(activity_address(execution_id, task_id))
        return WorkState(job.began_us) if job is not None else None

    def loads(self) -> dict[str, ActivityLoad]:
        """Count the waiting and the running activities here, by name."""
        loads: dict[str, ActivityLoad] = dict(self.hosts.loads()) if self.hosts is not None else {}
        for job in self._busy.values():
            name = job.definition.name
            loads[name] = loads.get(name, ActivityLoad()).with_one(job.began_us)
        return loads

    def oldest_waiting(self) -> dict[str, int]:
        """When the oldest waiting activity was requested, by name; Unix time, microseconds."""
        here = [(job.definition.name, job.asked_us) for job in self._busy.values() if job.began_us is None]
        return oldest_of([*here, *(self.hosts.oldest_waiting() if self.hosts is not None else ())])

    def limit_of(self, name: str) -> int | None:
        """How many attempts of an activity run at once, alone or with others of its kind; None: any number."""
        definition = self._app.activities.get(name) if self._app is not None else None
        if definition is None:
            dispatch = self._settings.dispatch
            return dispatch.activity_max.get(name, dispatch.activities_max)
        return {
            ActivityKind.LOOP: self._settings.activities_max,
            ActivityKind.THREAD: self._settings.activity_threads_max,
            ActivityKind.PROCESS: self._settings.activity_processes_max,
        }[definition.kind]

    def withdraw(self, message: Withdraw) -> None:
        """Do not begin activities of an instance, and cancel running ones if the instance was ended."""
        addresses = [activity_address(message.execution_id, n) for n in message.task_ids]
        self.moving.withdraw(message, addresses)
        if self.hosts is not None:
            self.hosts.withdraw(message, addresses)
        found = (self._busy.get(address) for address in addresses)
        # In the order of the message; the order of a set of objects depends on their addresses.
        jobs = dict.fromkeys(job for job in found if job is not None)
        if not jobs:
            return
        for lane in self._lanes.values():
            lane.withdraw(message.instance_id, jobs)
        begun = [job for job in jobs if self._lanes[job.definition.kind].has_begun(job)]
        if not message.ended:
            jobs = {job: None for job in jobs if job not in begun}
        for job in jobs:
            del self._busy[job.address]
            begun += earlier_of(job)
        for job in begun if message.ended else ():
            self._lanes[job.definition.kind].cancel(job)
        if jobs:
            self.journal.write(ACTIVITIES_WITHDRAWN, instance_id=message.instance_id, found=len(jobs))

    def leave(self, has: Callable[[str], bool], *, cancel: bool) -> None:
        """Do not begin activities of instances that another host owns now; that host begins them.

        Answers of running activities count there, if they arrive first.

        Args:
            has: Whether an instance is one of them.
            cancel: Cancel running activities too.
        """
        jobs = {job: None for job in self._busy.values() if has(job.invoke.home_id)}
        begun = [job for job in jobs if self._lanes[job.definition.kind].has_begun(job)]
        for job in jobs:
            for lane in self._lanes.values():
                lane.withdraw(job.invoke.home_id, (job,))
            if job not in begun:
                del self._busy[job.address]
                begun += (earlier := earlier_of(job))
                if earlier and not cancel:
                    # Only this job answers: no other job of the activity is performed here any more.
                    earlier[0].later = None
                    self._busy[job.address] = earlier[0]
        for job in begun if cancel else ():
            self._busy.pop(job.address, None)
            self._lanes[job.definition.kind].cancel(job)
        self.moving.forget(has)
        if self.hosts is not None:
            self.hosts.leave(has)

    def _pass_on(self, address: Address, invoke: Invoke, holder: str | None) -> None:
        """Leave an activity that the app does not have to other hosts or remote workers, or fail it as a worker would.

        Args:
            holder: The host that is known to perform it already, if there is one.
        """
        hosts = self.hosts
        if hosts is not None and hosts.takes(address, invoke, holder):
            return
        if self._app is None or invoke.wire is not None or self._waits_for_workers():
            self._elsewhere(address, invoke)
        else:
            others = len(hosts.others) if hosts is not None else 0
            self._reply(invoke, None, not_registered(invoke.name, self._app, others))

    def attach(self, hosts: ActivitiesElsewhere, peers: AppPeers) -> None:
        """Have other hosts perform activities that this host lacks, and perform for them activities that they lack."""
        self.hosts = hosts
        self._foreign = foreign = ForeignActivities(peers, names=self._activities, busy=self._busy, lanes=self._lanes)
        hosts.receive, foreign.receive, foreign.withdrawn = self.receive, self.receive, self.withdraw
        hosts.fail = lambda invoke, failure: self._reply(invoke, None, failure)

    def leave_foreign(self) -> None:
        """Begin no more activities of other hosts' instances."""
        for job in self._foreign.leave() if self._foreign is not None else ():
            del self._busy[job.address]

    async def stop(self, grace_s: float) -> None:
        """Begin no more activities, give those under way `grace_s` seconds to finish, and cancel the rest."""
        self._stopping = True
        for lane in self._lanes.values():
            for job in lane.waiting:
                del self._busy[job.address]
            lane.waiting.clear()
        self.moving.stop()
        if self.hosts is not None and self._foreign is not None:
            self.hosts.stop()
            self._foreign.leaving = True
        with anyio.move_on_after(grace_s) as self._grace:
            while self._busy:  # noqa: ASYNC110  once, while stopping
                await anyio.sleep(0.005)
        if self._busy:
            self.journal.write(STOP_GRACE_OVER, limit="stop_grace", maximum=grace_s, found=len(self._busy))
        self._threads.close()
        if self._tasks is not None:
            self._cancelled = True  # before any task reads it, in any order of their steps
            self._tasks.cancel_scope.cancel()

    def hurry(self) -> None:
        """End the grace of a stop that is under way."""
        if self._grace is not None:
            self._grace.cancel()

    async def _perform(self, job: ActivityJob) -> None:
        address, invoke, definition = job.address, job.invoke, job.definition
        began_s = self.stopwatch()
        job.began_us = began_us = self._now_us()
        slot = -1
        try:
            slot = await self._note(job, self._flight) if self._flight is not None else -1
            if self.tracing is None or invoke.trace is None:
                result, failure = await self._call(job)
            else:
                result, failure = await self._call_in_span(job, self.tracing)
        except anyio.get_cancelled_exc_class() as error:
            if self._is_withdrawn(job) or await self._ended():
                raise
            # The activity has raised it, has cancelled its own task, or has awaited something that was cancelled.
            result, failure = None, failure_of(error, frames_skipped=2)
        except BaseException as error:
            # KeyboardInterrupt or SystemExit in an activity ends the activity, not the host.
            result, failure = None, failure_of(error, frames_skipped=2)
        finally:
            if job.later is not None:
                withdrawn = not self._settle(job)
            elif not (withdrawn := self._busy.get(address) is not job):
                del self._busy[address]
            if slot >= 0 and self._flight is not None:
                self._flight.end(slot)
        if job.foreign or job.context is not None:
            self._tell_end(job, failure, withdrawn=withdrawn)
        if withdrawn:
            return  # it has ended after all, and nothing waits for its answer
        took_s = self.stopwatch() - began_s
        self.recent[definition.name].append(took_s if failure is None else -took_s)
        if self.observer is not None:
            self.observer.app_activity_ended(definition.name, failed=failure is not None, took_s=took_s)
        self._reply(invoke, result, failure, began_us)

    async def _note(self, job: ActivityJob, flight: Flights) -> int:
        """Note that an activity begins; return its slot, -1 if it has none."""
        if job.definition.kind is PROCESS:  # it can only end its own process
            return -1
        home = home_of(self.own, job.invoke)
        if job.watched or flight.waits_for(home):
            await flight.noted(home, job.address.id)
        return flight.begin(home, job.address.id)

    def _is_withdrawn(self, job: ActivityJob) -> bool:
        """Whether nothing waits for the answer of a job any more."""
        newest = job
        while newest.later is not None:
            newest = newest.later
        return self._busy.get(job.address) is not newest

    def _settle(self, job: ActivityJob) -> bool:
        """Take an activity as answered. If it was dispatched once more and that job has not begun, drop that job.

        Returns:
            Whether the answer of this job counts.
        """
        if self._is_withdrawn(job):
            return False
        newest = self._busy.pop(job.address)
        self._lanes[newest.definition.kind].withdraw(newest.invoke.home_id, (newest,))
        return True

    async def _call_in_span(self, job: ActivityJob, tracing: Tracing) -> tuple[str | None, FailureDetails | None]:
        """Call the function below a span of its own, if its instance is part of a trace that is sampled."""
        above = context_of(job.invoke.trace)
        if above is None or not above.sampled:
            return await self._call(job)
        job.context = above.at(span_of_dispatch(self.chance(16).hex()))
        with tracing.current(job.context):
            return await self._call(job)

    def _tell_end(self, job: ActivityJob, failure: FailureDetails | None, *, withdrawn: bool) -> None:
        if job.foreign and self._foreign is not None:
            self._foreign.ended(job.address)
        if job.context is not None:
            self._end_span(job, failure, withdrawn=withdrawn)

    def _end_span(self, job: ActivityJob, failure: FailureDetails | None, *, withdrawn: bool) -> None:
        invoke, above = job.invoke, context_of(job.invoke.trace)
        assert job.context is not None
        assert above is not None
        error = "nothing waited for its answer any more" if withdrawn else None
        if self.tracing is not None:
            self.tracing.span_ended(
                activity_span(
                    invoke,
                    job.context,
                    above,
                    began_us=job.began_us or 0,
                    ended_us=self._now_us(),
                    error=f"{failure.error_type}: {failure.message}" if failure is not None else error,
                )
            )

    async def _call(self, job: ActivityJob) -> tuple[str | None, FailureDetails | None]:
        """Call the function. `runtime/activities/steps.py` takes this frame for a step of the user's code."""
        invoke, definition = job.invoke, job.definition
        called = (
            invoke.instance_id,
            invoke.task_id,
            invoke.task_execution_id,
            invoke.name,
            invoke.workflow,
            invoke.attempt,
            *(_headers(job.context, invoke.trace) if invoke.trace is not None else NO_HEADERS),
        )
        function, kind = definition.function, definition.kind
        if kind is LOOP:
            context = ActivityContext(*called)
            return self._encoder.encode(await function(*definition.parameters.arguments(context, invoke.input))), None
        if kind is PROCESS:
            assert self._processes is not None
            return await self._processes.perform(Reference.of(function), called, invoke.input)
        context = ActivityContext(*called)
        given = (function, definition.parameters, context, invoke.input)
        performed = await self._threads.call(perform, given, lambda: not self._is_withdrawn(job))
        if performed is None:
            return None, None  # it was withdrawn as its thread was about to begin: this has no reader
        if isinstance(performed, Performed):
            return performed
        # An `async def` behind a decorator that hides it.
        return self._encoder.encode(await performed.value), None

    def _threads_abandoned(self, count: int) -> None:
        """Note how many threads perform cancelled activities. Up to a limit, they take no places in the lane."""
        limit = self._settings.activity_threads_max
        if count >= limit:
            self.journal.write(
                THREADS_ABANDONED,
                limit="activity_threads_max",
                maximum=limit,
                found=count,
                left=max(0, 2 * limit - count),
            )
        self._lanes[ActivityKind.THREAD].give_room(count)

    def _thread_refused(self, error: RuntimeError) -> None:
        self.journal.write(THREADS_EXHAUSTED, limit="threads", reason=str(error))

    def _tell_left_behind(self, job: ActivityJob) -> None:
        invoke = job.invoke
        self.journal.write(
            ACTIVITY_LEFT_BEHIND,
            job=job,
            instance_id=invoke.instance_id,
            workflow=invoke.workflow,
            activity=invoke.name,
            task_id=invoke.task_id,
        )

    def _tell_full(self, kind: ActivityKind, limit: int) -> None:
        self.journal.write(
            WAITING_FOR_ROOM, what=f"activities ({LIMITS[kind][0]})", limit=LIMITS[kind][1], maximum=limit
        )

    def _reply(
        self, invoke: Invoke, result: str | None, failure: FailureDetails | None, began_us: int | None = None
    ) -> None:
        done = ActivityDone(invoke.execution_id, invoke.task_id, result, failure, began_us)
        self._send(home_of(self.own, invoke), done)


# The kind of activities in each lane, and the limit on it.
LIMITS = {
    ActivityKind.LOOP: ("`async def`", "activities_max"),
    ActivityKind.THREAD: ("in threads", "activity_threads_max"),
    ActivityKind.PROCESS: ("in processes", "activity_processes_max"),
}


NO_HEADERS = (None, None)


def _headers(context: TraceContext | None, trace: Trace) -> tuple[str | None, str | None]:
    """W3C's headers of an activity: of its own span, or of the trace that its instance is part of."""
    told = context.trace if context is not None else trace
    return told[0] or None, told[2]
