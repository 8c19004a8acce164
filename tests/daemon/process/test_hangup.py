"""A daemon stops in order when its terminal ends, and SIGHUP ends no daemon that has no terminal."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perdure.daemon.process.hangup import Hangup, HangupHandler, hangup_heard, is_left_to_us, is_ours

from ...support.processes.daemon import READY_S, Daemon

APP = """
import perdure
app = perdure.App("hangup")
@app.workflow
async def waits(ctx): return await ctx.wait_for_external_event("go")
"""

# Runs a command in a new session: its terminal is the first argument, if that is not empty.
IN_A_SESSION = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN if sys.argv[2] else signal.SIG_DFL)
os.setsid()
if sys.argv[1]:
    os.open(sys.argv[1], os.O_RDWR)
os.execvp(sys.argv[3], sys.argv[3:])
"""


def in_a_session(terminal: str = "", *, ignores: bool = False) -> tuple[str, ...]:
    """The command that runs another one in a new session."""
    return sys.executable, "-c", IN_A_SESSION, terminal, "ignored" if ignores else ""


class Terminal:
    """A terminal whose window can be closed."""

    def __init__(self) -> None:
        self._window, self.line = os.openpty()
        self.name = os.ttyname(self.line)
        self._open = True

    def close(self) -> None:
        if self._open:
            self._open = False
            os.close(self.line)
            os.close(self._window)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.close()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


@contextmanager
def left_alone(number: int) -> Iterator[None]:
    """Give a signal its usual effect; under `nohup` a test's process would ignore SIGHUP."""
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


def until(file: Path, words: str, times: int = 1) -> None:
    """Wait until a file contains the words this number of times."""
    deadline = time.monotonic() + READY_S
    while file.read_text().count(words) < times:
        assert time.monotonic() < deadline, file.read_text()
        time.sleep(0.02)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_at_the_end_of_its_terminal_a_daemon_stops_in_order(
    app: Path, terminal: Terminal, tmp_path: Path, processes: str
) -> None:
    data = tmp_path / "p.db"
    # Given a daemon that was started at a terminal,
    with Daemon(app, data, "--processes", processes, inside=in_a_session(terminal.name)) as daemon:
        assert daemon.start("waits", "i").status_code == 202
        # when its window is closed,
        terminal.close()
        # then the daemon stops as at SIGTERM.
        assert daemon.process.wait(READY_S) == 0
    log = data.with_suffix(".log").read_text()
    assert "stopping because of SIGHUP: the terminal has ended" in log
    assert "stopped" in log.rpartition("the terminal has ended")[2]


def test_a_daemon_that_writes_its_log_to_the_terminal_stops_in_order_too(
    app: Path, terminal: Terminal, tmp_path: Path
) -> None:
    with Daemon(app, tmp_path / "p.db", stderr=terminal.line, inside=in_a_session(terminal.name)) as daemon:
        terminal.close()
        assert daemon.process.wait(READY_S) == 0


def test_a_daemon_that_ignores_the_signal_outlives_its_terminal(app: Path, terminal: Terminal, tmp_path: Path) -> None:
    with Daemon(app, tmp_path / "p.db", inside=in_a_session(terminal.name, ignores=True)) as daemon:
        terminal.close()
        daemon.process.send_signal(signal.SIGHUP)
        assert daemon.start("waits", "i").status_code == 202
        assert daemon.stop() == 0


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_service_without_a_terminal_says_that_there_is_nothing_to_read_again(
    app: Path, tmp_path: Path, processes: str
) -> None:
    data = tmp_path / "p.db"
    with Daemon(app, data, "--processes", processes, inside=in_a_session()) as daemon:
        for each in (daemon.process, *daemon.hosts()):
            each.send_signal(signal.SIGHUP)
        until(data.with_suffix(".log"), "SIGHUP changes nothing")
        assert daemon.start("waits", "i").status_code == 202
        daemon.process.send_signal(signal.SIGHUP)
        until(data.with_suffix(".log"), "SIGHUP changes nothing", 2)
        assert daemon.stop() == 0
    assert "started again" not in data.with_suffix(".log").read_text()


def test_a_handler_of_the_app_and_a_signal_that_is_ignored_stay(tmp_path: Path) -> None:
    for before in (signal.SIG_IGN, lambda *_: None):
        with left_alone(signal.SIGHUP):
            signal.signal(signal.SIGHUP, before)
            with hangup_heard(lambda: None):
                assert signal.getsignal(signal.SIGHUP) is before
                assert not is_ours()
            assert signal.getsignal(signal.SIGHUP) is before


def test_the_daemon_has_a_handler_while_it_runs() -> None:
    heard = []
    with left_alone(signal.SIGHUP):
        with hangup_heard(lambda: heard.append(1)):
            assert is_ours()
            signal.raise_signal(signal.SIGHUP)
        assert is_left_to_us()
    assert heard == [1]


def test_the_terminal_of_the_start_decides(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = []
    terminal = tmp_path / "tty"
    terminal.touch()
    at_terminal = Hangup(lambda: told.append("stop"), terminal=str(terminal))
    terminal.unlink()
    at_terminal.act()
    assert told == ["stop"]
    Hangup(lambda: told.append("no"), terminal=str(terminal)).act()
    assert told == ["stop"]
    assert "SIGHUP changes nothing" in caplog.text
    HangupHandler()(signal.SIGHUP, None)
