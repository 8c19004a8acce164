"""Activities elsewhere: activities of this host's instances that only other hosts have.

The rule: the host that has the instance sends a request, and the other host performs the activity or refuses it
(`foreign.py`). A refusal counts until that host announces its names again. The answer goes to the host that has the
instance at that time, and a commit there ends the job. A repeated request changes nothing, so requests are repeated
over each new connection.

`runtime/hosted_app.py` has one, where there are other hosts; `runtime/activities/actors.py` gives it the activities
that it cannot perform. docs/design/side-by-side.md has the reasons.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from zlib import crc32

import anyio
from msgspec import Struct

from ...actors.address import Address
from ...actors.cluster.peers import AppPeers
from ...actors.errors import FrameTooLong, HostLost, HostSilent, HostUnreachable, PerdureError
from ...actors.waiting.task_keeper import TaskKeeper
from ...journal.journal import Journal
from ...journal.vocabulary import ACTIVITY_AWAITED, ACTIVITY_ELSEWHERE
from ..authoring.app import App
from ..authoring.misuse import did_you_mean
from ..history.failure import FailureDetails, failure_of
from ..instance.message import ActivityDone, Invoke, Withdraw
from ..workers.activity_figures import ActivityLoad
from ..workers.hosts.code import CodeKind, CodeOfHosts
from ..workers.lent import LentJob, activity_address
from .foreign import BACK, PERFORM, WITHDRAW_FOREIGN

logger = logging.getLogger(__name__)

AGAIN_S = 0.1  # before a request to a host that could not be reached is repeated
# The characters in one request, unless a single activity has more.
JOBS_MAX, CHARS_MAX = 32, 1024 * 1024


class AwayJob(Struct, eq=False):
    """An activity that another host performs, or is to perform."""

    address: Address
    invoke: Invoke
    host: str | None = None  # None: it waits for one
    taken: bool = False  # the host has said that it performs it
    closed: bool = False  # its instance may move to another host: no host is asked until that is known
    asked_us: int = 0  # when it was requested; Unix time, microseconds

    @property
    def home_id(self) -> str:
        """The id of the actor that waits for its answer."""
        return self.invoke.home_id


class ActivitiesElsewhere(TaskKeeper):
    """The activities of one host that others perform.

    Args:
        code: Which host has which activity.
        peers: The other hosts.
        apart: The names of hosts that live, and are cut off from this one.
        now_us: The wall clock; Unix time, microseconds.
        journal: Gets lines about activities that go to other hosts, or wait for one.
    """

    def __init__(
        self,
        code: CodeOfHosts,
        peers: AppPeers,
        *,
        apart: Callable[[], Collection[str]] = lambda: (),
        now_us: Callable[[], int],
        journal: Journal,
    ) -> None:
        self._code = code
        self._peers = peers
        self._apart = apart
        self._now_us = now_us
        self.journal = journal.at(__name__)
        # Set by the owner: takes an activity that no host has any more, and lets one fail.
        self.receive: Callable[[Address, Invoke], None] = lambda address, invoke: None
        self.fail: Callable[[Invoke, FailureDetails], None] = lambda invoke, failure: None
        self._jobs: dict[Address, AwayJob] = {}
        self._queues: dict[str, dict[AwayJob, None]] = {}  # host -> the activities to request from it, in order
        self._asking: set[str] = set()  # hosts that are being asked
        self._told: set[tuple[str, str]] = set()  # activities and hosts that are in the log already
        peers.answer(BACK, self._take_back)
        peers.listen(self._connection_changed)
        code.follow(self._look)

    def __len__(self) -> int:
        """How many activities have no answer."""
        return len(self._jobs)

    @property
    def others(self) -> Collection[str]:
        """The other hosts that have the app, by their names."""
        return self._peers.names

    # Activities of this host's instances.

    def takes(self, address: Address, invoke: Invoke, holder: str | None) -> bool:
        """Have an activity performed by another host, if one has it, or may have it.

        Args:
            holder: The host that is known to perform it already, for the last owner of its instance.
        """
        known = self._jobs.get(address)
        if known is not None:
            if invoke.again and known.taken and known.host is not None:
                known.invoke = invoke
                self._ask(known)
            return True
        if not self._may_have(invoke):
            return False
        job = self._jobs[address] = AwayJob(address, invoke, asked_us=self._now_us())
        if holder is not None and holder in self._peers.names and holder not in self._apart():
            job.host, job.taken = holder, True
        else:
            self._place(job)
        return True

    def withdraw(self, message: Withdraw, addresses: Iterable[Address]) -> None:
        """Drop activities. The hosts that perform them cancel the activities of an instance that was ended."""
        found = [job for address in addresses if (job := self._jobs.pop(address, None)) is not None]
        for host in dict.fromkeys(job.host for job in found):
            if host is not None:
                self._unqueue(host, [job for job in found if job.host == host])
                self._peers.tell(host, WITHDRAW_FOREIGN, message)

    def answered(self, done: ActivityDone) -> None:
        """Note that a commit of this host holds an answer which has come from another host."""
        job = self._jobs.pop(activity_address(done.execution_id, done.task_id), None)
        if job is not None and job.host is not None:
            self._unqueue(job.host, [job])

    def loads(self) -> Mapping[str, ActivityLoad]:
        """Count the activities that wait for a host, by name. A host counts the activities that it performs itself."""
        loads: dict[str, ActivityLoad] = {}
        for job in self._jobs.values():
            if job.host is None:
                loads[job.invoke.name] = loads.get(job.invoke.name, ActivityLoad()).with_one(None)
        return loads

    def oldest_waiting(self) -> Iterable[tuple[str, int]]:
        """The activities that wait for a host: names, and when each was requested; Unix time, microseconds."""
        return [(job.invoke.name, job.asked_us) for job in self._jobs.values() if job.host is None]

    # Instances that go.

    def lend(self, has: Callable[[str], bool]) -> Sequence[LentJob]:
        """Request no more activities of instances that are about to move to another host.

        Args:
            has: Whether an instance is one of them.

        Returns:
            The activities that another host performs. The next owner requests those again that no host has taken yet.
        """
        lent = []
        for job in self._jobs.values():
            if not has(job.home_id):
                continue
            job.closed = True
            if job.host is not None and job.taken:
                invoke = job.invoke
                lent.append(LentJob(invoke.home_id, invoke.execution_id, invoke.task_id, job.host, None))
        return lent

    def keep(self, has: Callable[[str], bool]) -> None:
        """Resume the requests for instances that stay with this host after all."""
        for job in list(self._jobs.values()):
            if job.closed and has(job.home_id):
                job.closed = False
                if job.host is None:
                    self._place(job)
                elif not job.taken:
                    self._ask(job)

    def leave(self, has: Callable[[str], bool]) -> None:
        """Forget activities of instances that another host owns now. They go on where they are performed."""
        gone = [job for job in self._jobs.values() if has(job.home_id)]
        for job in gone:
            del self._jobs[job.address]
            if job.host is not None:
                self._unqueue(job.host, [job])

    def stop(self) -> None:
        """Drop all waits, because this host stops."""
        self._jobs.clear()
        self._queues.clear()

    # Requests to hosts.

    def _place(self, job: AwayJob) -> None:
        """Choose a host for an activity: each owner of its instance chooses the same, and all are chosen equally."""
        name = job.invoke.name
        job.host, job.taken = None, False
        if job.closed:
            return
        hosts = self._code.hosts(CodeKind.ACTIVITY, name)
        if hosts:
            job.host = max(hosts, key=lambda host: (crc32(f"{host}/{job.address.id}".encode()), host))
            self._log(job, job.host)
            self._ask(job)
        elif self._may_have(job.invoke):
            self._log(job, None)
        else:
            del self._jobs[job.address]
            self.receive(job.address, job.invoke)

    def _may_have(self, invoke: Invoke) -> bool:
        return self._code.may_have(CodeKind.ACTIVITY, invoke.name)

    def _log(self, job: AwayJob, host: str | None) -> None:
        """Log the first activity of a name that a host performs, or that waits for a host."""
        told = (job.invoke.name, host or "")
        if told in self._told:
            return
        self._told.add(told)
        line = ACTIVITY_ELSEWHERE if host is not None else ACTIVITY_AWAITED
        self.journal.write(line, instance_id=job.invoke.instance_id, activity=job.invoke.name, host=host)

    def _ask(self, job: AwayJob) -> None:
        """Have an activity requested from its host."""
        assert job.host is not None
        self._queues.setdefault(job.host, {})[job] = None
        if self._tasks is not None and job.host not in self._asking:
            self._asking.add(job.host)
            self._tasks.start_soon(self._ask_host, job.host)

    def _unqueue(self, host: str, jobs: Iterable[AwayJob]) -> None:
        queue = self._queues.get(host, {})
        for job in jobs:
            queue.pop(job, None)

    async def _ask_host(self, host: str) -> None:
        """Request the activities in a host's queue, until it is empty."""
        try:
            while jobs := self._next(host):
                if not await self._ask_for(host, jobs):
                    await anyio.sleep(AGAIN_S)
        finally:
            self._asking.discard(host)

    def _next(self, host: str) -> list[AwayJob]:
        """The activities of the next request to a host."""
        jobs: list[AwayJob] = []
        chars = 0
        for job in self._queues.get(host, ()):
            if job.closed:
                continue
            chars += len(job.invoke.input or "") + len(job.invoke.propagated or b"") + len(job.invoke.wire or b"")
            if jobs and (len(jobs) == JOBS_MAX or chars > CHARS_MAX):
                break
            jobs.append(job)
        return jobs

    async def _ask_for(self, host: str, jobs: Sequence[AwayJob]) -> bool:
        """Request activities from a host.

        Returns:
            False if the request is to be repeated a moment later.
        """
        outbound = self._peers.find(host)
        if outbound is None:
            return False  # these are placed anew when this host learns that the connection is lost
        asked = [job.invoke for job in jobs]
        try:
            verdicts: Sequence[bool] = await self._peers.call(outbound, PERFORM, asked)
        except (HostUnreachable, HostLost, HostSilent):
            return False
        except FrameTooLong as error:
            if len(jobs) > 1:
                return all([await self._ask_for(host, [job]) for job in jobs])
            if self._end(jobs[0], host):
                self.fail(jobs[0].invoke, failure_of(error))
            return True
        except PerdureError as error:
            logger.warning("%s does not perform activities of other hosts: %s", host, error)
            verdicts = [False] * len(jobs)
        for invoke, takes in zip(asked, verdicts, strict=True):
            if not takes:
                self._code.refused(host, CodeKind.ACTIVITY, invoke.name)
        for job, invoke, takes in zip(jobs, asked, verdicts, strict=True):
            if self._is_current(job, host, invoke):
                self._unqueue(host, [job])
                self._hear(job, takes=takes)
        return True

    def _hear(self, job: AwayJob, *, takes: bool) -> None:
        """Note whether the host of an activity performs it."""
        if takes:
            job.taken = True
        elif not job.closed:
            self._place(job)

    def _is_current(self, job: AwayJob, host: str, invoke: Invoke) -> bool:
        """Whether a host's answer is to the last request for an activity that the host is still to perform."""
        return self._jobs.get(job.address) is job and job.host == host and job.invoke is invoke

    def _end(self, job: AwayJob, host: str) -> bool:
        self._unqueue(host, [job])
        return self._jobs.pop(job.address, None) is job

    def _connection_changed(self, host: str) -> None:
        """Repeat the requests over a new connection: the host may be another process with the same name."""
        if self._code.reaches(host):
            for job in self._jobs.values():
                if job.host == host and not job.closed:
                    self._ask(job)
        self._look()

    def _look(self) -> None:
        """Place the activities that wait for a host, or have lost theirs."""
        living = set(self._peers.names) - set(self._apart())
        for host in self._queues.keys() - living:
            del self._queues[host]
        self._told = {told for told in self._told if not told[1] or told[1] in living}
        for job in list(self._jobs.values()):
            if (job.host is None or job.host not in living) and self._jobs.get(job.address) is job:
                self._place(job)

    def _take_back(self, host: str, ids: Sequence[tuple[str, int]]) -> None:
        """Place activities anew that a host has taken, and will not perform because it stops."""
        for execution_id, task_id in ids:
            job = self._jobs.get(activity_address(execution_id, task_id))
            if job is not None and job.host == host:
                self._unqueue(host, [job])
                self._place(job)


def not_registered(name: str, app: App, others: int) -> FailureDetails:
    """The failure of an activity that no host has.

    Args:
        others: How many other hosts the app has.
    """
    nor = f" Nor have its {others} other hosts." if others > 1 else " Nor has its other host." if others else ""
    return FailureDetails(
        error_type="ActivityNotRegisteredError",
        message=f"Activity function named {name!r} was not registered in app {app.name!r}!"
        + nor
        + did_you_mean(name, app.activities),
        non_retriable=True,
    )
