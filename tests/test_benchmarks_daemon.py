"""A daemon to be measured: it starts, stops in order, can be killed, and says when it cannot start."""

from pathlib import Path

import pytest

from perdure.benchmarks.daemon import Daemon, DaemonFailed
from perdure.benchmarks.http_client import HttpClient
from perdure.benchmarks.process_driver import Setup

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_it_serves_is_killed_and_serves_again(tmp_path: Path) -> None:
    daemon = Daemon(Setup(folder=tmp_path), {})
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
    daemon = Daemon(Setup(folder=tmp_path, durability="wishful"), {})
    with pytest.raises(DaemonFailed):
        await daemon.start()
    await daemon.kill()
    assert "wishful" in capfd.readouterr().err


async def test_it_takes_options_and_has_a_process_id(tmp_path: Path) -> None:
    daemon = Daemon(Setup(folder=tmp_path), {}, ("--app-id", "renamed"))
    try:
        await daemon.start()
        assert daemon.pid > 0
        async with HttpClient(daemon.host, daemon.port) as client:
            assert b'"renamed"' in (await client.get("/v1.0/metadata")).body
        await daemon.stop()
    finally:
        await daemon.kill()
