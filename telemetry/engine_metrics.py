"""Metrics of the state of an engine: instances, waiting work, the cost of commits, the process.

The rule: each host tells of its own part, and a sum over hosts is the reader's. A value that cannot be known now has no
sample, rather than a zero. Looking at the store is done for scrapes only.

`daemon/telemetry/metrics_port.py` makes one. docs/operations/metrics.md lists all of them.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Receive, Scope, Send

from ..actors.errors import PerdureError
from ..actors.store.listing import Counted
from ..runtime.operations.overview.reports import HostReport

logger = logging.getLogger(__name__)

# In seconds. A commit is one flush of a disk, or a round trip to a database and its flush.
COMMIT_BUCKETS_S = (
    *(0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3),
    *(0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0),
)


class MeasuredHost(Protocol):
    """A host as these metrics see it; `Reports` of `runtime/operations/overview/reports.py` fulfils it."""

    @property
    def tells_of_store(self) -> bool:
        """Whether this host gives the figures that are of the whole store, so that they are not counted twice."""
        ...

    def own(self) -> HostReport:
        """The report of this host alone."""
        ...

    async def counts(self) -> Counted:
        """Count the instances by status and name: of this host's part of the store, or of a shared store."""
        ...

    def oldest_waiting(self) -> Mapping[str, int]:
        """When the oldest waiting activity was asked for, by name; Unix time, microseconds."""
        ...

    def mailbox_depths(self) -> tuple[int, int]:
        """The messages that wait in all mailboxes, and in the fullest one."""
        ...

    def watch_commits(self, watch: Callable[[float, float], None]) -> None:
        """Have a function called for each commit of this host."""
        ...


class OverdueWork(Protocol):
    """The overdue work of a host; `Waits` of `runtime/operations/overview/attention.py` fulfils it."""

    @property
    def overdue_total(self) -> int:
        """How many timers are overdue."""
        ...

    @property
    def unserved_total(self) -> int:
        """How many instances wait for workers that are gone."""
        ...


class Overdue(Protocol):
    """Finds overdue work; `Attentions` of `runtime/operations/overview/attention.py` fulfils it."""

    async def own(self) -> OverdueWork:
        """Find the overdue work of this host."""
        ...


class EngineMetrics(Collector):
    """The metrics of one host.

    Args:
        ready: Whether it takes requests and writes.
        loop_delay_s: The largest delay of the event loop of late, in seconds.
        now_us: The wall clock; Unix time, microseconds.
    """

    def __init__(
        self,
        watched: MeasuredHost,
        overdue: Overdue,
        *,
        app_id: str,
        registry: CollectorRegistry,
        ready: Callable[[], bool],
        loop_delay_s: Callable[[], float],
        now_us: Callable[[], int],
    ) -> None:
        self._watched = watched
        self._overdue = overdue
        self._own = (app_id,)
        self._ready = ready
        self._loop_delay_s = loop_delay_s
        self._now_us = now_us
        self._counts: Counted | None = None
        self._waits: OverdueWork | None = None
        flush, commit = (
            Histogram(name, help_, ("app_id",), buckets=COMMIT_BUCKETS_S, registry=registry).labels(app_id)
            for name, help_ in (
                ("perdure_flush_seconds", "The time that the store takes for a group of turns."),
                ("perdure_commit_seconds", "The time from the first turn of a group until the group is durable."),
            )
        )

        def watch(flush_s: float, commit_s: float) -> None:
            flush.observe(flush_s)
            commit.observe(commit_s)

        watched.watch_commits(watch)
        registry.register(self)
        ProcessCollector(registry=registry)

    def asked_first(self, app: ASGIApp) -> ASGIApp:
        """An app that looks at the store before it answers, so that the store is looked at for scrapes only."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await self.look()
            await app(scope, receive, send)

        return answer

    async def look(self) -> None:
        """Count the instances of the store."""
        self._counts = self._waits = None  # what an earlier scrape has found is not true for ever
        try:
            self._waits = await self._overdue.own()
            if self._watched.tells_of_store:
                self._counts = await self._watched.counts()
        except PerdureError as error:
            logger.debug("the store has not answered a scrape: %s", error)

    def collect(self) -> Iterator[Metric]:
        """Return the metrics with known values. Called for each scrape."""
        report = self._watched.own()
        yield self._gauge("perdure_ready", "Whether this host takes requests and writes.", self._ready())
        yield from self._of_instances()
        yield from self._of_activities(report)
        waiting, deepest = self._watched.mailbox_depths()
        yield self._gauge("perdure_mailbox_messages", "Messages that wait for a turn of their actor.", waiting)
        yield self._gauge("perdure_mailbox_deepest_messages", "The same, of the actor that has most.", deepest)
        if self._waits is not None:
            yield self._gauge(
                "perdure_reminders_overdue",
                "Instances with a timer that should have fired 30 s ago.",
                self._waits.overdue_total,
            )
            yield self._gauge(
                "perdure_instances_without_worker",
                "Instances whose work waits for a remote worker while none is connected.",
                self._waits.unserved_total,
            )
        if (store := report.store) is not None:
            yield self._gauge("perdure_store_bytes", "The size of the store's file.", store.file_bytes)
            yield self._gauge("perdure_store_wal_bytes", "The size of its write-ahead log.", store.wal_bytes)
        yield self._gauge(
            "perdure_event_loop_delay_seconds",
            "How late the event loop was at most within the last 30 s.",
            self._loop_delay_s(),
        )

    def _of_instances(self) -> Iterator[Metric]:
        counts = self._counts
        if counts is None:
            return
        instances = GaugeMetricFamily(
            "perdure_instances",
            "Instances that the store has, STALLED and SET_ASIDE ones by these words.",
            labels=["app_id", "status", "workflow_name"],
        )
        for group in counts.groups:
            instances.add_metric((*self._own, *map(str, group.values)), group.total)
        yield instances

    def _of_activities(self, report: HostReport) -> Iterator[Metric]:
        labels = ["app_id", "activity_name"]
        running = GaugeMetricFamily("perdure_activities_running", "Activities that run.", labels=labels)
        waiting = GaugeMetricFamily(
            "perdure_activities_waiting", "Activities that wait for room or for a worker.", labels=labels
        )
        oldest = GaugeMetricFamily(
            "perdure_activity_oldest_waiting_seconds", "How long the oldest of these has waited.", labels=labels
        )
        for name, load in report.loads.items():
            running.add_metric((*self._own, name), load.running)
            waiting.add_metric((*self._own, name), load.waiting)
        now_us = self._now_us()
        for name, asked_us in self._watched.oldest_waiting().items():
            oldest.add_metric((*self._own, name), max(0, now_us - asked_us) / 1e6)
        yield from (running, waiting, oldest)

    def _gauge(self, name: str, help_: str, value: float) -> Metric:
        gauge = GaugeMetricFamily(name, help_, labels=["app_id"])
        gauge.add_metric(self._own, value)
        return gauge
