"""A daemon on PostgreSQL: if it is killed, or its database, nothing that was acknowledged is lost or doubled."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..support.postgres import PostgresServer, installed
from ..support.processes.daemon import Daemon
from ..support.processes.ledgers import Clients, findings, write_app

pytestmark = pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    server = PostgresServer(installed()[max(installed())])
    server.start()
    yield server
    server.close()


class Patient(Clients):
    """Clients that count what was not acknowledged."""

    def __init__(self, url: Callable[[], str]) -> None:
        super().__init__(url)
        self.refused = 0

    async def _post(self, http: httpx.AsyncClient, path: str, body: Any) -> bool:
        acknowledged = await super()._post(http, path, body)
        self.refused += not acknowledged
        return acknowledged


def daemon_on(server: PostgresServer, folder: Path, schema: str = "whole") -> Daemon:
    return Daemon(write_app(folder), folder / "log.db", "--data", server.url(schema=schema))


def test_a_daemon_that_is_killed_takes_its_store_up_again_at_once(tmp_path: Path, server: PostgresServer) -> None:
    async def story() -> None:
        with contextlib.ExitStack() as running:
            daemons = [running.enter_context(daemon_on(server, tmp_path))]
            clients, stop = Patient(lambda: daemons[-1].url), asyncio.Event()
            load = asyncio.ensure_future(clients.run(clients=8, stop=stop))
            for _ in range(3):
                await asyncio.sleep(0.3)
                daemons[-1].kill()
                daemons.append(running.enter_context(await asyncio.to_thread(daemon_on, server, tmp_path)))
            stop.set()
            await load
            found = findings(await clients.outputs(within_s=60))
            assert daemons[-1].stop() == 0
        assert found.entries > 50
        assert found.faults == 0, found
        # Each of them has left nothing but its work.
        assert server.sql("SELECT count(*) FROM whole.hosts") == "0"

    asyncio.run(story())


def test_a_database_that_is_killed_costs_no_request(tmp_path: Path, server: PostgresServer) -> None:
    async def story() -> None:
        with daemon_on(server, tmp_path) as daemon:
            clients, stop = Patient(lambda: daemon.url), asyncio.Event()
            load = asyncio.ensure_future(clients.run(clients=8, stop=stop))
            for end in (server.crash, server.stop):
                await asyncio.sleep(0.3)
                await asyncio.to_thread(end)
                # Away, and not unhealthy: a balancer would send its requests elsewhere.
                async with httpx.AsyncClient() as http:
                    assert (await http.get(f"{daemon.url}/v1.0/healthz")).status_code == 204
                await asyncio.to_thread(server.start)
            await asyncio.sleep(0.3)
            stop.set()
            await load
            found = findings(await clients.outputs(within_s=60))
            assert daemon.stop() == 0
        assert found.entries > 50
        assert found.faults == 0, found
        assert clients.refused == 0

    asyncio.run(story())


def test_a_second_daemon_is_refused_and_no_password_is_shown(tmp_path: Path, server: PostgresServer) -> None:
    def url(host: str) -> str:
        return server.url(schema="whole").replace("postgres@127.0.0.1", f"postgres:secret@{host}")

    with Daemon(None, tmp_path / "log.db", "--data", url("127.0.0.1")) as daemon:
        with pytest.raises(AssertionError, match="needs the store for itself") as refused:
            Daemon(None, tmp_path / "second.db", "--data", url("localhost"))
        assert "secret" not in str(refused.value)
        told = httpx.get(f"{daemon.url}/api/v1/system").json()
        assert told["configuration"]["data"].startswith("postgresql://postgres@127.0.0.1")
        assert "secret" not in str(told)
        assert daemon.stop() == 0
    assert "secret" not in (tmp_path / "log.log").read_text()


def test_a_daemon_without_an_app_starts_what_workers_will_run_and_refuses_names_with_a_nul(
    tmp_path: Path, server: PostgresServer
) -> None:
    with Daemon(None, tmp_path / "log.db", "--data", server.url(schema="whole")) as daemon:
        started = httpx.post(f"{daemon.url}/v1.0/workflows/dapr/w%00/start?instanceID=b")
        assert started.status_code == 400
        assert "NUL" in started.text
        assert httpx.post(f"{daemon.url}/v1.0/workflows/dapr/w/start?instanceID=a").status_code == 202
        assert daemon.stop() == 0
