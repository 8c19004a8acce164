"""Whether this process was told to stop, how, and the two watchers that tell it.

The rule: a daemon of one process listens to its signals. A host of several listens to its supervisor alone.
`daemon/daemon.py` starts the watcher that fits.
"""

import logging
import os
import signal
from collections.abc import Callable

import anyio
from anyio.abc import TaskStatus

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


async def watch_signals(stopping: Stopping, *, task_status: TaskStatus[None]) -> None:
    """Stop in order at the first SIGTERM or SIGINT, and end the process at once at the second."""
    before = signal.getsignal(signal.SIGTERM)
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        if (early := received_early(before)) is not None:
            logger.info("stopping because of %s; a second signal stops at once", signal.Signals(early).name)
            stopping.tell()
        task_status.started()
        async for received in signals:
            name = signal.Signals(received).name
            if stopping.told.is_set():
                logger.warning("stopped at once by a second signal, %s; what was acknowledged is in the store", name)
                # Not sys.exit, which would wait for threads of activities.
                os._exit(1)
            logger.info("stopping because of %s; a second signal stops at once", name)
            stopping.tell()


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
