"""Whether this process was told to stop, how, and the two watchers that tell it.

The rule: a daemon of one process listens to its signals. A host of several listens to its supervisor alone.
`daemon/daemon.py` starts the watcher that fits.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio

from .process.early_signals import received_early
from .supervision import Member, Reload, ShutdownAsked, Stop

logger = logging.getLogger(__name__)


class Stopping:
    """Whether the daemon was told to stop, and how.

    Args:
        work: All that the daemon does, from the opening of the store on.
    """

    def __init__(self, work: anyio.CancelScope) -> None:
        self.told = anyio.Event()
        self.forced = False  # running activities are not waited for
        self.started = False  # there is something to stop in order
        self._work = work

    def tell(self, *, force: bool = False) -> None:
        """Stop the daemon. May be called again, to force a stop that is under way.

        Args:
            force: Do not wait for running activities.
        """
        self.forced |= force
        self.told.set()
        if not self.started:
            # The store is being opened: no request has been accepted yet.
            self._work.cancel()


@contextmanager
def signals_heard(stopping: Stopping) -> Iterator[None]:
    """Stop in order at the first SIGTERM or SIGINT, and end the process at once at the second, until the block ends.

    To be called in the event loop. The handlers are Python's and not the event loop's, so that the second signal is
    heard also while user code blocks the loop.
    """
    loop = asyncio.get_running_loop()
    heard = False

    def stop(name: str) -> None:
        logger.info("stopping because of %s; a second signal stops at once", name)
        stopping.tell()

    def handle(number: int, _frame: object) -> None:
        nonlocal heard
        name = signal.Signals(number).name
        if heard or stopping.told.is_set():
            logger.warning("stopped at once by a second signal, %s; what was acknowledged is in the store", name)
            # Not sys.exit, which would wait for threads of activities.
            os._exit(1)
        heard = True
        loop.call_soon_threadsafe(stop, name)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    if (early := received_early(before[signal.SIGTERM])) is not None:
        heard = True
        stop(signal.Signals(early).name)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def watch_supervisor(member: Member, stopping: Stopping, reload: Callable[[], None]) -> None:
    """Stop in order when the supervisor says so, or when its end of the pipe is closed.

    Args:
        reload: Called when the supervisor says that the tokens are to be read again.
    """
    while (message := await member.hear()) is not None:
        match message:
            case Stop(force):
                stopping.tell(force=force)
            case Reload():
                reload()
    if not stopping.told.is_set():
        logger.error("stopping because the supervisor is gone")
        stopping.tell()


def ask_supervisor(member: Member, *, force: bool) -> None:
    """Ask the supervisor to stop the whole daemon, of which this process is one host.

    Args:
        force: Do not wait for running activities.
    """
    member.say(ShutdownAsked(force))
