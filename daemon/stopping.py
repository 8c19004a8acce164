"""The order to stop: its state, its first steps, and the two watchers that receive it.

The rule: a daemon of one process listens to its signals. A host of several listens to its supervisor alone. A host that
shares its store with others leaves them before its ports are closed, so that no request finds a closed port.
`daemon/daemon.py` starts the watcher that fits.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import anyio

from ..actors.store.contract import Store
from .process.early_signals import received_early
from .process.standard_error import write_out_log
from .supervision import Member, Reload, ShutdownAsked, Stop

logger = logging.getLogger(__name__)


# How long a host may take to leave the others. Together with `--stop-grace`, a stop ends within half a minute.
LEAVE_S = 15.0
# How long calls that wait for an instance may go on, after the last new call was taken.
POLLS_S = 5.0


# How long activities may take to end once they are cancelled.
CANCELLED_S = 5.0
LOOK_S = 0.25


class Stopping:
    """Whether the daemon was told to stop, and how far the stop has come.

    Args:
        work: The scope of all work of the daemon, from the opening of the store on.
    """

    def __init__(self, work: anyio.CancelScope) -> None:
        self.told = anyio.Event()  # set: the daemon is not ready any more, but answers
        self.closing = anyio.Event()  # set: the ports are closed; requests under way go on
        self.ending = anyio.Event()  # set: calls that wait for an instance end
        self.forced = False  # the stop does not wait for running activities
        self.started = False  # the daemon serves, so that it has to be stopped in order
        self._work = work

    def tell(self, *, force: bool = False) -> None:
        """Stop the daemon. May be called again, to force a stop that is under way.

        Args:
            force: Do not wait for running activities.
        """
        self.forced |= force
        self.told.set()
        if self.forced:
            self.close()
        if not self.started:
            # The store is not open yet, so no request has been accepted.
            self._work.cancel()

    def close(self) -> None:
        """Let the ports be closed and waiting calls end."""
        self.closing.set()
        self.ending.set()


class LeavingHost(Protocol):
    """A host that may share its store with others."""

    @property
    def alone(self) -> bool:
        """Whether no other host could take over the shards of this host."""
        ...

    async def leave(self) -> None:
        """Give the shards of this host to the others. The host stays reachable and passes requests on until it ends."""
        ...


async def leave_first(stopping: Stopping, host: LeavingHost, *, drain_s: float) -> None:
    """Wait for the order to stop, leave the other hosts if there are any, and have the ports closed.

    Args:
        drain_s: The least time in which requests are taken after the host has reported that it is not ready, so that
            load balancers notice.
    """
    await stopping.told.wait()
    if not (host.alone or stopping.forced):
        with anyio.move_on_after(LEAVE_S) as leaving:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_cancel_with, stopping.closing, tasks.cancel_scope)
                drained_s = anyio.current_time() + drain_s
                await host.leave()
                await anyio.sleep_until(drained_s)
                tasks.cancel_scope.cancel()
        if leaving.cancelled_caught:
            logger.warning("this host has not given all that it owns within %g s; the others take the rest", LEAVE_S)
        stopping.closing.set()
        with anyio.move_on_after(POLLS_S):
            await stopping.ending.wait()
    stopping.close()


class EndingEngine(Protocol):
    """An engine that may wait for ever for cancelled activities that do not end."""

    @property
    def waits_for_activities(self) -> bool:
        """Whether the engine waits only for activities."""
        ...

    @property
    def store(self) -> Store:
        """Its store."""
        ...


async def end_without_activities(
    told: anyio.Event, engine: EndingEngine, end: Callable[[int], object] = os._exit, *, patience_s: float = CANCELLED_S
) -> None:
    """End the process of a daemon that was told to stop, if cancelled activities do not end.

    An `async def` activity can ignore its cancellation for ever: in a shielded scope, or while it awaits a thread. The
    activity is performed again after the next start, like an activity whose thread does not end.

    Args:
        end: Ends the process at once, with an exit code.
        patience_s: How long the activities may take to end.
    """
    await told.wait()
    waited_s = 0.0
    while waited_s < patience_s:
        await anyio.sleep(LOOK_S)
        waited_s = waited_s + LOOK_S if engine.waits_for_activities else 0.0
    logger.warning("activities that were cancelled have not ended in %g s: the process ends without them", patience_s)
    await engine.store.close()
    write_out_log()
    end(0)


async def _cancel_with(event: anyio.Event, scope: anyio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


@contextmanager
def signals_heard(stopping: Stopping) -> Iterator[None]:
    """Stop in order at the first SIGTERM or SIGINT, and end the process at once at the second, until the block ends.

    To be called in the event loop. The handlers are Python's and not the event loop's, so that the second signal has
    its effect also while user code blocks the loop.
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
        reload: Called when the supervisor says that the tokens must be read again.
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
