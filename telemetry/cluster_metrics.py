"""Metrics of a host among others: living hosts, owners of shards, commits in doubt, offsets of clocks.

The rule: each host reports on itself and on the hosts that it sees; the reader sums over hosts. An unknown value has no
sample instead of a zero: the store is not shared, or its server does not answer.

`daemon/daemon.py` makes the collector with `--metrics-port`. docs/hosts.md explains each metric.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from ..actors.cluster.leases.seen import ClusterSeen, Standing
from ..actors.store.cluster import HostState
from ..actors.store.presence.figures import CommitDoubts, ServerFigures


class DoubtingStore(Protocol):
    """A store whose server may be unreachable or change."""

    @property
    def doubts(self) -> CommitDoubts:
        """Counts of commits whose connection broke, by outcome."""
        ...

    async def figures(self) -> ServerFigures | None:
        """Read figures of the server; None: it does not answer."""
        ...


class ClusterMetrics(Collector):
    """The metrics of one host.

    Args:
        owned: Counts the shards that this host owns.
        seen: The hosts that share the store, as this host sees them; None: the store is not shared.
        store: The shared store; None: the store is not shared.
    """

    def __init__(
        self,
        *,
        app_id: str,
        registry: CollectorRegistry,
        owned: Callable[[], int],
        seen: Callable[[], ClusterSeen | None],
        store: DoubtingStore | None,
    ) -> None:
        self._own = (app_id,)
        self._owned = owned
        self._seen = seen
        self._store = store
        self._figures: ServerFigures | None = None
        registry.register(self)

    def asked_first(self, app: ASGIApp) -> ASGIApp:
        """An app that queries the store's server before it answers, so that the server is queried for scrapes only."""
        if self._store is None:
            return app
        figures = self._store.figures

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await self._ask(figures)
            await app(scope, receive, send)

        return answer

    async def _ask(self, figures: Callable[[], Awaitable[ServerFigures | None]]) -> None:
        self._figures = None  # figures of an earlier scrape may be out of date
        self._figures = await figures()

    def collect(self) -> Iterator[Metric]:
        """Return the metrics with known values. Called for each scrape."""
        yield self._gauge("perdure_shards_owned", "Shards that this host owns.", self._owned())
        if (seen := self._seen()) is not None:
            yield from self._of_hosts(seen)
        if self._store is not None:
            yield from self._of_doubts(self._store.doubts)
        if self._figures is not None:
            yield from self._of_server(self._figures)

    def _of_hosts(self, seen: ClusterSeen) -> Iterator[Metric]:
        hosts = GaugeMetricFamily("perdure_hosts", "Living hosts, as this host sees them.", labels=["app_id", "state"])
        for state in HostState:
            hosts.add_metric((*self._own, state.name.lower()), sum(host.state is state for host in seen.hosts))
        yield hosts
        yield self._gauge("perdure_shards_free", "Shards that no living host owns, as this host sees them.", seen.free)
        serving = seen.standing in (Standing.SERVING, Standing.LEAVING)
        yield self._gauge("perdure_host_serving", "1 if this host takes turns and answers from memory.", serving)
        if seen.beat_age_s is not None:
            name = "perdure_host_beat_age_seconds"
            yield self._gauge(name, "Time since this host's last answered beat was sent.", seen.beat_age_s)
        yield self._counter("perdure_host_lives", "How often this host has joined the store.", seen.lives)
        yield self._counter("perdure_hosts_killed", "Hosts that this host has found dead.", seen.killed)
        yield self._counter("perdure_shards_taken", "Shards that this host has taken from dead hosts.", seen.taken)
        yield self._counter("perdure_shards_given", "Shards that this host has given to other hosts.", seen.given)

    def _of_doubts(self, doubts: CommitDoubts) -> Iterator[Metric]:
        yield self._counter(
            "perdure_commits_in_doubt",
            "Commits whose connection broke, and whose outcome had to be found.",
            doubts.in_doubt,
        )
        yield self._counter(
            "perdure_commits_uncertain",
            "Commits whose outcome was not found in time: their callers got the error that they may have happened.",
            doubts.uncertain,
        )
        yield self._counter(
            "perdure_acknowledged_lost",
            "Instances and saved values whose last acknowledged change is missing on a server that took over.",
            doubts.acknowledged_lost,
        )

    def _of_server(self, found: ServerFigures) -> Iterator[Metric]:
        help_ = "This host's clock minus the database's clock."
        yield self._gauge("perdure_clock_offset_seconds", help_, found.clock_offset_s)
        help_ = "Servers and programs that follow the database's server."
        yield self._gauge("perdure_replication_followers", help_, found.followers)
        labels = ["app_id", "standby"]
        behind_s = GaugeMetricFamily(
            "perdure_replication_lag_seconds", "How far a standby is behind, in time.", labels=labels
        )
        behind_bytes = GaugeMetricFamily(
            "perdure_replication_lag_bytes", "How far a standby is behind, in bytes of the log.", labels=labels
        )
        for lag in found.lags:
            behind_s.add_metric((*self._own, lag.name), lag.behind_s)
            behind_bytes.add_metric((*self._own, lag.name), lag.behind_bytes)
        yield from (behind_s, behind_bytes)

    def _gauge(self, name: str, help_: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, help_, labels=["app_id"])
        family.add_metric(self._own, value)
        return family

    def _counter(self, name: str, help_: str, value: float) -> Metric:
        family = CounterMetricFamily(name, help_, labels=["app_id"])
        family.add_metric(self._own, value)
        return family
