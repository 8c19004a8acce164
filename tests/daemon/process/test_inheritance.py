"""A process that an app forks keeps no port, connection, file of the store or signal handler of the daemon."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perdure.daemon.process.hangup import HangupHandler
from perdure.daemon.process.inheritance import Inheritance

from ...support.processes.lines import PATIENCE_S, Lines, ended

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads the files of other processes")

# An activity that forks as `multiprocessing` does on Linux, and leaves the child behind.
FORKS = """
import os, time
from pathlib import Path
import perdure

app = perdure.App("forks")

def fork() -> int:
    child = os.fork()
    if not child:
        Path("child").write_text(str(os.getpid()))
        time.sleep(60)
        os._exit(0)
    return child

@app.activity
async def in_the_loop(ctx) -> int:
    return fork()

@app.activity
def in_a_thread(ctx) -> int:
    return fork()

@app.workflow
async def forking(ctx, name):
    return await ctx.call_activity(name)
"""


def start(folder: Path, *flags: str) -> tuple[subprocess.Popen[str], Lines, Lines]:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "perdure", "run", "forks.py", *flags],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    return process, Lines(process.stdout), Lines(process.stderr)


def files_of(pid: int) -> set[str]:
    return {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()}


@pytest.mark.parametrize("activity", ["in_the_loop", "in_a_thread"])
def test_a_forked_child_holds_nothing_of_the_daemon(tmp_path: Path, activity: str) -> None:
    (tmp_path / "forks.py").write_text(FORKS)
    process, out, err = start(tmp_path, "--http-port", "0", "--grpc-port", "0")
    child = 0
    connections: list[socket.socket] = []
    try:
        match = re.search(r"http=http://127.0.0.1:(\d+) grpc=127.0.0.1:(\d+)", out.hear("Perdure ready", err))
        assert match is not None
        ports = [int(match[1]), int(match[2])]
        # Given a connection to each port, and a child that was forked beside them,
        connections += [socket.create_connection(("127.0.0.1", port)) for port in ports]
        client = http.client.HTTPConnection("127.0.0.1", ports[0], timeout=PATIENCE_S)
        client.request("POST", "/v1.0/workflows/dapr/forking/start?instanceID=a", f'"{activity}"')
        assert client.getresponse().status == 202
        client.close()
        deadline_s = time.monotonic() + PATIENCE_S
        while not (text := (tmp_path / "child").read_text() if (tmp_path / "child").exists() else ""):
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        child = int(text)
        # then the child has none of the daemon's sockets, and no file of the store,
        theirs, ours = files_of(child), files_of(process.pid)
        assert not [each for each in theirs if "perdure.db" in each]
        inodes = {inode_of(port) for port in ports}
        assert inodes <= ours
        assert not inodes & theirs
        # a signal to the child ends only the child,
        os.kill(child, signal.SIGTERM)
        time.sleep(0.2)
        assert process.poll() is None
        # and the daemon stops as without a child.
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
        for connection in connections:
            connection.settimeout(PATIENCE_S)
            while connection.recv(1000):
                pass
    finally:
        for connection in connections:
            connection.close()
        process.kill()
        if child:
            os.kill(child, signal.SIGKILL)
        ended(process, out, err)


def inode_of(port: int) -> str:
    """The socket that listens on a port, as links to it name it."""
    # gRPC's library listens on addresses of IPv6.
    lines = [line for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    for line in lines:
        fields = line.split()
        if int(fields[1].partition(":")[2], 16) == port and fields[3] == "0A":
            return f"socket:[{fields[9]}]"
    raise AssertionError(port)


def test_only_what_is_the_daemons_is_closed(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as ours,
        socket.create_server(("127.0.0.1", 0)) as another,
        (tmp_path / "p.db").open("w") as store,
        (tmp_path / "p.db-wal").open("w") as journal,
        (tmp_path / "other.db").open("w") as file,
        socket.create_connection(ours.getsockname()) as client,
    ):
        accepted, _ = ours.accept()
        inheritance = Inheritance([ours.getsockname()[1]], str(tmp_path / "p.db"))
        found = [inheritance.is_ours(each.fileno()) for each in (ours, accepted, store, journal, another, file, client)]
        accepted.close()
        reader, writer = os.pipe()
        found += [inheritance.is_ours(reader), inheritance.is_ours(10**6)]
        os.close(reader)
        os.close(writer)
    assert found == [True] * 4 + [False] * 5


def test_after_its_end_a_child_keeps_what_it_has(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        with Inheritance([ours.getsockname()[1]], str(tmp_path / "p.db")) as inheritance:
            pass
        inheritance.renounce()
        assert ours.getsockname()


def test_a_hangup_of_a_child_is_no_hangup_of_the_daemon(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, HangupHandler())
    try:
        with Inheritance([], str(tmp_path / "p.db")):
            if not (child := os.fork()):
                os._exit(0 if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL else 1)
            assert os.waitpid(child, 0) == (child, 0)
        assert isinstance(signal.getsignal(signal.SIGHUP), HangupHandler)
    finally:
        signal.signal(signal.SIGHUP, before)
