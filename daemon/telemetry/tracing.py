"""The traces of a daemon, which begin before its engine and are sent until its end.

The rule: a daemon without tracing imports no library for it. If the libraries are missing, the daemon logs that and
serves without traces. Its end waits for a collector at most `CLOSE_S`.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from threading import Thread

import anyio

from ...api.tracing import TracingConfig
from ...runtime.engine import Engine

logger = logging.getLogger(__name__)

CLOSE_S = 3.0  # for spans that were not sent yet


@asynccontextmanager
async def traced(config: TracingConfig | None, engine: Engine) -> AsyncIterator[None]:
    """Let an engine make spans while the context is open, and send them.

    Args:
        config: None: no spans are made.
        engine: An engine that does not run yet.
    """
    if config is None:
        yield
        return
    if not installed():
        logger.warning("there are no traces, because the libraries for them are missing: pip install 'perdure[otel]'")
        yield
        return
    # Only a daemon that traces needs the libraries.
    from ...telemetry.exporting import Exporting  # noqa: PLC0415

    exporting = Exporting(config)
    for app_id, app in engine.apps.items():
        app.trace(exporting.traces_of(app_id))
    places = ", ".join(target.shown for target in config.targets)
    logger.info("traces go to %s", places or "nowhere: they are only passed on")
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await _close(exporting.close)


def installed() -> bool:
    """Whether the libraries of the extra are installed."""
    return find_spec("opentelemetry") is not None and find_spec("opentelemetry.sdk") is not None


async def _close(close: Callable[[], None]) -> None:
    """Call a function that blocks, and return without it after `CLOSE_S`."""
    thread = Thread(target=close, name="perdure-traces", daemon=True)
    thread.start()
    with anyio.move_on_after(CLOSE_S):
        while thread.is_alive():  # noqa: ASYNC110  only during the stop
            await anyio.sleep(0.02)
    if thread.is_alive():
        logger.warning("the last spans were not sent within %g s, and are lost", CLOSE_S)
