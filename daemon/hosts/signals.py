"""The signals that stop a daemon of several hosts.

The rule: only the supervisor acts on them. A terminal or a service manager sends SIGTERM and SIGINT to all processes
of a daemon at once, and `pkill` sends SIGHUP so; the hosts ignore these signals, and the supervisor tells them
what to do.
"""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from ..process.early_signals import STOP_SIGNALS, received_early
from ..process.hangup import HangupHandler, is_left_to_us


def leave_signals_to_the_supervisor() -> None:
    """Ignore SIGTERM, SIGINT and SIGHUP from now on, in a process that is a host.

    The process becomes the leader of a new group, so that the supervisor can kill it together with the processes that
    it starts.
    """
    os.setsid()
    # Handlers, and not SIG_IGN, because the processes that activities start would inherit it.
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: None)
    if is_left_to_us():
        signal.signal(signal.SIGHUP, HangupHandler())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Block SIGTERM and SIGINT while a host's process is started.

    The new process inherits the blocked signals, and `leave_signals_to_the_supervisor` unblocks them there. Signals to
    this process are delivered at the end of the `with` block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Signals:
    """The signals that a supervisor acts on (SIGTERM, SIGINT, SIGCHLD), as bytes in a socket.

    A context manager; its end restores the handlers.

    Args:
        more: Further signals.

    Attributes:
        reader: Readable when a signal has arrived; `multiprocessing.connection.wait` waits on it.
    """

    def __init__(self, *more: signal.Signals) -> None:
        self._more = more

    def __enter__(self) -> Self:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        numbers = (*STOP_SIGNALS, signal.SIGCHLD, *self._more)
        self._handlers = {number: signal.signal(number, lambda *_: None) for number in numbers}
        if (early := received_early(self._handlers[signal.SIGTERM])) is not None:
            self._writer.send(bytes([early]))
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self.reader.close()
        self._writer.close()

    def received(self) -> bytes:
        """Return the numbers of the signals that have arrived since the last call."""
        try:
            return self.reader.recv(4096)
        except BlockingIOError:
            return b""
