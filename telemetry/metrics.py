"""Metrics for Prometheus, with Dapr's names (contract 4.7).

The rule: a metric counts all events that its name describes, or it is not shown.
Requests are counted at the facade, through which all requests come
(`OperationWatch`); activities of workers where they are sent and answered
(`ActivityWatch`); workflows and the app's own activities where the engine reports
their ends (`Observer`). `daemon/` makes the metrics only with `--metrics-port`.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Histogram, make_asgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp

from ..api.sidecar import NAMESPACE
from ..runtime.history.status import Status
from ..runtime.observing.observer import FAILED, SUCCESS

# Dapr's words for the operations of the facade. Dapr does not count the others: wait, list, history, rerun.
OPERATIONS = {
    "start": "create_workflow",
    "inspect": "get_workflow",
    **dict.fromkeys(("raise_event", "suspend", "resume", "terminate"), "add_event"),
    **dict.fromkeys(("purge", "purge_where"), "purge_workflow"),
}

# Dapr's words for the outcomes of a workflow.
ENDS = {Status.COMPLETED: SUCCESS, Status.FAILED: FAILED, Status.TERMINATED: "terminated"}

# In milliseconds. Source: dapr `pkg/config/configuration.go`, GetLatencyDistribution.
LATENCY_BUCKETS_MS = (
    *(1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 40, 50, 65, 80, 100, 130, 160, 200, 250, 300, 400, 500, 650, 800),
    *(1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000),
)


class AppGauges(NamedTuple):
    """Values of an app of this host."""

    active_actors: Mapping[str, int]  # in memory, by Dapr's name of their type
    connected_workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """Values of an engine, read at each scrape."""

    turns: Callable[[], int]
    commits: Callable[[], int]
    apps: Callable[[], Mapping[str, AppGauges]]  # by app id


class Timed(Collector):
    """A count and a histogram, in Dapr's form, of operations that take time and end with a status.

    Args:
        name: The name of both metrics, without the last word.
        label: The label for the kind of operation, beside the status.
        counted, timed: The help texts of the count and of the histogram.
    """

    def __init__(self, name: str, label: str, *, counted: str, timed: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._label = label
        self._counted = counted
        self._counts: dict[tuple[str, str, str], int] = {}
        self._latency = Histogram(
            f"{name}_latency",
            f"{timed}, in milliseconds.",
            ("app_id", "namespace", label, "status"),
            buckets=LATENCY_BUCKETS_MS,
            registry=registry,
        )
        registry.register(self)

    def add(self, app_id: str, which: str, status: str, took_s: float) -> None:
        """Count one operation of an app, which took `took_s` seconds."""
        self._counts[app_id, which, status] = self._counts.get((app_id, which, status), 0) + 1
        self._latency.labels(app_id, NAMESPACE, which, status).observe(took_s * 1e3)

    def collect(self) -> Iterator[Metric]:
        """Return the count. Called for each scrape."""
        # The library appends _total to the names of counters, and Dapr does not; so these metrics have no type.
        counts = Metric(f"{self._name}_count", self._counted, "unknown")
        for (app_id, which, status), count in self._counts.items():
            labels = {"app_id": app_id, "namespace": NAMESPACE, self._label: which, "status": status}
            counts.add_sample(counts.name, labels, count)
        yield counts


class Metrics(Collector):
    """The counts of one daemon.

    Args:
        app_id: The id of its first app; values that its apps share have this name.
    """

    def __init__(self, *, app_id: str, gauges: Gauges) -> None:
        self.app_id = app_id
        self._gauges = gauges
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._operations = Timed(
            "dapr_runtime_workflow_operation",
            "operation",
            counted="The number of successful/failed workflow operation requests.",
            timed="The latencies of responses for workflow operation requests",
            registry=self.registry,
        )

    def of_app(self, app_id: str) -> "RequestMetrics":
        """Make the counter of the requests to an app."""
        return RequestMetrics(self._operations, app_id)

    def collect(self) -> Iterator[Metric]:
        """Return the values of the engine. Called for each scrape."""
        gauges = self._gauges
        own = (self.app_id,)
        turns = CounterMetricFamily("perdure_turns", "Turns taken since the start.", labels=["app_id"])
        turns.add_metric(own, gauges.turns())
        commits = CounterMetricFamily("perdure_commits", "Group commits since the start.", labels=["app_id"])
        commits.add_metric(own, gauges.commits())
        workers = GaugeMetricFamily(
            "perdure_connected_workers", "Workers, and the app itself, that can execute workflows.", labels=["app_id"]
        )
        actors = GaugeMetricFamily("perdure_active_actors", "Actors in memory.", labels=["app_id", "type"])
        for app_id, app in gauges.apps().items():
            workers.add_metric((app_id,), app.connected_workers)
            for kind, count in app.active_actors.items():
                actors.add_metric((app_id, kind), count)
        yield from (turns, commits, workers, actors)

    def app(self) -> ASGIApp:
        """An ASGI app that answers with all metrics, under any path; Prometheus requests /metrics."""
        app: ASGIApp = make_asgi_app(Shown(self.registry))
        return app


class RequestMetrics:
    """Counts the requests to one app (`OperationWatch`).

    Args:
        operations: The counts of all apps.
    """

    def __init__(self, operations: Timed, app_id: str) -> None:
        self._operations = operations
        self._app_id = app_id

    def operation(self, name: str) -> AbstractContextManager[None]:
        """Count an operation of the facade, and its time; an operation that Dapr does not count is not counted."""
        counted = OPERATIONS.get(name)
        return self._counting(counted) if counted is not None else nullcontext()

    def of_app(self, app_id: str) -> "RequestMetrics":
        return RequestMetrics(self._operations, app_id)

    @contextmanager
    def _counting(self, counted: str) -> Iterator[None]:
        """Count when the context is left. An operation that raises or is cancelled counts as failed."""
        status = FAILED
        began_s = time.perf_counter()
        try:
            yield
            status = SUCCESS
        finally:
            self._operations.add(self._app_id, counted, status, time.perf_counter() - began_s)


class Shown:
    """A registry as it is scraped: without the series `..._created` that the library adds to each histogram.

    These series have no use, and there is one for each histogram. The library can only leave them out for the whole
    process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Return the metrics that are shown."""
        return map(_without_created, self._registry.collect())

    def restricted_registry(self, names: Iterable[str]) -> "Shown":
        """The same with only some of the metrics, for `?name[]=` of a scrape."""
        return Shown(self._registry.restricted_registry(names))  # type: ignore[arg-type]  # it has the methods used here


def _without_created(metric: Metric) -> Metric:
    kept = Metric(metric.name, metric.documentation, metric.type, metric.unit)
    kept.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
    return kept


class ExecutionMetrics:
    """Counts the workflows and activities of the engine and its workers."""

    def __init__(self, metrics: Metrics) -> None:
        self.workflows = Timed(
            "dapr_runtime_workflow_execution",
            "workflow_name",
            counted="The number of successful/failed/terminated workflow executions.",
            timed="The total time taken to run workflow to completion",
            registry=metrics.registry,
        )
        self.operations = Timed(
            "dapr_runtime_workflow_activity_operation",
            "activity_name",
            counted="The number of successful/failed activity operation requests.",
            timed="The latencies of responses for activity operation requests",
            registry=metrics.registry,
        )
        self.executions = Timed(
            "dapr_runtime_workflow_activity_execution",
            "activity_name",
            counted="The number of successful/failed/recoverable activity executions.",
            timed="The total time taken to run an activity to completion",
            registry=metrics.registry,
        )

    def of_app(self, app_id: str) -> "AppExecutionMetrics":
        """Make the counter of the workflows and activities of an app."""
        return AppExecutionMetrics(self, app_id)


class AppExecutionMetrics:
    """Counts the workflows and activities of one app (`Observer`, `ActivityWatch`).

    Args:
        counts: The counts of all apps.
    """

    def __init__(self, counts: ExecutionMetrics, app_id: str) -> None:
        self._counts = counts
        self._app_id = app_id

    def workflow_ended(self, name: str, status: Status, took_s: float) -> None:
        self._counts.workflows.add(self._app_id, name, ENDS[status], took_s)

    def app_activity_ended(self, name: str, *, failed: bool, took_s: float) -> None:
        self._counts.executions.add(self._app_id, name, FAILED if failed else SUCCESS, took_s)

    def activity_given(self, name: str, took_s: float) -> None:
        self._counts.operations.add(self._app_id, name, SUCCESS, took_s)

    def activity_ended(self, name: str, status: str, took_s: float) -> None:
        self._counts.executions.add(self._app_id, name, status, took_s)
