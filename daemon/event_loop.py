"""The daemon's event loop: asyncio's or uvloop's, which what user code leaves behind cannot end.

The rule: the loop ends when the daemon's main task does, and for no other reason. A
task or a callback that user code has left on the loop may raise SystemExit or
KeyboardInterrupt, which asyncio passes on to whatever runs the loop, or may stop the
loop. Here the loop then goes on, and the log says so.

`daemon/daemon.py` runs the daemon on it. An engine that is embedded in another
program runs on the loop of that program, which keeps asyncio's rules.
"""

import asyncio
import importlib.util
import logging
from collections.abc import Awaitable
from typing import Any, TypeVar

from ..actors.text import text_of
from ..runtime.history.failure import failure_of

T = TypeVar("T")

logger = logging.getLogger(__name__)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop: uvloop's, if it is installed."""
    base: Any = asyncio.SelectorEventLoop
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop  # noqa: PLC0415

        base = uvloop.Loop
    loop: asyncio.AbstractEventLoop = type("EventLoop", (Unending, base), {})()
    loop.set_exception_handler(report)
    return loop


class Unending:
    """Goes on until the awaited future is done. Comes before the class of an event loop."""

    def run_until_complete(self, future: Awaitable[T]) -> T:
        running: Any = super()
        loop: Any = self
        awaited = asyncio.ensure_future(future, loop=loop)
        while True:
            try:
                result: T = running.run_until_complete(awaited)
            except (KeyboardInterrupt, SystemExit) as error:
                if awaited.done() and not awaited.cancelled() and awaited.exception() is error:
                    raise
                log("user code left something on the event loop that would have ended it; it goes on", error)
            except RuntimeError:
                if awaited.done() or running.is_running() or running.is_closed():
                    raise
                logger.error("user code stopped the event loop; it goes on")
            else:
                return result


def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error that nobody awaits: of a task that was left behind, or of a callback."""
    message = text_of(context.get("message"))
    error = context.get("exception")
    if isinstance(error, BaseException):
        log(message, error)
    else:
        logger.error("%s", message)


def log(message: str, error: BaseException) -> None:
    """Log an error of user code with its place. The log gets no exception to format, but a text."""
    failure = failure_of(error)
    extra = {"error_type": failure.error_type}
    where = f"\n{failure.stack_trace.rstrip()}" if failure.stack_trace else ""
    logger.error("%s: %s: %s%s", message, failure.error_type, failure.message, where, extra=extra)
