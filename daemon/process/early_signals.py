"""SIGTERM and SIGINT from the first line of `main` until the daemon has handlers of its own.

The rule: a signal that asks for the end is never lost. The kernel has no default action for process 1 of a container,
and importing an app may take long. `cli/first_line.py` installs it; `daemon/serve.py` and `daemon/hosts/signals.py`
ask it.
"""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Self

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopAsked(BaseException):
    """The daemon was told to stop before it had begun. No `except Exception` of an app catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return signal.Signals(self.number).name


class EarlySignals:
    """The handler of both signals. A second signal ends the process at once.

    A context manager; at its end the handlers are as before.

    Attributes:
        received: The signal that came; None if none did.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._raises = True
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self) for number in STOP_SIGNALS}
            # A program that blocks them while it starts others passes the block on.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            # Not sys.exit, which an app may catch, as it may have caught the first one.
            os._exit(1)
        self.received = number
        if self._raises:
            raise StopAsked(number)

    def hold(self) -> None:
        """From now on only remember a signal, because an event loop would take an exception for its own.

        Takes the signals back from an app that has set a handler of its own while it was imported.

        Raises:
            StopAsked: A signal came, and the app has swallowed it.
        """
        if self._before:
            for number in STOP_SIGNALS:
                signal.signal(number, self)
        if self.received is not None:
            raise StopAsked(self.received)
        self._raises = False

    def leave(self) -> None:
        """Put the handlers back, for a command that is no daemon."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned
        self._before = {}


def received_early(handler: object) -> int | None:
    """The signal that came before the daemon had its own handlers; None if none did.

    Args:
        handler: The one that the daemon's took the place of.
    """
    return handler.received if isinstance(handler, EarlySignals) else None
