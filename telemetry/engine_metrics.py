"""Metrics of the state of an engine: instances, waiting work, the cost of commits, the process.

The rule: each host reports on its own part, for each of its apps, and the reader sums over hosts. An unknown value has
no sample instead of a zero. The store is read for scrapes only.

`daemon/telemetry/metrics_port.py` makes the collector. docs/operations/metrics.md lists all metrics.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

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
    """A host as these metrics see it; `Reports` of `runtime/operations/overview/reports.py` implements it."""

    @property
    def tells_of_store(self) -> bool:
        """Whether this host reports figures of the store. Of a shared store only one host does, so sums are right."""
        ...

    def own(self) -> HostReport:
        """The report of this host alone."""
        ...

    async def counts(self) -> Counted:
        """Count the instances by status and name: of this host's part of the store, or of a shared store."""
        ...

    def oldest_waiting(self) -> Mapping[str, int]:
        """Name of activity -> when the oldest waiting one was requested; Unix time, microseconds."""
        ...

    def mailbox_depths(self) -> tuple[int, int]:
        """The messages that wait in all mailboxes, and in the fullest one."""
        ...

    def watch_commits(self, watch: Callable[[float, float], None]) -> None:
        """Call a function for each commit of this host."""
        ...


class OverdueWork(Protocol):
    """The overdue work of a host; `Waits` of `runtime/operations/overview/attention.py` implements it."""

    @property
    def overdue_total(self) -> int:
        """How many timers are overdue."""
        ...

    @property
    def unserved_total(self) -> int:
        """How many instances wait for workers that have disconnected."""
        ...


class Overdue(Protocol):
    """Finds overdue work; `Attentions` of `runtime/operations/overview/attention.py` implements it."""

    async def own(self) -> OverdueWork:
        """Find the overdue work of this host."""
        ...


class MeasuredApp(NamedTuple):
    """An app of a host."""

    watched: MeasuredHost
    overdue: Overdue


class EngineMetrics(Collector):
    """The metrics of one host.

    Args:
        apps: By their ids, the first app first; values that the apps of a host share have the first app's name.
        ready: Whether the host takes requests and writes.
        loop_delay_s: The largest recent delay of the event loop, in seconds.
        now_us: The wall clock; Unix time, microseconds.
    """

    def __init__(
        self,
        apps: Mapping[str, MeasuredApp],
        *,
        registry: CollectorRegistry,
        ready: Callable[[], bool],
        loop_delay_s: Callable[[], float],
        now_us: Callable[[], int],
    ) -> None:
        app_id = next(iter(apps))
        self._apps = apps
        self._watched = watched = apps[app_id].watched
        self._own = app_id
        self._ready = ready
        self._loop_delay_s = loop_delay_s
        self._now_us = now_us
        self._counts: dict[str, Counted] = {}  # by app, as of the last scrape
        self._waits: dict[str, OverdueWork] = {}
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
        """An app that reads the store before it answers, so that the store is read for scrapes only."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await self.look()
            await app(scope, receive, send)

        return answer

    async def look(self) -> None:
        """Count the instances of the store."""
        self._counts, self._waits = {}, {}  # counts of an earlier scrape may be out of date
        try:
            for app_id, app in self._apps.items():
                self._waits[app_id] = await app.overdue.own()
                if app.watched.tells_of_store:
                    self._counts[app_id] = await app.watched.counts()
        except PerdureError as error:
            logger.debug("the store has not answered a scrape: %s", error)

    def collect(self) -> Iterator[Metric]:
        """Return the metrics with known values. Called for each scrape."""
        report = self._watched.own()
        yield self._gauge("perdure_ready", "Whether this host takes requests and writes.", self._ready())
        yield from self._of_instances()
        yield from self._of_activities()
        waiting, deepest = self._watched.mailbox_depths()
        yield self._gauge("perdure_mailbox_messages", "Messages that wait for a turn of their actor.", waiting)
        yield self._gauge("perdure_mailbox_deepest_messages", "The same, of the actor with the most messages.", deepest)
        if self._waits:
            yield self._gauges(
                "perdure_reminders_overdue",
                "Instances with a timer that is overdue by 30 s or more.",
                {app_id: waits.overdue_total for app_id, waits in self._waits.items()},
            )
            yield self._gauges(
                "perdure_instances_without_worker",
                "Instances whose work waits for a remote worker while none is connected.",
                {app_id: waits.unserved_total for app_id, waits in self._waits.items()},
            )
        if (store := report.store) is not None:
            yield self._gauge("perdure_store_bytes", "The size of the store's file.", store.file_bytes)
            yield self._gauge("perdure_store_wal_bytes", "The size of its write-ahead log.", store.wal_bytes)
        yield self._gauge(
            "perdure_event_loop_delay_seconds",
            "The largest delay of the event loop within the last 30 s.",
            self._loop_delay_s(),
        )

    def _of_instances(self) -> Iterator[Metric]:
        if not self._counts:
            return
        instances = GaugeMetricFamily(
            "perdure_instances",
            "Instances in the store; status is STALLED or SET_ASIDE for stalled and set-aside ones.",
            labels=["app_id", "status", "workflow_name"],
        )
        for app_id, counts in self._counts.items():
            for group in counts.groups:
                instances.add_metric((app_id, *map(str, group.values)), group.total)
        yield instances

    def _of_activities(self) -> Iterator[Metric]:
        labels = ["app_id", "activity_name"]
        running = GaugeMetricFamily("perdure_activities_running", "Activities that run.", labels=labels)
        waiting = GaugeMetricFamily(
            "perdure_activities_waiting", "Activities that wait for room or for a worker.", labels=labels
        )
        oldest = GaugeMetricFamily(
            "perdure_activity_oldest_waiting_seconds", "How long the oldest of these has waited.", labels=labels
        )
        now_us = self._now_us()
        for app_id, app in self._apps.items():
            for name, load in app.watched.own().loads.items():
                running.add_metric((app_id, name), load.running)
                waiting.add_metric((app_id, name), load.waiting)
            for name, asked_us in app.watched.oldest_waiting().items():
                oldest.add_metric((app_id, name), max(0, now_us - asked_us) / 1e6)
        yield from (running, waiting, oldest)

    def _gauge(self, name: str, help_: str, value: float) -> Metric:
        """A metric with one value, of the host."""
        return self._gauges(name, help_, {self._own: value})

    def _gauges(self, name: str, help_: str, values: Mapping[str, float]) -> Metric:
        """A metric with a value for each app."""
        gauge = GaugeMetricFamily(name, help_, labels=["app_id"])
        for app_id, value in values.items():
            gauge.add_metric((app_id,), value)
        return gauge
