"""The port of the metrics, which is taken only if metrics are on, and the ASGI app that answers there.

The rule: a daemon with tokens requires a token here too, unless its configuration says otherwise. `perdure daprd`
requires none, like Dapr.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial

import anyio
from anyio.abc import TaskGroup
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ...api.ports import Door
from ...api.sidecar import Sidecar, by_types_of_dapr
from ...api.tokens import Tokens
from ...http.auth import CHALLENGE, bearer_of, token_of
from ...http.browser_guard import BrowserGuard
from ...http.serving.crowd import ConnectionLimits
from ...http.serving.listener import listen
from ...http.serving.server import serve
from ...runtime.engine import Engine
from ...runtime.hosted_app import HostedApp
from ...runtime.observing.observer import ActivityWatch
from ...runtime.operations.facade import Facade
from ...telemetry.cluster_metrics import ClusterMetrics
from ...telemetry.engine_metrics import EngineMetrics, MeasuredApp
from ...telemetry.metrics import AppGauges, ExecutionMetrics, Gauges, Metrics
from ..config import Config
from ..process.open_files import SHARE_MIN
from .loop_delay import LoopDelay
from .meter import AppMeter

GRACE_S = 2.0  # for scrapes under way


class MetricsDoor:
    """Answers only callers that have a token.

    Args:
        tokens: In `Authorization: Bearer`, as Prometheus sends it, or in `dapr-api-token`.
    """

    def __init__(self, app: ASGIApp, tokens: Sequence[str] | Tokens) -> None:
        self._app = app
        self._tokens = tokens if isinstance(tokens, Tokens) else Tokens(tokens)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._knows(scope):
            await self._app(scope, receive, send)
            return
        refusal = PlainTextResponse(
            "the metrics need an API token: `Authorization: Bearer TOKEN`. In Prometheus: authorization.credentials. "
            "Without one: perdure run --metrics-open.\n",
            status_code=401,
            headers=CHALLENGE,
        )
        await refusal(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        return any(self._tokens.name_of(given) is not None for given in (bearer_of(scope), token_of(scope)))


def serve_metrics(
    config: Config,
    tokens: Sequence[str] | Tokens,
    engine: Engine,
    sidecar: Sidecar,
    *,
    tasks: TaskGroup,
    stop: anyio.Event,
    ports: ExitStack,
) -> AppMeter:
    """Take the port of the metrics and serve it; return the meter that counts for them.

    Raises:
        CannotListen: The port cannot be taken.
    """
    gauges = Gauges(
        turns=lambda: engine.turns,
        commits=lambda: engine.commits,
        apps=lambda: {app_id: gauges_of(hosted, alone=len(engine.apps) == 1) for app_id, hosted in engine.apps.items()},
    )
    metrics = Metrics(app_id=sidecar.app_id, gauges=gauges)
    listener = ports.enter_context(closing(listen(config.host, config.metrics_port, Door.METRICS)))
    reports, delay = engine.management.reports, LoopDelay()
    cluster = ClusterMetrics(
        app_id=sidecar.app_id,
        registry=metrics.registry,
        owned=lambda: reports.shards,
        seen=reports.seen,
        store=engine.store.cluster,
    )
    managed = {app_id: hosted.management for app_id, hosted in engine.apps.items()}
    state = EngineMetrics(
        {app_id: MeasuredApp(each.reports, each.attentions) for app_id, each in managed.items()},
        registry=metrics.registry,
        ready=lambda: engine.ready,
        loop_delay_s=delay.largest_s,
        now_us=lambda: time.time_ns() // 1_000,
    )
    app = guarded(state.asked_first(cluster.asked_first(metrics.app())), config, tokens)
    limits = ConnectionLimits(connections_max=SHARE_MIN)
    tasks.start_soon(delay.run)
    tasks.start_soon(partial(serve, app, listener=listener, stop=stop, grace_s=GRACE_S, limits=limits))
    executions = ExecutionMetrics(metrics)
    for app_id, hosted in engine.apps.items():
        hosted.observe(executions.of_app(app_id))
    return PrometheusMeter(metrics, executions)


def gauges_of(hosted: HostedApp, *, alone: bool) -> AppGauges:
    """The values of an app of this host.

    Args:
        alone: Whether this is the only app of the host.
    """
    served = hosted.connected_workers() > 0
    return AppGauges(
        active_actors=by_types_of_dapr(hosted.active_actors(alone=alone), hosted.app_id, served=served),
        connected_workers=hosted.connected_workers(here=True),
    )


class PrometheusMeter:
    """Counts the requests of each app (`AppMeter`)."""

    def __init__(self, metrics: Metrics, executions: ExecutionMetrics) -> None:
        self._metrics = metrics
        self._executions = executions

    def facade(self, hosted: HostedApp) -> Facade:
        return hosted.facade.watched_by(self._metrics.of_app(hosted.app_id))

    def activities(self, app_id: str) -> ActivityWatch:
        return self._executions.of_app(app_id)


def guarded(app: ASGIApp, config: Config, tokens: Sequence[str] | Tokens) -> ASGIApp:
    """Put a guard before an ASGI app: of tokens if there are any, else against web pages."""
    has_tokens = isinstance(tokens, Tokens) or bool(tokens)
    if has_tokens and not config.metrics_open:
        return MetricsDoor(app, tokens)
    return app if has_tokens else BrowserGuard(app, config.names())
