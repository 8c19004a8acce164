"""A disk that hangs, under a real daemon: its flushes do not return, or the writes of its log do not."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from ..support.processes.daemon import Daemon
from ..support.processes.io_shim import Shim, can_be_built

pytestmark = pytest.mark.skipif(not can_be_built(), reason="there is no C compiler, or no Linux")

APP = """
import logging, perdure
app = perdure.App("disk")

@app.activity
async def add(ctx, n):
    logging.getLogger("add").warning("adding to %d", n)
    return n + 1

@app.workflow
async def work(ctx, n):
    for _ in range(3):
        n = await ctx.call_activity(add, input=n)
    return n
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


def health(daemon: Daemon) -> int:
    return httpx.get(f"{daemon.url}/v1.0/healthz", timeout=5).status_code


def until_health_is(daemon: Daemon, status: int, *, within_s: float) -> None:
    deadline_s = time.monotonic() + within_s
    while (found := health(daemon)) != status:
        assert time.monotonic() < deadline_s, found
        time.sleep(0.05)


@pytest.mark.parametrize("end", ["comes back", pytest.param("killed", marks=pytest.mark.slow)])
def test_nothing_is_acknowledged_while_a_flush_hangs_and_callers_are_told(app: Path, tmp_path: Path, end: str) -> None:
    folder = tmp_path / "shimmed-store"
    folder.mkdir()
    shim = Shim(tmp_path, "shimmed-store/p.db")
    data = folder / "p.db"
    with Daemon(app, data, "--commit-max", "0.5", env=shim.hanging("sync")) as daemon, ThreadPoolExecutor() as pool:
        assert daemon.start("work", "before", 1).status_code == 202
        daemon.wait_for("before", "COMPLETED")
        # When the disk hangs,
        shim.hang()
        during = pool.submit(
            httpx.post, f"{daemon.url}/v1.0/workflows/dapr/work/start?instanceID=during", content="5", timeout=60
        )
        # then health reports it, new work is refused, and instances can be read;
        until_health_is(daemon, 500, within_s=10)
        refused = daemon.start("work", "refused", 1)
        assert (refused.status_code, refused.json()["errorCode"]) == (503, "ERR_STORE_FAILED")
        assert daemon.get("before")["runtimeStatus"] == "COMPLETED"
        # and the request whose commit is under way is not answered.
        assert not during.done()
        if end == "killed":
            daemon.kill()
            with pytest.raises(httpx.HTTPError):
                during.result(10)
        else:
            shim.go_on()
            # When the disk works again, the request is answered, and all instances go on.
            assert during.result(10).status_code == 202
            assert json.loads(daemon.wait_for("during", "COMPLETED")["properties"]["dapr.workflow.output"]) == 8
            until_health_is(daemon, 204, within_s=10)
            assert daemon.get("refused").get("runtimeStatus") is None
            assert daemon.stop() == 0
    shim.go_on()
    with Daemon(app, data) as daemon:
        assert daemon.get("before")["runtimeStatus"] == "COMPLETED"
        assert daemon.get("refused").get("runtimeStatus") is None
        assert daemon.start("work", "after", 1).status_code == 202
        daemon.wait_for("after", "COMPLETED")
        assert daemon.stop() == 0


def test_a_log_on_a_disk_that_hangs_holds_up_nothing(app: Path, tmp_path: Path) -> None:
    shim = Shim(tmp_path, "hanging-log")
    log = tmp_path / "hanging-log"
    with log.open("ab") as stderr:
        daemon = Daemon(app, tmp_path / "p.db", env=shim.hanging("write"), stderr=stderr.fileno())
    with daemon:
        shim.hang()
        for number in range(20):
            assert daemon.start("work", f"w{number}", number).status_code == 202
        for number in range(20):
            daemon.wait_for(f"w{number}", "COMPLETED", within_s=10)
        assert health(daemon) == 204
        assert "adding to" not in log.read_text()
        shim.go_on()
        deadline_s = time.monotonic() + 10
        while log.read_text().count("adding to") < 60:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        # A disk that hangs does not hold up the stop either.
        shim.hang()
        assert daemon.start("work", "last", 1).status_code == 202
        daemon.wait_for("last", "COMPLETED")
        assert daemon.stop() == 0
    shim.go_on()
