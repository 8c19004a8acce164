"""The daemon never waits for the reader of standard error: it keeps unread lines, and beyond a limit counts them."""

import errno
import io
import logging
import os
import pty
import select
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TextIO

import pytest

from perdure.daemon.process.standard_error import (
    BACKLOG_BYTES_MAX,
    DISK_S,
    FileSink,
    StandardError,
    stream_of,
    write_out_log,
)

from ...support.processes.daemon import Daemon

LINES = 30_000  # of 100 bytes each: far more than a pipe and the backlog hold


@pytest.fixture
def opened() -> Iterator[list[int]]:
    descriptors: list[int] = []
    yield descriptors
    for each in descriptors:
        os.close(each)


def a_pipe(opened: list[int]) -> tuple[int, int]:
    reader, writer = os.pipe()
    opened += [reader, writer]
    return reader, writer


def a_socket(opened: list[int]) -> tuple[int, int]:
    reader, writer = (each.detach() for each in socket.socketpair())
    opened += [reader, writer]
    return reader, writer


def a_terminal(opened: list[int]) -> tuple[int, int]:
    reader, writer = pty.openpty()
    opened += [reader, writer]
    attributes = termios.tcgetattr(writer)
    attributes[1] &= ~termios.OPOST  # so that a line end does not become two
    termios.tcsetattr(writer, termios.TCSANOW, attributes)
    return reader, writer


def text_stream(descriptor: int) -> TextIO:
    return open(descriptor, "w", closefd=False)


def read_until_quiet(descriptor: int) -> bytes:
    """All bytes that come until none has come for a while."""
    said = bytearray()
    while select.select([descriptor], [], [], 0.5)[0]:
        chunk = os.read(descriptor, 1_000_000)
        if not chunk:
            break
        said += chunk
    return bytes(said)


@pytest.mark.parametrize("make", [a_pipe, a_socket])
def test_a_reader_that_stands_still_holds_up_nothing(
    make: Callable[[list[int]], tuple[int, int]], opened: list[int]
) -> None:
    reader, writer = make(opened)
    with text_stream(writer) as stream, closing(StandardError(stream)) as handler:
        logger = logging.Logger("flood")
        logger.addHandler(handler)
        # When far more is logged than the reader takes, then logging takes only the time to format the lines,
        began_s = time.monotonic()
        for number in range(LINES):
            logger.info("%095d", number)
        assert time.monotonic() - began_s < 20
        # and the first lines are whole and in order, and the rest is counted.
        said = read_until_quiet(reader).decode()
        lines = said.splitlines()
        kept = [line for line in lines if line.isdigit()]
        assert kept == [f"{number:095d}" for number in range(len(kept))]
        assert len(kept) * 96 >= BACKLOG_BYTES_MAX
        [counted] = [line for line in lines if "were dropped" in line]
        assert int(counted.split()[0]) + len(kept) == LINES
        # Later lines are written at once.
        logger.info("again")
        assert read_until_quiet(reader) == b"again\n"
        assert not [each for each in threading.enumerate() if each.name == "perdure-log"]


@pytest.mark.parametrize("make", [a_pipe, a_socket, a_terminal])
def test_the_stream_itself_stays_as_it_was(make: Callable[[list[int]], tuple[int, int]], opened: list[int]) -> None:
    # Other programs share the stream, and do not expect that a write is refused.
    reader, writer = make(opened)
    with text_stream(writer) as stream, closing(StandardError(stream)) as handler:
        handler.put(b"x\n")
        assert os.read(reader, 10) == b"x\n"
        assert os.get_blocking(writer)


def test_a_line_longer_than_a_pipe_takes_at_once_is_written_whole(opened: list[int]) -> None:
    reader, writer = a_pipe(opened)
    with text_stream(writer) as stream, closing(StandardError(stream)) as handler:
        handler.put(b"x" * 300_000 + b"\n")
        handler.put(b"y\n")
        assert read_until_quiet(reader) == b"x" * 300_000 + b"\ny\n"


def test_a_reader_that_is_gone_is_no_error(opened: list[int]) -> None:
    _, writer = a_pipe(opened)
    with text_stream(writer) as stream, closing(StandardError(stream)) as handler:
        os.close(opened.pop(0))
        for _ in range(3):
            handler.put(b"x\n")
        handler.flush()


def test_a_file_has_every_line(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream, closing(StandardError(stream)) as handler:
        for number in range(1000):
            handler.put(b"%d\n" % number)
    assert (tmp_path / "log").read_text().split() == [str(number) for number in range(1000)]


def test_a_line_is_in_the_file_when_it_has_been_logged(tmp_path: Path) -> None:
    # So the file has the last lines of a process that ends at once.
    with (tmp_path / "log").open("w") as stream, closing(StandardError(stream)) as handler:
        for number in range(20):
            handler.put(b"%d\n" % number)
            assert (tmp_path / "log").read_text().split()[-1] == str(number)


def test_a_disk_that_hangs_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a file on a disk that hangs,
    well = threading.Event()
    written = FileSink.write

    def hang(sink: FileSink, data: bytes) -> int:
        assert well.wait(30)
        return written(sink, data)

    monkeypatch.setattr(FileSink, "write", hang)
    with (tmp_path / "log").open("w") as stream, closing(StandardError(stream)) as handler:
        logger = logging.Logger("flood")
        logger.addHandler(handler)
        # when far more is logged than the backlog holds,
        began_s = time.monotonic()
        logger.info("%095d", 0)
        assert time.monotonic() - began_s >= DISK_S * 0.9
        for number in range(1, LINES):
            logger.info("%095d", number)
        # then one line has waited for the disk, and no other;
        assert time.monotonic() - began_s < 20
        well.set()
        handler.flush()
        while not (lines := (tmp_path / "log").read_text().splitlines()) or "were dropped" not in lines[-1]:
            time.sleep(0.01)
        # and when the disk comes back, the first lines are whole and in order, and the rest is counted.
        kept = lines[:-1]
        assert kept == [f"{number:095d}" for number in range(len(kept))]
        assert len(kept) * 96 >= BACKLOG_BYTES_MAX - 96
        assert int(lines[-1].split()[0]) + len(kept) == LINES
        # Later lines are written at once.
        logger.info("again")
        assert (tmp_path / "log").read_text().splitlines()[-1] == "again"


def test_a_full_disk_is_no_error_and_is_told_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = FileSink.write
    full = [True, True]

    def write(sink: FileSink, data: bytes) -> int:
        if full and full.pop():
            raise OSError(errno.ENOSPC, "no space left")
        return written(sink, data)

    monkeypatch.setattr(FileSink, "write", write)
    with (tmp_path / "log").open("w") as stream, closing(StandardError(stream)) as handler:
        handler.put(b"lost\n")
        handler.put(b"there\n")
        handler.flush()
    assert "1 messages were dropped" in (tmp_path / "log").read_text()
    assert "there\n" in (tmp_path / "log").read_text()


def test_no_thread_stays_when_the_handler_is_closed(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        handler = StandardError(stream)
        handler.put(b"x\n")
        [thread] = [each for each in threading.enumerate() if each.name == "perdure-log"]
        handler.close()
        thread.join(5)
        assert not thread.is_alive()


def test_a_stream_without_a_descriptor_is_written_to() -> None:
    stream = io.StringIO()
    handler = StandardError(stream)
    handler.emit(logging.makeLogRecord({"msg": "größe \ud800"}))
    assert stream.getvalue() == "größe \\ud800\n"


def test_prints_go_the_same_way_and_bytes_too(opened: list[int]) -> None:
    reader, writer = a_pipe(opened)
    with text_stream(writer) as stream, closing(StandardError(stream)) as handler:
        printed = stream_of(handler, stream)
        print("größe", 1, file=printed)
        printed.buffer.write(b"bytes\n")
        print("no end", end="", flush=True, file=printed)
        assert printed.fileno() == writer
        assert read_until_quiet(reader) == "größe 1\nbytes\nno end".encode()
        # A program that closes the stream does not close it for the others.
        print("last words", end="", file=printed)
        printed.close()
        print(", and others'", file=printed)
        assert read_until_quiet(reader) == b"last words, and others'\n"


def test_a_forked_child_does_not_write_what_its_parent_has_still_to_write(opened: list[int]) -> None:
    reader, writer = a_pipe(opened)
    program = """
import os, sys
from perdure.daemon.process.standard_error import StandardError
handler = StandardError(sys.stderr)
for number in range(3000):
    handler.put(b"%099d\\n" % number)
child = os.fork()
if not child:
    handler.put(b"child\\n")
    handler.flush()
    os._exit(0)
os.waitpid(child, 0)
print("forked", flush=True)
handler.put(b"parent\\n")
import time
while handler._backlog:
    time.sleep(0.01)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stderr=writer, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    lines = read_until_quiet(reader).decode().split()
    process.wait(30)
    numbers = [line for line in lines if line.isdigit()]
    assert numbers == [f"{number:099d}" for number in range(3000)]
    assert lines.count("parent") == 1


CHATTY = """
import logging, sys
import perdure
app = perdure.App("chatty")

@app.workflow
async def chat(ctx, lines):
    for number in range(lines):
        logging.getLogger("chat").info("%0200d", number)
        print("x" * 200)
        print("y" * 200, file=sys.stderr)
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_a_daemon_whose_standard_error_is_not_read_works_and_stops(tmp_path: Path, processes: int) -> None:
    (tmp_path / "chatty.py").write_text(CHATTY)
    reader, writer = os.pipe()
    try:
        daemon = Daemon(tmp_path / "chatty.py", tmp_path / "p.db", "--processes", str(processes), stderr=writer)
        with daemon:
            for number in range(2):
                assert daemon.start("chat", f"c{number}", 2000).status_code == 202
            for number in range(2):
                daemon.wait_for(f"c{number}", "COMPLETED")
            assert daemon.stop() == 0
    finally:
        os.close(reader)
        os.close(writer)


def test_a_handler_that_raises_keeps_no_process_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a handler of the app that raises a BaseException when the handlers write their lines,
    asked: list[str] = []

    def broken() -> None:
        asked.append("shutdown")
        raise SystemExit("no")

    monkeypatch.setattr(logging, "shutdown", broken)
    # when a process is about to end, then each handler is called, and the process goes on to its end.
    write_out_log()
    assert asked == ["shutdown"]
