"""Reports: the present work of the hosts of a daemon, for people.

The rule: a report is made of values in memory; it reads no store and runs no code. A host that does not answer
is in the report as one that is away.

`http/management/routes/overview.py` shows them.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from ....actors.address import Address
from ....actors.clock import Clock
from ....actors.cluster.leases.seen import ClusterSeen
from ....actors.cluster.method import HostMethod
from ....actors.cluster.peers import AppPeers
from ....actors.hosting.committer import CommitWatch
from ....actors.hosting.host import Host
from ....actors.release import own_release
from ....actors.store.contract import Store
from ....actors.store.listing import Counted, ListFilter
from ...authoring.app import App
from ...directory import AppAddresses
from ...workers.activity_figures import ActivityLoad
from ...workers.dispatcher import Dispatcher
from ...workers.hosts.code import CodeOfHosts
from ...workers.mark import CONNECTED


class ConnectedWorker(NamedTuple):
    """A remote worker that is connected. Times are Unix time in microseconds."""

    host: str  # to which it is connected
    peer: str  # its address
    agent: str  # its user-agent, which has the SDK's or the library's version
    connected_us: int
    seen_us: int  # its last answer, or when it connected
    turns: int  # that it has in hand
    activities: int
    id: str = ""  # by which hosts know it; "": there is one host


class InHand(NamedTuple):
    """The work of one host that a worker of another host has."""

    turns: int
    activities: int
    seen_us: int  # its last answer to that host


class StoreSize(NamedTuple):
    """How large the files of a host's part of the store are."""

    file_bytes: int
    wal_bytes: int


class HostReport(NamedTuple):
    """The report of one host of a daemon."""

    name: str
    pid: int
    began_us: int  # Unix time, microseconds
    healthy: bool
    shards: int  # that it owns
    activations: int
    turns: int  # since it began
    commits: int
    workers: Sequence[ConnectedWorker]
    loads: Mapping[str, ActivityLoad]  # of activities, by name
    attempts: Mapping[str, Sequence[float]]  # the newest of each activity, as `workers/activity_figures.py` has them
    began: Mapping[str, int]  # instances since it began, by the name of the workflow
    ended: Mapping[tuple[str, str], int]  # by the name and the status
    store: StoreSize | None  # None: it has no files
    release: str  # of Perdure
    kills: int | None  # hosts that it has found dead, since it began; None: it watches none
    elsewhere: Mapping[str, InHand] = {}  # its jobs at workers of other hosts, by the ids of those
    lacks: Sequence[str] = ()  # workflows and activities that other hosts have and this host lacks: "activity charge"
    awaiting: int = 0  # instances of this host that wait for code of others


METHOD = HostMethod("overview.report", (), HostReport)  # other hosts call it


class ActivityPlace(Protocol):
    """Where activities are performed: in the app, or by workers."""

    timed: bool  # whether the times of requests for them are noted

    @property
    def recent(self) -> Mapping[str, Collection[float]]:
        """The newest attempts, by name; see `runtime/workers/activity_figures.py`."""
        ...

    def loads(self) -> Mapping[str, ActivityLoad]:
        """Count the waiting and the running activities, by name."""
        ...

    def oldest_waiting(self) -> Mapping[str, int]:
        """When the oldest waiting activity was requested, by name; Unix time, microseconds."""
        ...


class Reports:
    """Makes and collects reports.

    Args:
        activities: The app's own activities.
        dispatcher: The workers, and the activities that they perform.
        limit_of: How many attempts of an activity a host performs at once, alone or with others of its kind; None: any
            number.
        peers: The other hosts that have the app, if there are any.
        own: The addresses of the app.
    """

    def __init__(
        self,
        host: Host,
        activities: ActivityPlace,
        dispatcher: Dispatcher,
        *,
        app: App | None,
        limit_of: Callable[[str], int | None],
        clock: Clock,
        peers: AppPeers | None,
        own: AppAddresses,
    ) -> None:
        self._host = host
        self.own_app = own
        # The hosts that share the store, as this one sees them; None: there is no such store.
        self.seen: Callable[[], ClusterSeen | None] = lambda: None
        self._activities = activities
        self._dispatcher = dispatcher
        self.app = app
        self.limit_of = limit_of
        self.peers = peers
        self.code: CodeOfHosts | None = None  # of the other hosts
        self.awaiting: Callable[[], int] = lambda: 0  # counts the instances that wait for it
        self._began_us = clock.now_us()
        if peers is not None:
            peers.answer(METHOD, self.own)

    def own(self) -> HostReport:
        """Make the report of this host."""
        name = self._host.placement.host
        loads = dict(self._dispatcher.loads())
        loads.update(self._activities.loads())
        tallies = self._host.tallies
        workers = [
            ConnectedWorker(
                name,
                stream.worker.peer,
                stream.worker.agent,
                stream.connected_us,
                stream.seen_us,
                len(stream.turns),
                len(stream.activities),
                stream.id,
            )
            for stream in self._dispatcher.own
        ]
        elsewhere = {
            stream.id: InHand(len(stream.turns), len(stream.activities), stream.seen_us)
            for stream in self._dispatcher.streams
            if stream.gate is not None
        }
        recent = {**self._dispatcher.recent, **self._activities.recent}
        return HostReport(
            name,
            os.getpid(),
            self._began_us,
            self._host.healthy,
            self.shards,
            self._host.activations,
            self._host.turns,
            self._host.commits,
            workers,
            loads,
            {name: tuple(attempts) for name, attempts in recent.items()},
            {name: count for (kind, name), count in tallies.began.items() if kind == self.own_app.workflow},
            {
                (name, status): count
                for (kind, name, status), count in tallies.ended.items()
                if kind == self.own_app.workflow
            },
            size_of(self._host.store),
            own_release(),
            seen.killed if (seen := self.seen()) is not None else None,
            elsewhere,
            self.code.lacks() if self.code is not None else (),
            self.awaiting(),
        )

    @property
    def tells_of_store(self) -> bool:
        """Whether this host counts the instances of the store: its own part, or a store that hosts share."""
        return self.seen() is None or self._host.placement.owns(Address(self.own_app.worker_mark, CONNECTED))

    async def counts(self) -> Counted:
        """Count the instances of this host's part of the store, by status and name; of a shared store, all of them.

        Raises:
            ListsUnfinished, StoreError: They cannot be counted now.
        """
        return await self._host.store.count(self.own_app.workflow, ListFilter(), by=("status", "name"))

    def oldest_waiting(self) -> Mapping[str, int]:
        """When the oldest activity that waits here was requested, by name; Unix time, microseconds."""
        return {**self._dispatcher.oldest_waiting(), **self._activities.oldest_waiting()}

    def mailbox_depths(self) -> tuple[int, int]:
        """Count the messages that wait for actors: all of them, and those of the actor that has most."""
        return self._host.mailbox_depths()

    def watch_commits(self, watch: CommitWatch) -> None:
        """Report each commit of this host to a watch from now on, and note the times of requests for activities."""
        self._host.watch_commits(watch)
        self._activities.timed = self._dispatcher.timed = True

    @property
    def shards(self) -> int:
        """How many shards this host owns."""
        return len(self._host.placement.owned)

    @property
    def store_kind(self) -> str:
        """The kind of the store: "sqlite"."""
        return self._host.store.kind

    async def all(self) -> dict[str, HostReport | None]:
        """Collect the reports of all hosts, by their names; None for one that does not answer.

        In these reports a worker has the work of all hosts in hand.
        """
        reports: dict[str, HostReport | None] = {}
        if self.peers is not None:
            reports = dict.fromkeys(sorted((self.peers.membership.me, *self.peers.names), key=in_order))
            for report in await self.peers.ask_reachable(METHOD):
                reports[report.name] = report
        own = self.own()
        reports[own.name] = own
        parts = [report.elsewhere for report in reports.values() if report is not None]
        return {name: report and in_all(report, parts) for name, report in reports.items()}


def in_all(report: HostReport, elsewhere: Sequence[Mapping[str, InHand]]) -> HostReport:
    """Add the work of other hosts to the work that the workers of a host have in hand."""
    workers = []
    for worker in report.workers:
        parts = [each[worker.id] for each in elsewhere if worker.id in each]
        workers.append(
            worker._replace(
                seen_us=max((worker.seen_us, *(part.seen_us for part in parts))),
                turns=worker.turns + sum(part.turns for part in parts),
                activities=worker.activities + sum(part.activities for part in parts),
            )
        )
    return report._replace(workers=workers)


def in_order(name: str) -> tuple[int, str]:
    """The sort key of a host's name: host-2 stands before host-10."""
    return len(name), name


def size_of(store: Store) -> StoreSize | None:
    """Look how large the files of a store are; None if it has none."""
    if store.path is None:
        return None
    return StoreSize(_bytes_of(store.path), _bytes_of(f"{store.path}-wal"))


def _bytes_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
