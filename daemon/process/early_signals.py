"""The handlers of SIGTERM and SIGINT from the first line of `main` until the daemon has its own.

The rule: a signal to stop is never lost. The kernel has no default action for process 1 of a container, and the import
of an app may take long. `cli/first_line.py` installs the handlers; `daemon/serve.py` and `daemon/hosts/signals.py` read
the result.
"""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Self

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopAsked(BaseException):
    """The daemon was told to stop before it had begun. It is no `Exception`, so that an app does not catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return signal.Signals(self.number).name


class EarlySignals:
    """The handler of both signals. A second signal ends the process at once.

    A context manager; its end restores the handlers.

    Attributes:
        received: The signal that has come; None: no signal has.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._raises = True
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self) for number in STOP_SIGNALS}
            # This process inherits blocked signals from a program that blocks them while it starts others.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            # Not sys.exit: an app may catch its exception, as it may have caught that of the first signal.
            os._exit(1)
        self.received = number
        if self._raises:
            raise StopAsked(number)

    def hold(self) -> None:
        """Only remember a signal from now on, because an event loop would treat an exception as its own.

        If the app has set other handlers during its import, they are replaced.

        Raises:
            StopAsked: A signal came, and the app has caught its exception.
        """
        if self._before:
            for number in STOP_SIGNALS:
                signal.signal(number, self)
        if self.received is not None:
            raise StopAsked(self.received)
        self._raises = False

    def leave(self) -> None:
        """Restore the handlers, for a command that runs no daemon."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # a value of signal.signal
        self._before = {}


def received_early(handler: object) -> int | None:
    """Return the signal that came before the daemon had its own handlers; None if no signal came.

    Args:
        handler: The handler that the daemon's own has replaced.
    """
    return handler.received if isinstance(handler, EarlySignals) else None
