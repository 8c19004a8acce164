"""A client outlives the daemon: each call completes, or raises an error that says whether it may have taken effect."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import psutil
import pytest

import perdure
from perdure.client.errors import ServerUnreachable
from perdure.client.remote_client import RemoteClient

from ..support.processes.daemon import Daemon
from ..support.processes.shop import APP

pytestmark = pytest.mark.anyio
Call = Callable[[RemoteClient], Awaitable[object]]

# The calls of a client, by name. Each is made while the daemon is gone, and again to the one that takes its place.
CALLS: dict[str, Call] = {
    "start": lambda client: client.start("waits", instance_id="new", if_exists="return"),
    "start with a key": lambda client: client.start("waits", idempotency_key="k"),
    "event": lambda client: client.raise_event("open", "approval", 1, idempotency_key="e"),
    "suspend": lambda client: client.suspend("open"),
    "describe": lambda client: client.describe("open"),
    "history": lambda client: client.history("open"),
    "list": lambda client: client.list(),
    "count": lambda client: client.count(),
    "purge": lambda client: client.purge("ended"),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    started: list[Daemon] = []

    def start(*options: str) -> Daemon:
        started.append(Daemon(APP, tmp_path / "perdure.db", *options))
        return started[-1]

    yield start
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.kill()


async def under_way(client: RemoteClient, failures: dict[str, ServerUnreachable]) -> None:
    """Wait for an end and for events until the daemon is gone."""

    async def fails(name: str, call: Call) -> None:
        with pytest.raises(ServerUnreachable) as failure:
            await call(client)
        failures[name] = failure.value

    async def reads(_: RemoteClient) -> None:
        async with client.events() as events:
            async for _event in events:
                pass

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fails, "wait", lambda _: client.wait("open"))
        tasks.start_soon(fails, "result", lambda _: client.handle("open").result())
        tasks.start_soon(fails, "events", reads)


def connected(daemon: Daemon) -> list[object]:
    """The connections that clients have to a daemon."""
    there = psutil.Process(daemon.process.pid).net_connections("tcp")
    return [one for one in there if one.status == psutil.CONN_ESTABLISHED]


async def test_a_client_goes_on_where_a_daemon_was_killed_and_started_again(
    start_daemon: Callable[..., Daemon],
) -> None:
    # Given a daemon, and a client with calls under way,
    daemon = start_daemon()
    port = str(urlsplit(daemon.url).port)
    failures: dict[str, ServerUnreachable] = {}
    async with perdure.connect(daemon.url) as client:
        keyed = await client.start("waits", idempotency_key="k")
        await client.start("waits", instance_id="open")
        await (await client.start("order", instance_id="ended", input=1)).result()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(under_way, client, failures)
            while len(connected(daemon)) < 3:
                await anyio.sleep(0.02)
            # when the daemon is killed, then each call raises an error which says that the request had arrived.
            await anyio.to_thread.run_sync(daemon.kill)
        assert {name: failure.sent for name, failure in failures.items()} == {
            "wait": True,
            "result": True,
            "events": True,
        }
        assert all("it may have happened" in str(failure) for failure in failures.values())
        # As long as the daemon is away, the error of each call says that nothing was done.
        for call in CALLS.values():
            with pytest.raises(ServerUnreachable, match="nothing of this request was done"):
                await call(client)
        # When a daemon is there again, at the same address, the same client works as before:
        await anyio.to_thread.run_sync(start_daemon, "--http-port", port)
        for call in CALLS.values():
            await call(client)
        # a start with the same key gives the same instance, and an event with the same key is delivered once.
        assert (await client.start("waits", idempotency_key="k")).id == keyed.id
        await client.raise_event("open", "approval", 2, idempotency_key="e")
        await client.resume("open")
        assert await client.handle("open").result() == 1
        assert await client.describe("ended") is None
