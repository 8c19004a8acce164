"""A daemon to be measured: it starts, stops in order, can be killed, and says when it cannot start."""

import json
import os
import select
import sys
from pathlib import Path

import pytest

from perdure.benchmarks.drivers.daemon import serving
from perdure.benchmarks.drivers.http_client import HttpClient
from perdure.benchmarks.drivers.in_process import EngineSetup
from perdure.benchmarks.drivers.measure import usage_of
from perdure.benchmarks.drivers.processes import ProcessEnded

pytestmark = pytest.mark.anyio


async def test_it_serves_takes_options_and_can_be_killed(tmp_path: Path) -> None:
    async with serving(EngineSetup(folder=tmp_path), options=("--app-id", "renamed")) as daemon:
        assert daemon.usage().rss_bytes > 2**20
        async with HttpClient(daemon.host, daemon.port) as client:
            assert b'"renamed"' in (await client.get("/v1.0/metadata")).body
        daemon.crash()
    # One that was killed is not stopped.
    assert daemon.process.returncode == -9


async def test_one_that_cannot_start_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ProcessEnded):
        async with serving(EngineSetup(folder=tmp_path, durability="wishful")):
            pass
    assert "wishful" in capfd.readouterr().err


# Stands in for `perdure run`: writes down how it was called, has a child that keeps a pipe open for ever, and does not
# stop in order.
FAKE = """#!{python} -S
import json, pathlib, subprocess, sys
pathlib.Path("called.json").write_text(json.dumps(sys.argv[1:]))
burn = "import time\\nwhile time.process_time() < 0.1: pass"
stay = "import signal\\nalive = open('alive', 'w')\\nprint(flush=True)\\nsignal.pause()"
child = subprocess.Popen([sys.executable, "-S", "-c", burn + "\\n" + stay], stdout=subprocess.PIPE)
child.stdout.readline()
print("Perdure ready: http=http://127.0.0.1:1 grpc=127.0.0.1:2", flush=True)
child.wait()
"""


@pytest.mark.parametrize("crashes", [True, False])
async def test_of_several_processes_all_are_asked_for_measured_and_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crashes: bool
) -> None:
    fake = tmp_path / "fake"
    fake.write_text(FAKE.format(python=sys.executable))
    fake.chmod(0o700)
    monkeypatch.setattr("perdure.benchmarks.drivers.processes.sys.executable", str(fake))
    os.mkfifo(tmp_path / "alive")
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    try:
        # Given a daemon of three processes,
        with pytest.raises(RuntimeError if crashes else ProcessEnded):
            async with serving(EngineSetup(folder=tmp_path, processes=3)) as daemon:
                assert json.loads((tmp_path / "called.json").read_text())[-2:] == ["--processes", "3"]
                # then what another than the first has used is counted,
                assert daemon.usage().cpu_s - usage_of(daemon.pid).cpu_s >= 0.09  # ticks of 10 ms
                if crashes:
                    raise RuntimeError
        # and when a block ends out of order, or the first does not stop in order, nothing of it is left.
        if crashes:
            assert select.select([alive], [], [], 20)[0]
            assert os.read(alive, 1) == b""
    finally:
        os.close(alive)
