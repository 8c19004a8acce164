"""Processes beside the engine are read a line at a time and end with their context; a daemon stops in order."""

import json
import os
import select
import sys
from pathlib import Path

import pytest

from perdure.benchmarks.drivers.http_client import HttpClient
from perdure.benchmarks.drivers.in_process import EngineSetup
from perdure.benchmarks.drivers.processes import ProcessEnded, ready_line, serving, started

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("program", "why"), [("", "no ready line"), ("print('Stub is ready')", "not that it is ready")]
)
def test_a_process_that_does_not_get_ready_is_an_error(tmp_path: Path, program: str, why: str) -> None:
    with started([sys.executable, "-S", "-c", program], tmp_path) as process, pytest.raises(ProcessEnded, match=why):
        ready_line(process)


async def test_a_daemon_serves_takes_options_and_can_be_killed(tmp_path: Path) -> None:
    async with serving(EngineSetup(folder=tmp_path), options=("--app-id", "renamed")) as daemon:
        assert daemon.usage().rss_bytes > 2**20
        async with HttpClient(daemon.host, daemon.port) as client:
            assert b'"renamed"' in (await client.get("/v1.0/metadata")).body
        daemon.crash()
    # A killed process is not stopped.
    assert daemon.process.returncode == -9


async def test_a_daemon_that_cannot_start_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ProcessEnded):
        async with serving(EngineSetup(folder=tmp_path, durability="wishful")):
            pass
    assert "wishful" in capfd.readouterr().err


# Replaces `perdure run`: writes down its arguments, has a child that keeps a pipe open for ever, and does not stop in
# order.
FAKE = """#!{python} -S
import json, pathlib, subprocess, sys
pathlib.Path("called.json").write_text(json.dumps(sys.argv[1:]))
stay = "import signal\\nalive = open('alive', 'w')\\nprint(flush=True)\\nsignal.pause()"
child = subprocess.Popen([sys.executable, "-S", "-c", stay], stdout=subprocess.PIPE)
child.stdout.readline()
print("Perdure ready: http=http://127.0.0.1:1 grpc=127.0.0.1:2", flush=True)
child.wait()
"""


@pytest.mark.parametrize("error", [RuntimeError, None])
async def test_of_several_processes_nothing_is_left_and_a_stop_out_of_order_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception] | None
) -> None:
    fake = tmp_path / "fake"
    fake.write_text(FAKE.format(python=sys.executable))
    fake.chmod(0o700)
    monkeypatch.setattr("perdure.benchmarks.drivers.processes.sys.executable", str(fake))
    os.mkfifo(tmp_path / "alive")
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    try:
        # Given a daemon of several processes, and a block that ends in order or with an error,
        with pytest.raises(error or ProcessEnded):
            async with serving(EngineSetup(folder=tmp_path, processes=3)):
                assert json.loads((tmp_path / "called.json").read_text())[-2:] == ["--processes", "3"]
                if error is not None:
                    raise error
        # then the daemon is gone, with all processes that it started.
        assert select.select([alive], [], [], 20)[0]
        assert os.read(alive, 1) == b""
    finally:
        os.close(alive)
