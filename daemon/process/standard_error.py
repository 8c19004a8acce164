"""Writing to standard error without ever waiting for its reader, or for its disk.

The rule: what cannot be written at once waits, up to a limit, for a thread that exists only as long as something
waits. Text beyond the limit is dropped and counted, and the count is a line of the log. So neither a pipe that
nobody reads nor a terminal that is stopped nor a file on a disk that hangs holds up anything.

A file takes everything at once or not at all, and cannot be asked beforehand which it will be. Its lines are written by
the thread, and the caller waits for that up to `DISK_S`, so that the last line before a crash is in the file. Once a
line has not been written in that time, nothing waits for the disk until it has caught up.

`daemon/logs.py` makes the log's handler of it; the daemon's own prints and those of apps go the same way.
"""

import io
import logging
import os
import select
import socket
import stat
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any, TextIO

BACKLOG_BYTES_MAX = 1024 * 1024
FLUSH_S = 1.0  # how long the end of the process waits for unwritten text
RETRY_S = 0.05  # where the system cannot tell when a stream takes more
DISK_S = 0.1  # how long a caller waits for a disk, once
LINGER_S = 1.0  # how long the thread waits for the next line to a file
PIECE_BYTES = select.PIPE_BUF  # a pipe takes so much whole or not at all


class StandardError(logging.Handler):
    """A handler that never waits.

    Args:
        stream: Standard error. One without a descriptor, such as a notebook's, is written to as it is.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._dropped = 0
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._sink = sink_of(stream)
        assert self.lock is not None
        self._changed = threading.Condition(self.lock)  # the backlog
        self._put = self._written = 0  # messages that were put into the backlog, and that left it
        self._hangs = False  # a caller has waited for the disk in vain

    def emit(self, record: logging.LogRecord) -> None:
        """Format a record, and leave it to the thread that writes."""
        try:
            self.put((self.format(record) + "\n").encode("utf-8", "backslashreplace"))
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def put(self, data: bytes) -> None:
        """Write some bytes now, or later, or never."""
        assert self.lock is not None
        with self.lock:
            if os.getpid() != self._pid:
                self._begin_anew()
            rest = data if self._backlog or self._sink.blocks else data[self._try(data) :]
            if not rest:
                return
            if self._backlog_bytes + len(rest) > BACKLOG_BYTES_MAX:
                self._dropped += 1
                return
            self._keep(rest)
            if self._thread is None:
                target = self._write_file if self._sink.blocks else self._write_backlog
                self._thread = threading.Thread(target=target, name="perdure-log", daemon=True)
                self._thread.start()
            if self._sink.blocks and not self._hangs:
                number = self._put
                self._hangs = not self._changed.wait_for(lambda: self._written >= number, DISK_S)

    def _keep(self, data: bytes) -> None:
        self._backlog.append(data)
        self._backlog_bytes += len(data)
        self._put += 1
        self._changed.notify_all()

    def _begin_anew(self) -> None:
        """Forget, in a forked child, the text that its parent writes."""
        self._backlog.clear()
        self._pid, self._backlog_bytes, self._dropped, self._thread = os.getpid(), 0, 0, None
        assert self.lock is not None
        self._changed = threading.Condition(self.lock)
        self._put = self._written = 0
        self._hangs = False

    def flush(self) -> None:
        """Wait until all is written, but not for long."""
        deadline_s = time.monotonic() + FLUSH_S
        while self._backlog and self._thread is not None and time.monotonic() < deadline_s:
            time.sleep(RETRY_S / 10)

    def close(self) -> None:
        """Write the text that waits, but not for long, and close the opened files."""
        self.flush()
        with self._changed:
            sink, self._sink = self._sink, Sink(self._stream)
            self._changed.notify_all()
        sink.close()
        super().close()

    def _try(self, data: bytes) -> int:
        """Write what can be written at once; return how many bytes that were, or all if nobody can read them."""
        written = 0
        try:
            while written < len(data):
                taken = self._sink.write(data[written : written + PIECE_BYTES])
                if not taken:
                    break
                written += taken
        except OSError:
            # The reader is gone, or the disk is full.
            self._dropped += 1
            return len(data)
        return written

    def _write_backlog(self) -> None:
        assert self.lock is not None
        idle = False
        while True:
            self._sink.wait()
            if idle:
                time.sleep(RETRY_S)  # the system said that it would take more, and it did not
            with self.lock:
                if self._backlog:
                    data = self._backlog.popleft()
                    written = self._try(data)
                    idle = not written
                    self._backlog_bytes -= written
                    if written < len(data):
                        self._backlog.appendleft(data[written:])
                if not self._backlog:
                    self._thread = None
                    if not self._dropped:
                        return
                    self.put(self._count_of_dropped())
                    return

    def _write_file(self) -> None:
        """Write text to a file, outside of the lock, because the disk may hang."""
        assert self.lock is not None
        sink = self._sink
        while True:
            with self.lock:
                if not self._backlog and self._dropped:
                    self._keep(self._count_of_dropped())
                self._changed.wait_for(lambda: bool(self._backlog) or self._sink is not sink, LINGER_S)
                if not self._backlog:
                    self._thread = None
                    return
                data = self._backlog[0]
            failed = False
            try:
                while data:
                    data = data[sink.write(data) :]
            except OSError:
                failed = True  # the disk is full
            with self.lock:
                self._backlog_bytes -= len(self._backlog.popleft())
                self._dropped += failed
                self._written += 1
                self._hangs = self._hangs and bool(self._backlog)
                self._changed.notify_all()

    def _count_of_dropped(self) -> bytes:
        dropped, self._dropped = self._dropped, 0
        return (self.format(_dropped_lines(dropped)) + "\n").encode()


def _dropped_lines(count: int) -> logging.LogRecord:
    text = "%d messages were dropped, because standard error did not take them fast enough"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, (count,), None)


class Sink:
    """A stream as it is, which may wait: a stream of Python's own."""

    blocks = False  # a write may last for as long as a disk hangs, and nothing tells beforehand

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        """Write some bytes without waiting, and return how many; 0 where the stream takes none now.

        Raises:
            OSError: It will take none.
        """
        self._stream.write(data.decode("utf-8", "replace"))
        self._stream.flush()
        return len(data)

    def wait(self) -> None:
        """Wait until the stream may take more."""
        time.sleep(RETRY_S)

    def close(self) -> None:
        """Close the descriptors that were opened for it."""


class DescriptorSink(Sink):
    """A descriptor that is never waited for: one of our own, or one that is asked first.

    Args:
        owned: It is a second, non-blocking one for the same pipe or terminal, and closed here. To make the first one
            non-blocking would make it so for all programs that have it.
        waits: The descriptor may wait for its reader, so it is asked first whether it would.
    """

    def __init__(self, descriptor: int, *, owned: bool = False, waits: bool = False) -> None:
        self._descriptor = descriptor
        self._owned = owned
        self._waits = waits

    def write(self, data: bytes) -> int:
        try:
            if self._waits and not self._poll(0):
                return 0
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0

    def wait(self) -> None:
        self._poll(1000)

    def close(self) -> None:
        if self._owned:
            os.close(self._descriptor)

    def _poll(self, timeout_ms: int) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(timeout_ms))


class FileSink(DescriptorSink):
    """A file. Its disk may hang."""

    blocks = True


class SocketSink(DescriptorSink):
    """A socket, such as that of a service manager's journal."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._socket = socket.socket(fileno=os.dup(descriptor))

    def write(self, data: bytes) -> int:
        try:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        self._socket.close()


def sink_of(stream: TextIO) -> Sink:
    """Find the way to write to a stream without waiting for its reader."""
    try:
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, ValueError, AttributeError):
        return Sink(stream)
    if stat.S_ISSOCK(mode):
        return SocketSink(descriptor)
    if stat.S_ISREG(mode) or stat.S_ISBLK(mode):
        return FileSink(descriptor)
    try:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return DescriptorSink(os.open(f"/proc/self/fd/{descriptor}", flags), owned=True)
    except OSError:
        # Another user's terminal, or another system than Linux.
        return DescriptorSink(descriptor, waits=True)


class _Raw(io.RawIOBase):
    """Passes bytes on to a handler."""

    def __init__(self, handler: StandardError, stream: TextIO) -> None:
        super().__init__()
        self._handler = handler
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        taken = bytes(data)
        self._handler.put(taken)
        return len(taken)

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()


class _SharedStream(io.TextIOWrapper):
    """A stream that all print to. One who closes it does not close it for the others."""

    def close(self) -> None:
        self.flush()


def stream_of(handler: StandardError, stream: TextIO) -> TextIO:
    """Make a stream for prints, whose lines go the way of the log's.

    Args:
        stream: Standard error; what asks the new stream for its descriptor gets this one's.
    """
    return _SharedStream(
        io.BufferedWriter(_Raw(handler, stream)), "utf-8", "backslashreplace", line_buffering=True, write_through=True
    )


def write_out_log() -> None:
    """Have all handlers write what they hold, before the process ends at once. One of the app's may raise."""
    with suppress(BaseException):
        logging.shutdown()
