"""A host on a database has an address by which others reach it, or an error with the reason."""

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing
from typing import Any, cast

import pytest

from perdure.actors.cluster.membership import name_of_id
from perdure.actors.cluster.protocol import WIRE_MAX, WIRE_MIN
from perdure.actors.cluster.transport.certificates import AUTHORITIES, make_secret
from perdure.actors.cluster.transport.endpoint import TcpEndpoint
from perdure.actors.errors import PeerAddressNeeded, PeerPortUnusable
from perdure.actors.on_database import DatabaseTransport, share_of, store_on, warn_of_other_wires
from perdure.actors.peer_address import PeerAddress, read_peer_address
from perdure.actors.store.cluster import Cluster, HostCard, HostRow, HostState
from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.postgres.url import addresses_of
from perdure.actors.store.sqlite.store import SqliteStore

HERE = [("127.0.0.1", 5432)]
ELSEWHERE = "another-boot:1/2/3"


class Secrets:
    """A store that has secrets, and hosts on it."""

    def __init__(self, secret: bytes | None = None, others: Sequence[HostCard] = ()) -> None:
        self._secret = secret
        self._others = others

    async def secret(self, name: str, make: Callable[[], bytes]) -> bytes:
        assert name == AUTHORITIES
        self._secret = self._secret or make()
        return self._secret

    async def hosts(self) -> Sequence[HostRow]:
        return [HostRow(number, HostState.SERVING, card) for number, card in enumerate(self._others)]


def transport(
    store: Secrets, peer: str | None = None, databases: Sequence[tuple[str, int]] = HERE
) -> DatabaseTransport:
    peer_address: PeerAddress | None = read_peer_address(peer) if peer is not None else None
    return DatabaseTransport(cast(Cluster, store), databases, peer_address)


class Quiet(asyncio.Protocol):
    """A silent end of a connection."""

    def __init__(self) -> None:
        self.made: asyncio.Future[asyncio.BaseTransport] = asyncio.get_running_loop().create_future()

    def connection_made(self, connection: asyncio.BaseTransport) -> None:
        self.made.set_result(connection)


def test_hosts_share_a_store_on_a_database_and_no_file() -> None:
    on_database = store_on("postgresql://one:5433,two/shop", patience_s=7)
    assert on_database.patience_s == 7
    assert on_database.servers == [("one", 5433), ("two", 5432)]
    share = share_of(on_database, None, stuck_after_s=1)
    assert share is not None
    shared = share(on_database, lambda to, gifts: None)
    assert (shared.book, shared.patience_s) == (on_database, 7)
    assert share_of(SqliteStore("shop.db"), None, stuck_after_s=1) is None


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 20))


def test_two_hosts_of_one_store_reach_each_other_and_know_who_it_is() -> None:
    async def story() -> None:
        store = Secrets()
        one, other = transport(store), transport(store)
        one.identify(name_of_id(1))
        answering = Quiet()
        listener, second = await one.listen(lambda: answering), await other.listen(Quiet)
        other.identify(name_of_id(2))
        assert one.address.startswith("127.0.0.1:")
        calling = Quiet()
        await other.connect(TcpEndpoint(1, one.address), calling)
        other.verify(TcpEndpoint(1, one.address), await calling.made)
        assert one.caller(await answering.made) == name_of_id(2)
        with pytest.raises(PermissionError, match=f"{name_of_id(9)} was meant"):
            other.verify(TcpEndpoint(9, one.address), await calling.made)
        for end in (calling, answering):
            cast(asyncio.Transport, await end.made).abort()
        listener.close()
        second.close()

    run(story)


@pytest.mark.parametrize(
    ("peer", "told"),
    [(None, "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("localhost", "localhost"), ("10.9.8.7", "10.9.8.7")],
)
def test_what_others_are_told_is_what_was_said_or_the_way_to_the_database(peer: str | None, told: str) -> None:
    async def story() -> None:
        host = transport(Secrets(), peer)
        listener = await host.listen(Quiet)
        name, _, port = host.address.rpartition(":")
        assert name == told
        assert int(port) > 0
        listener.close()

    run(story)


def test_a_port_that_was_said_is_the_one_that_is_taken_and_one_that_is_not_free_is_told() -> None:
    async def story() -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(PeerPortUnusable) as refused:
                await transport(Secrets(), f"127.0.0.1:{port}").listen(Quiet)
        assert f"127.0.0.1:{port}" in str(refused.value)
        host = transport(Secrets(), f"127.0.0.1:{port}")
        listener = await host.listen(Quiet)
        assert host.address == f"127.0.0.1:{port}"
        listener.close()

    run(story)


def test_hosts_on_two_machines_do_not_meet_at_a_loopback_address() -> None:
    async def story() -> None:
        elsewhere = HostCard("beta", "10.0.0.8:7070", ELSEWHERE, "1.0", 1, 1)
        with pytest.raises(PeerAddressNeeded, match=r"10\.0\.0\.8:7070"):
            await transport(Secrets(others=[elsewhere])).listen(Quiet)
        # The port is free again for the next try, with an address of the network.
        host = transport(Secrets(others=[elsewhere]), "10.9.8.7")
        (await host.listen(Quiet)).close()

    run(story)


def test_a_secret_of_another_release_is_told_as_an_error_of_the_store() -> None:
    async def story() -> None:
        with pytest.raises(StoreFailed, match="authorities"):
            await transport(Secrets(b"nonsense")).listen(Quiet)
        assert len(make_secret()) > 100

    run(story)


def test_a_package_that_is_missing_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith(("cryptography", "perdure.actors.cluster.transport"))]:
        if not name.endswith((".endpoint", ".addresses", ".transport")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)

    async def story() -> None:
        with pytest.raises(StoreFailed, match=r"pip install 'perdure\[postgres\]'"):
            await transport(Secrets(b"any")).listen(Quiet)

    run(story)


def test_a_database_whose_name_is_not_known_is_passed_over_for_the_next() -> None:
    async def story() -> None:
        host = transport(Secrets(), databases=[("no-such-name.invalid", 5432), ("127.0.0.1", 5432)])
        (await host.listen(Quiet)).close()
        assert host.address.startswith("127.0.0.1:")

    run(story)


@pytest.mark.parametrize(
    ("dsn", "environment", "found"),
    [
        ("postgresql://me@db/orders", {}, [("db", 5432)]),
        ("postgresql://me:a%40b@db:6000/orders", {}, [("db", 6000)]),
        ("postgresql://one:1,two,three:3/orders", {}, [("one", 1), ("two", 5432), ("three", 3)]),
        ("postgresql://[fd00::7]:6000,[::1]/orders", {}, [("fd00::7", 6000), ("::1", 5432)]),
        ("postgresql:///orders", {}, [("", 5432)]),
        ("postgresql:///orders", {"PGHOST": "10.0.0.1", "PGPORT": "6000"}, [("10.0.0.1", 6000)]),
        ("postgresql://%2Frun%2Fpostgresql/orders", {}, [("/run/postgresql", 5432)]),
        ("postgresql:///orders?host=%2Frun%2Fpostgresql&port=6000", {}, [("/run/postgresql", 6000)]),
    ],
)
def test_the_servers_of_an_address_are_those_that_the_drivers_know(
    dsn: str, environment: dict[str, str], found: list[tuple[str, int]]
) -> None:
    assert addresses_of(dsn, environment) == found


@pytest.mark.parametrize(
    ("wire", "warned"),
    [
        ((WIRE_MIN, WIRE_MAX), False),
        ((WIRE_MAX, WIRE_MAX + 5), False),
        ((WIRE_MAX + 1, WIRE_MAX + 2), True),
        ((0, 0), False),
    ],
)
def test_a_host_with_which_no_version_of_the_wire_is_shared_is_named(
    wire: tuple[int, int], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_other_wires([HostCard("beta", "10.0.0.8:7070", ELSEWHERE, "9.0", *wire)])
    said = [record.getMessage() for record in caplog.records]
    assert any(each.startswith("beta has release 9.0, which talks versions") for each in said) is warned
