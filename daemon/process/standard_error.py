"""Writes to standard error without waiting for its reader or its disk.

The rule: text that cannot be written at once waits, up to a limit, for a thread that exists only while text waits. Text
beyond the limit is dropped and counted, and the count is logged. So neither a pipe without a reader nor a stopped
terminal nor a file on a hanging disk blocks a caller.

A write to a file may block, and no system call tells beforehand. So the thread writes the lines of a file, and the
caller waits up to `DISK_S` for it, so that the last line before a crash is in the file. If a line is not written in
that time, no caller waits for the disk until the backlog is written.

`daemon/logs.py` uses it as the log's handler; printed lines of the daemon and of apps go through it too.
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
RETRY_S = 0.05  # the next try, if the system cannot tell when a stream takes more
DISK_S = 0.1  # how long a caller waits for a disk, once
LINGER_S = 1.0  # how long the thread waits for the next line to a file
PIECE_BYTES = select.PIPE_BUF  # a pipe takes a write of up to this size whole or not at all


class StandardError(logging.Handler):
    """A log handler that does not wait for its stream.

    Args:
        stream: Standard error. A stream without a descriptor, such as a notebook's, is written to directly.
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
        self._put = self._written = 0  # numbers of the messages that entered the backlog and left it
        self._hangs = False  # a caller has waited `DISK_S` for the disk in vain

    def emit(self, record: logging.LogRecord) -> None:
        """Format a record and write it, or leave it to the thread that writes."""
        try:
            self.put((self.format(record) + "\n").encode("utf-8", "backslashreplace"))
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def put(self, data: bytes) -> None:
        """Write bytes now, or later, or drop them if the backlog is full."""
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
        """Drop the backlog in a forked child, because the parent writes it."""
        self._backlog.clear()
        self._pid, self._backlog_bytes, self._dropped, self._thread = os.getpid(), 0, 0, None
        assert self.lock is not None
        self._changed = threading.Condition(self.lock)
        self._put = self._written = 0
        self._hangs = False

    def flush(self) -> None:
        """Wait up to `FLUSH_S` until all text is written."""
        deadline_s = time.monotonic() + FLUSH_S
        while self._backlog and self._thread is not None and time.monotonic() < deadline_s:
            time.sleep(RETRY_S / 10)

    def close(self) -> None:
        """Write the backlog, for at most `FLUSH_S`, and close the descriptors that were opened."""
        self.flush()
        with self._changed:
            sink, self._sink = self._sink, Sink(self._stream)
            self._changed.notify_all()
        sink.close()
        super().close()

    def _try(self, data: bytes) -> int:
        """Write as much as possible at once. Returns the number of bytes; all of them if the stream is broken."""
        written = 0
        try:
            while written < len(data):
                taken = self._sink.write(data[written : written + PIECE_BYTES])
                if not taken:
                    break
                written += taken
        except OSError:
            # The reader has closed the pipe, or the disk is full.
            self._dropped += 1
            return len(data)
        return written

    def _write_backlog(self) -> None:
        assert self.lock is not None
        idle = False
        while True:
            self._sink.wait()
            if idle:
                time.sleep(RETRY_S)  # the stream took nothing, although the system had said that it would
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
        """Write text to a file, without holding the lock, because the disk may hang."""
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
    """A Python stream that is written to directly. A write may wait."""

    blocks = False  # a write may block as long as a disk hangs, without notice

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        """Write bytes without waiting. Returns how many were written; 0 if the stream takes none now.

        Raises:
            OSError: The stream is broken.
        """
        self._stream.write(data.decode("utf-8", "replace"))
        self._stream.flush()
        return len(data)

    def wait(self) -> None:
        """Wait until the stream may take more."""
        time.sleep(RETRY_S)

    def close(self) -> None:
        """Close the descriptors that were opened for the stream."""


class DescriptorSink(Sink):
    """A descriptor that a write does not block on: a non-blocking one of our own, or one that is polled first.

    Args:
        owned: The descriptor is a second, non-blocking one for the same pipe or terminal, and is closed here. If the
            first one were made non-blocking, it would be so for all programs that share it.
        waits: A write to the descriptor may block, so it is polled first.
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
    """A file, whose disk may hang."""

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
    """Return the sink that writes to a stream without waiting for its reader."""
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
        # The terminal is another user's, or the system is not Linux.
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
    """A stream that all code prints to. `close` does nothing, because other code still prints to it."""

    def close(self) -> None:
        self.flush()


def stream_of(handler: StandardError, stream: TextIO) -> TextIO:
    """Make a stream for printed lines, which go through the log's handler.

    Args:
        stream: Standard error. `fileno` of the new stream returns its descriptor.
    """
    return _SharedStream(
        io.BufferedWriter(_Raw(handler, stream)), "utf-8", "backslashreplace", line_buffering=True, write_through=True
    )


def write_out_log() -> None:
    """Flush all log handlers before the process ends at once. A handler of the app may raise."""
    with suppress(BaseException):
        logging.shutdown()
