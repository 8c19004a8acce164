"""The client of a daemon over HTTP: its connections, and values that no request can hold."""

import anyio
import pytest

from perdure import connect
from perdure.client.remote_client import RemoteClient
from perdure.client.server import Server
from perdure.runtime.errors import InvalidRequest

from ..support.processes.daemon import Daemon
from ..support.processes.shop import TOKEN

pytestmark = pytest.mark.anyio


async def test_more_wait_at_once_than_there_are_connections(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.client.server.CONNECTIONS_MAX", 5)
    results: list[float] = []
    async with RemoteClient(Server(daemon.url, TOKEN)) as few, anyio.create_task_group() as tasks:

        async def one(n: int) -> None:
            results.append((await few.run("order", input=n))["total"])

        for n in range(20):
            tasks.start_soon(one, n)
    assert sorted(results) == [float(n) for n in range(20)]


async def test_text_that_no_url_can_hold_is_refused(daemon: Daemon) -> None:
    async with connect(daemon.url, token=TOKEN) as client:
        with pytest.raises(InvalidRequest, match="lone surrogate"):
            await client.get("\ud800")
        with pytest.raises(InvalidRequest, match="lone surrogate"):
            await client.list(id_prefix="\ud800")
