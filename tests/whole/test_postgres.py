"""A daemon on PostgreSQL: if it is killed, or its database, nothing that was acknowledged is lost or doubled."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from ..support.doors.rpc_host import Client
from ..support.postgres import PostgresServer, installed
from ..support.processes.daemon import Daemon
from ..support.processes.ledgers import CLOSE, Clients, findings, write_app

pytestmark = pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")


class Patient(Clients):
    """Clients that count the requests that were not acknowledged."""

    def __init__(self, url: Callable[[], str]) -> None:
        super().__init__(url)
        self.refused = 0

    async def _post(self, http: httpx.AsyncClient, path: str, body: Any) -> bool:
        acknowledged = await super()._post(http, path, body)
        self.refused += not acknowledged
        return acknowledged


def daemon_on(own_server: PostgresServer, folder: Path, schema: str = "whole") -> Daemon:
    return Daemon(write_app(folder), folder / "log.db", "--data", own_server.url(schema=schema))


def test_a_daemon_that_is_killed_takes_its_store_up_again_at_once(tmp_path: Path, own_server: PostgresServer) -> None:
    async def story() -> None:
        with contextlib.ExitStack() as running:
            daemons = [running.enter_context(daemon_on(own_server, tmp_path))]
            clients, stop = Patient(lambda: daemons[-1].url), asyncio.Event()
            load = asyncio.ensure_future(clients.run(clients=8, stop=stop))
            for _ in range(3):
                await asyncio.sleep(0.3)
                daemons[-1].kill()
                daemons.append(running.enter_context(await asyncio.to_thread(daemon_on, own_server, tmp_path)))
            stop.set()
            await load
            found = findings(await clients.outputs(within_s=60))
            assert daemons[-1].stop() == 0
        assert found.entries > 50
        assert found.faults == 0, found
        # No row of a killed or stopped daemon is left.
        assert own_server.sql("SELECT count(*) FROM whole.hosts") == "0"

    asyncio.run(story())


def test_a_database_that_is_killed_costs_no_request(tmp_path: Path, own_server: PostgresServer) -> None:
    async def story() -> None:
        with daemon_on(own_server, tmp_path) as daemon:
            clients, stop = Patient(lambda: daemon.url), asyncio.Event()
            load = asyncio.ensure_future(clients.run(clients=8, stop=stop))
            for end in (own_server.crash, own_server.stop):
                await asyncio.sleep(0.3)
                await asyncio.to_thread(end)
                # Health is good while the database is away, or else a balancer would send the requests elsewhere.
                async with httpx.AsyncClient() as http:
                    assert (await http.get(f"{daemon.url}/v1.0/healthz")).status_code == 204
                await asyncio.to_thread(own_server.start)
            await asyncio.sleep(0.3)
            stop.set()
            await load
            found = findings(await clients.outputs(within_s=60))
            assert daemon.stop() == 0
        assert found.entries > 50
        assert found.faults == 0, found
        assert clients.refused == 0

    asyncio.run(story())


def test_a_second_daemon_joins_the_first_any_takes_any_request_and_no_password_is_shown(
    tmp_path: Path, own_server: PostgresServer
) -> None:
    def url(host: str) -> str:
        return own_server.url(schema="whole").replace("postgres@127.0.0.1", f"postgres:secret@{host}")

    app, ports = write_app(tmp_path), two_free_ports()
    options = [("--drain", "0", "--metrics-port", str(port)) for port in ports]
    with (
        Daemon(app, tmp_path / "log.db", "--data", url("127.0.0.1"), *options[0]) as first,
        Daemon(app, tmp_path / "second.db", "--data", url("localhost"), *options[1]) as second,
    ):
        # Each daemon lists both, with its knowledge of the other one.
        for daemon in (first, second):
            listed = httpx.get(f"{daemon.url}/api/v1/hosts").json()
            assert len(listed["items"]) == 2
            assert {host["state"] for host in listed["items"]} == {"serving"}
            assert sum(host["shards"] for host in listed["items"]) == listed["shards"] - listed["free"]
            assert all(host["address"].startswith("127.0.0.1:") for host in listed["items"])
            assert httpx.get(f"{daemon.url}/healthz/ready").status_code == 200
        # A scrape has the counts, for which the database is asked.
        for port in ports:
            told = httpx.get(f"http://127.0.0.1:{port}/metrics").text
            for line in (
                "perdure_hosts",
                "perdure_shards_owned",
                "perdure_host_serving",
                "perdure_clock_offset_seconds",
            ):
                assert f'\n{line}{{app_id="' in told, line
        # Each daemon shows the end of an instance that one has started and the other has closed.
        assert first.start("ledger", "a", {"got": [], "early": 0}).status_code == 202
        assert second.post("a", "raiseEvent/entry", 7).status_code == 202
        assert second.post("a", "raiseEvent/entry", CLOSE).status_code == 202
        for daemon in (first, second):
            state = daemon.wait_for("a", "COMPLETED")
            assert '"got":[7]' in state["properties"]["dapr.workflow.output"].replace(" ", "")
        told = httpx.get(f"{first.url}/api/v1/system").json()
        assert told["configuration"]["data"].startswith("postgresql://postgres@127.0.0.1")
        assert told["store"]["kind"] == "postgresql"
        assert "secret" not in str(told)
        assert (first.stop(), second.stop()) == (0, 0)
    for log in ("log.log", "second.log"):
        assert "secret" not in (tmp_path / log).read_text()
    assert own_server.sql("SELECT count(*) FROM whole.hosts") == "0"


def two_free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


def test_a_worker_stays_at_its_host_when_another_one_joins_which_takes_workers_too(
    tmp_path: Path, own_server: PostgresServer
) -> None:
    async def stays_at(address: str, timeout_s: float) -> bool:
        async with grpc.aio.insecure_channel(address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await Client(channel).call("GetWorkItems", timeout_s=timeout_s).read()
        return ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    async def story() -> None:
        with daemon_on(own_server, tmp_path) as first:
            worker = asyncio.ensure_future(stays_at(first.grpc, 8))
            other = await asyncio.to_thread(
                Daemon, tmp_path / "ledgers_app.py", tmp_path / "two.db", "--data", own_server.url(schema="whole")
            )
            with other as second:
                assert await stays_at(second.grpc, 1)
                assert await worker

    asyncio.run(story())


async def become_ready(daemon: Daemon, *, hosts: int) -> bool:
    """Whether this number of hosts becomes ready; on a busy machine each may beat late."""
    async with httpx.AsyncClient() as http:
        for _ in range(200):
            listed = (await http.get(f"{daemon.url}/api/v1/hosts")).json()["items"]
            if [host["ready"] for host in listed] == [True] * hosts:
                return True
            await asyncio.sleep(0.05)
    return False


def test_several_processes_on_one_database_are_hosts_behind_one_port(
    tmp_path: Path, own_server: PostgresServer
) -> None:
    async def story() -> None:
        options = ("--data", own_server.url(schema="whole"), "--processes", "2")
        with Daemon(write_app(tmp_path), tmp_path / "log.db", *options) as daemon:
            assert await become_ready(daemon, hosts=2)
            clients, stop = Patient(lambda: daemon.url), asyncio.Event()
            load = asyncio.ensure_future(clients.run(clients=8, stop=stop))
            await asyncio.sleep(0.3)
            stop.set()
            await load
            assert findings(await clients.outputs(within_s=60)).faults == 0
            assert clients.refused == 0
            assert daemon.stop() == 0
        assert own_server.sql("SELECT count(*) FROM whole.hosts") == "0"

    asyncio.run(story())


def test_a_daemon_without_an_app_starts_what_workers_will_run_and_refuses_names_with_a_nul(
    tmp_path: Path, own_server: PostgresServer
) -> None:
    with Daemon(None, tmp_path / "log.db", "--data", own_server.url(schema="whole")) as daemon:
        started = httpx.post(f"{daemon.url}/v1.0/workflows/dapr/w%00/start?instanceID=b")
        assert started.status_code == 400
        assert "NUL" in started.text
        assert httpx.post(f"{daemon.url}/v1.0/workflows/dapr/w/start?instanceID=a").status_code == 202
        assert daemon.stop() == 0
