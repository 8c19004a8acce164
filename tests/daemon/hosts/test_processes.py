"""A parent and its hosts, as real processes: which events end one of them, and which end all.

The hosts have no engine (`tests/support/processes/small_hosts.py`), so that only the processes are tested.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from perdure.api.ports import CannotListen
from perdure.daemon.hosts.host_processes import HostProcesses
from perdure.daemon.hosts.processes import private_directory, watch
from perdure.daemon.hosts.signals import Signals
from perdure.daemon.hosts.supervisor import Supervisor
from perdure.daemon.supervision import ToHost
from perdure.http.serving.listener import listen, share

from ...support.processes import small_hosts
from ...support.processes.lines import PATIENCE_S, Lines, ended

PROGRAM = Path(small_hosts.__file__)


class Told(NamedTuple):
    """The report of a steady host about itself."""

    pid: int
    ports: tuple[int, int]
    directory: Path
    mode: str


class Daemon:
    """The program, with one host for each name."""

    def __init__(self, folder: Path, *hosts: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), *hosts],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out = Lines(self.process.stdout)
        self.err = Lines(self.process.stderr)

    def told(self) -> Told:
        """Wait for any steady host."""
        line = self.err.hear(" pid ")
        match = re.fullmatch(r"\S+ pid (\d+) ports (\d+) (\d+) in (\S+) (\S+)", line)
        assert match, line
        return Told(int(match[1]), (int(match[2]), int(match[3])), Path(match[4]), match[5])

    def ready(self) -> "Daemon":
        self.out.hear("ready", self.err)
        return self

    def tell(self, what: signal.Signals) -> None:
        os.kill(self.process.pid, what)

    def ended(self) -> int:
        """Wait for the end of the parent and of every host: each of them keeps standard error open."""
        return ended(self.process, self.err, self.out)

    def stopped(self, name: str) -> bool:
        return f"{name} stops" in self.err.said


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    daemons: list[Daemon] = []

    def start(*hosts: str) -> Daemon:
        daemons.append(Daemon(tmp_path, *hosts))
        return daemons[-1]

    yield start
    for daemon in daemons:
        if daemon.process.poll() is None:
            daemon.process.kill()
        daemon.process.wait()


Start = Callable[..., Daemon]


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_in_order(start: Start, told: signal.Signals) -> None:
    daemon = start("steady", "steady").ready()
    daemon.tell(told)
    assert daemon.ended() == 0
    assert daemon.stopped("host-0")
    assert daemon.stopped("host-1")
    assert daemon.out.said == ["ready"]
    assert "Traceback" not in "\n".join(daemon.err.said)


def test_a_signal_to_all_processes_at_once_is_the_parents_to_heed(start: Start) -> None:
    # Given a daemon in its own process group, as a terminal or a service manager starts it,
    daemon = start("steady", "steady")
    hosts = [daemon.told().pid for _ in range(2)]
    daemon.ready()
    # when the hosts get the signal before their parent does,
    for pid in hosts:
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
    os.killpg(daemon.process.pid, signal.SIGINT)
    # then they still stop in order.
    assert daemon.ended() == 0
    assert daemon.stopped("host-0")
    assert daemon.stopped("host-1")


def test_a_host_that_dies_is_started_again_and_the_others_go_on(start: Start) -> None:
    # Given two hosts, and ports without a listener,
    daemon = start("steady", "steady")
    first = daemon.told()
    other = daemon.told()
    daemon.ready()
    # when one of them dies, then it is started again, with the ports and the folder it had,
    os.kill(first.pid, signal.SIGKILL)
    again = daemon.told()
    daemon.err.hear("is ready again")
    assert again._replace(pid=0) == first._replace(pid=0) == other._replace(pid=0)
    assert again.pid not in (first.pid, other.pid)
    assert "ended by SIGKILL; it is started again in 0.1 s" in "\n".join(daemon.err.said)
    # which no other process could take meanwhile, and a folder that no other user may enter.
    for port in first.ports:
        with pytest.raises(CannotListen):
            listen("127.0.0.1", port)
        share("127.0.0.1", port).close()
    assert first.mode == "drwx------"
    # The ready line came only once, and no file is left behind.
    daemon.tell(signal.SIGTERM)
    assert daemon.ended() == 0
    assert daemon.out.said == ["ready"]
    assert not first.directory.exists()


@pytest.mark.parametrize(
    ("how", "why"),
    [("refuses", "the moon is full."), ("breaks", "host-1 ended with exit code 7, before it was ready.")],
)
def test_a_host_that_cannot_start_ends_all_and_its_reason_is_the_error(start: Start, how: str, why: str) -> None:
    daemon = start("steady", how)
    assert daemon.ended() == 1
    assert daemon.out.said == []
    assert f"Error: {why}" in daemon.err.said
    assert daemon.stopped("host-0")


def test_hosts_end_when_their_parent_is_killed(start: Start) -> None:
    daemon = start("steady", "steady").ready()
    daemon.tell(signal.SIGKILL)
    assert daemon.ended() == -signal.SIGKILL
    assert daemon.stopped("host-0")
    assert daemon.stopped("host-1")


def test_an_end_that_comes_while_a_round_is_under_way_is_seen_in_the_next() -> None:
    # Given a host that ends just after the parent has looked for its end,
    calls: list[str] = []

    class Late(HostProcesses):
        def __init__(self) -> None:
            pass

        def pipes(self) -> list[Any]:
            return []

        def ended(self) -> list[tuple[int, int]]:
            calls.append("ended")
            if len(calls) == 1:
                signal.raise_signal(signal.SIGCHLD)
                return []
            return [(0, 0)]

        def messages(self) -> Iterator[Any]:
            return iter(())

        def forget(self, index: int) -> None:
            calls.append("forget")

        def start(self, index: int) -> None:
            pass

        def send(self, index: int, message: ToHost) -> None:
            pass

    with Signals() as signals:
        processes = Late()
        supervisor = Supervisor(processes, 1, announce=print, patience_s=PATIENCE_S)
        now_s = time.monotonic()
        supervisor.start(now_s)
        supervisor.stop(now_s)
        signal.raise_signal(signal.SIGCHLD)
        watch(supervisor, processes, signals)
    # then its signal shows the end, before the patience is over.
    assert calls == ["ended", "ended", "forget"]
    assert supervisor.in_order


def test_a_second_signal_ends_all_at_once(start: Start) -> None:
    daemon = start("deaf", "deaf").ready()
    daemon.tell(signal.SIGTERM)
    daemon.err.hear("stopping because of SIGTERM")
    daemon.tell(signal.SIGTERM)
    assert daemon.ended() == 1
    assert "stopped at once by a second signal" in "\n".join(daemon.err.said)


def test_a_request_to_one_host_stops_all(start: Start) -> None:
    daemon = start("steady", "polite")
    assert daemon.ended() == 0
    assert {"host-0 told Stop(force=True)", "host-1 told Stop(force=True)"} <= set(daemon.err.said)


def test_the_parent_is_light() -> None:
    program = "import sys; import perdure.daemon.hosts.processes; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert not {"grpc", "uvicorn", "starlette", "prometheus_client", "perdure.daemon.daemon"} & set(output.split())


def test_the_sockets_have_short_paths_wherever_temporary_files_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with private_directory(64) as directory:
        assert len(f"{directory}/63") < 100
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{directory}/63")
    assert not list(long.iterdir())
