"""A worker process: performs activities with `executor="process"`, one after the other.

The rule: the standard streams belong to user code. At its start the worker moves the
daemon's messages away from them to descriptors of its own, which no child program
inherits. Input is then empty, and the output goes to a pipe that the daemon reads into
its log. Log records are sent as messages.

`runtime/activities/process_pool.py` starts it with `python -m`, and speaks to it in
the words of `runtime/activities/worker_protocol.py`.
"""

import contextlib
import fcntl
import logging
import os
import select
import signal
import sys
import threading
import time
from typing import Any, TextIO

from ...actors.text import clean, text_of
from .process_call import Reference, perform_elsewhere
from .worker_protocol import DONE, LENGTH, LOGGED, READY, packed, unpacked

# The attributes of every record. User code has given the others with `extra=`.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

DESCRIPTORS_FROM = 10  # of the channel: away from the ones that shell scripts use by number


def main() -> None:
    """Perform the activities that the daemon sends, until it closes the channel."""
    channel = Channel()
    # Ctrl-C and a service's stop reach every process; the daemon decides when an activity ends. Handlers, and not
    # SIG_IGN, which child programs would inherit.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave_to_the_daemon)
    channel.greet()
    first = channel.receive()
    if first is None:
        return
    path, level, mark = first
    sys.path[:] = path
    logging.basicConfig(handlers=[Forward(channel)], level=level, force=True)
    threading.Thread(target=channel.watch, daemon=True).start()
    while (message := channel.receive()) is not None:
        reference, call, payload = message
        channel.busy = True
        outcome = perform_elsewhere(Reference(*reference), tuple(call), payload)
        marked = _mark_the_end(mark)
        channel.busy = False
        channel.send((DONE, outcome.result, outcome.failure, marked))


class Channel:
    """The worker's end of the daemon's messages. It takes the standard streams' place at construction."""

    def __init__(self) -> None:
        self._in = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, DESCRIPTORS_FROM)
        self._out = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, DESCRIPTORS_FROM)
        self._sending = threading.Lock()
        self._sender: int | None = None  # the thread that sends right now
        self.open = True
        self.busy = False
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
        # A child that user code forks is not this worker, and must not answer for it.
        os.register_at_fork(after_in_child=self.close)

    def close(self) -> None:
        """Close both ends, once."""
        if self.open:
            self.open = False
            os.close(self._in)
            os.close(self._out)

    def greet(self) -> None:
        """Report to the daemon that the worker is ready."""
        self._write(READY)

    def receive(self) -> Any:
        """Wait for a message; None if there will be no more."""
        head = self._read(LENGTH.size)
        if head is None:
            return None
        body = self._read(LENGTH.unpack(head)[0])
        return unpacked(body) if body is not None else None

    def send(self, message: tuple[Any, ...]) -> bool:
        """Send a message; return False if that is not possible: in a forked child, or while this thread sends one."""
        data = packed(message)
        if not self.open or self._sender == threading.get_ident():
            return False
        with self._sending:
            self._sender = threading.get_ident()
            try:
                self._write(data)
            finally:
                self._sender = None
        return True

    def watch(self) -> None:
        """End this process and the programs that it has started, if the daemon exits during an activity.

        The activity is performed again when the daemon is back, and must not run twice at a time. A worker without an
        activity ends by itself.
        """
        poll = select.poll()
        poll.register(self._in, 0)  # only the end of the channel counts
        poll.poll()
        while not self.busy:
            time.sleep(0.05)
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    def _read(self, length: int) -> bytes | None:
        data = bytearray()
        while len(data) < length:
            if not self.open or not (part := os.read(self._in, min(length - len(data), 1 << 20))):
                return None
            data += part
        return bytes(data)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._out, rest) :]


class Forward(logging.Handler):
    """Sends log records to the daemon, which writes them into its own log."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, with its fields as plain values."""
        try:
            error = self._formatter.formatException(record.exc_info) if record.exc_info else None
            extra = {
                name: value if type(value) in (int, float, bool, str) else text_of(value)
                for name, value in vars(record).items()
                if name not in STANDARD
            }
            fields = (clean(record.name), record.levelno, record.created, clean(record.getMessage()), error, extra)
            if not self._channel.send((LOGGED, *fields)):
                print(f"{record.levelname} {record.name}: {record.getMessage()}", file=sys.stderr)
        except Exception:
            self.handleError(record)


def _mark_the_end(mark: bytes) -> bool:
    """Mark in the output where an activity has ended; return whether that was possible."""
    for stream in (sys.stdout, sys.stderr):
        _flush(stream)
    with contextlib.suppress(OSError):
        os.write(2, mark)
        return True
    return False


def _flush(stream: TextIO | None) -> None:
    # User code may have put anything in the stream's place, or closed it.
    with contextlib.suppress(BaseException):
        if stream is not None:
            stream.flush()


def _leave_to_the_daemon(number: int, frame: object) -> None:
    """Do nothing at a signal."""


if __name__ == "__main__":
    main()
