"""The traces of a daemon: begun before its engine, and sent to the end when it stops.

The rule: a daemon without tracing imports none of it, and one whose libraries are missing says so and serves all the
same. The end waits for a collector no longer than for a moment.
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

CLOSE_S = 3.0  # for spans that are still to be sent


@asynccontextmanager
async def traced(config: TracingConfig | None, engine: Engine) -> AsyncIterator[None]:
    """Have an engine make spans for as long as the context lasts, and send them.

    Args:
        config: None: there are none.
        engine: One that does not run yet.
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
    """Whether the libraries of the extra are there."""
    return find_spec("opentelemetry") is not None and find_spec("opentelemetry.sdk") is not None


async def _close(close: Callable[[], None]) -> None:
    """Call a function that blocks, and leave it alone if it takes too long."""
    thread = Thread(target=close, name="perdure-traces", daemon=True)
    thread.start()
    with anyio.move_on_after(CLOSE_S):
        while thread.is_alive():  # noqa: ASYNC110  once, while stopping
            await anyio.sleep(0.02)
    if thread.is_alive():
        logger.warning("the last spans were not sent within %g s, and are lost", CLOSE_S)
