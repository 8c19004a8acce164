"""A daemon to be measured: it starts, stops in order, can be killed, and says when it cannot start."""

import json
import os
import select
import sys
from pathlib import Path

import pytest

from perdure.benchmarks.drivers.daemon import Daemon, DaemonFailed
from perdure.benchmarks.drivers.http_client import HttpClient
from perdure.benchmarks.drivers.in_process import EngineSetup
from perdure.benchmarks.drivers.measure import usage_of

pytestmark = pytest.mark.anyio


async def test_it_serves_is_killed_and_serves_again(tmp_path: Path) -> None:
    daemon = Daemon(EngineSetup(folder=tmp_path), {})
    try:
        await daemon.start()
        assert daemon.usage().rss_bytes > 2**20
        daemon.crash()
        await daemon.kill()
        await daemon.start()
        async with HttpClient(daemon.host, daemon.port) as client:
            assert (await client.get("/v1.0/healthz")).status == 204
        await daemon.stop()
    finally:
        await daemon.kill()


async def test_one_that_cannot_start_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    daemon = Daemon(EngineSetup(folder=tmp_path, durability="wishful"), {})
    with pytest.raises(DaemonFailed):
        await daemon.start()
    await daemon.kill()
    assert "wishful" in capfd.readouterr().err


async def test_it_takes_options_and_has_a_process_id(tmp_path: Path) -> None:
    daemon = Daemon(EngineSetup(folder=tmp_path), {}, ("--app-id", "renamed"))
    try:
        await daemon.start()
        assert daemon.pid > 0
        async with HttpClient(daemon.host, daemon.port) as client:
            assert b'"renamed"' in (await client.get("/v1.0/metadata")).body
        await daemon.stop()
    finally:
        await daemon.kill()


# Stands in for `perdure run`: writes down how it was called, and has a child that keeps a pipe open for ever.
FAKE = """#!{python}
import json, pathlib, subprocess, sys
pathlib.Path("called.json").write_text(json.dumps(sys.argv[1:]))
burn = "import time\\nwhile time.process_time() < 0.1: pass"
stay = "import signal\\nalive = open('alive', 'w')\\nprint(flush=True)\\nsignal.pause()"
child = subprocess.Popen([sys.executable, "-c", burn + "\\n" + stay], stdout=subprocess.PIPE)
child.stdout.readline()
print("Perdure ready: http=http://127.0.0.1:1 grpc=127.0.0.1:2", flush=True)
child.wait()
"""


async def test_of_several_processes_all_are_asked_for_measured_and_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "fake"
    fake.write_text(FAKE.format(python=sys.executable))
    fake.chmod(0o700)
    monkeypatch.setattr("perdure.benchmarks.drivers.daemon.sys.executable", str(fake))
    os.mkfifo(tmp_path / "alive")
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    # Given a daemon of three processes,
    daemon = Daemon(EngineSetup(folder=tmp_path, processes=3), {})
    try:
        await daemon.start()
        assert json.loads((tmp_path / "called.json").read_text())[-2:] == ["--processes", "3"]
        # then what another than the first has used is counted,
        assert daemon.usage().cpu_s - usage_of(daemon.pid).cpu_s >= 0.09  # ticks of 10 ms
        # and when the first is killed, so is that one.
        await daemon.kill()
        readable, _, _ = select.select([alive], [], [], 20)
        assert readable
        assert os.read(alive, 1) == b""
    finally:
        await daemon.kill()
        os.close(alive)
