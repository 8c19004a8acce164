"""Over TCP only hosts of the same store, each under its own name, reach a host, and no connection blocks it."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from perdure.actors.cluster.inbound import Inbound
from perdure.actors.cluster.membership import name_of_id
from perdure.actors.cluster.method import HostMethod
from perdure.actors.cluster.peers import Peers
from perdure.actors.cluster.transport import tls
from perdure.actors.cluster.transport.certificates import (
    Authority,
    Identity,
    authorities_in,
    make_secret,
    sign,
    with_new_authority,
)
from perdure.actors.cluster.transport.endpoint import TcpEndpoint, split_address
from perdure.actors.cluster.transport.tls import TlsTransport
from perdure.actors.errors import HostLost, HostUnreachable
from perdure.actors.waiting.watch import Watches

from ....support.actors.counter_actor import counter_vocabulary
from ....support.actors.memory_wire import HandMembership, Notebook
from ..test_moving_hosts import Side

pytestmark = pytest.mark.anyio

SECRET = make_secret()
[AUTHORITY] = authorities_in(SECRET)

ID_A, ID_B, ID_C, ID_Z, ID_B2 = 1, 2, 3, 4, -5
HOST_A, HOST_B, HOST_C, HOST_Z, HOST_B2 = map(name_of_id, (ID_A, ID_B, ID_C, ID_Z, ID_B2))


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


class Store:
    """The secret of a store."""

    def __init__(self, secret: bytes = SECRET) -> None:
        self.secret = secret
        self.reads = 0

    async def read(self) -> bytes:
        self.reads += 1
        return self.secret


class Guarded(Notebook):
    """A wire that checks the connected host, as `Wire` does with `made`."""

    def __init__(self, look: Callable[[asyncio.BaseTransport], object]) -> None:
        super().__init__()
        self.look = look
        self.refused: str | None = None
        self.found: object = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connection = transport  # type: ignore[assignment]
        try:
            self.found = self.look(transport)
        except PermissionError as error:
            self.refused = str(error)
            self.close()


class Host:
    """A transport that listens."""

    def __init__(self, host_id: int, store: Store) -> None:
        self.id = host_id
        self.transport = TlsTransport(store.read, bind="127.0.0.1")
        self.answered: list[Guarded] = []
        self.address = ""

    async def start(self) -> None:
        self.address = await self.transport.open()
        self.transport.identify(name_of_id(self.id))
        self.listener = await self.transport.listen(self._answer)

    @property
    def endpoint(self) -> TcpEndpoint:
        return TcpEndpoint(self.id, self.address)

    async def call(self, endpoint: TcpEndpoint) -> Guarded:
        wire = Guarded(lambda connection: self.transport.verify(endpoint, connection))
        await self.transport.connect(endpoint, wire)
        return wire

    def _answer(self) -> Guarded:
        self.answered.append(Guarded(self.transport.caller))
        return self.answered[-1]


@asynccontextmanager
async def hosts(*ids: int, store: Store | None = None) -> AsyncIterator[list[Host]]:
    shared = store or Store()
    found = [Host(each, shared) for each in ids]
    with anyio.fail_after(20):
        for host in found:
            await host.start()
        try:
            yield found
        finally:
            for host in found:
                host.listener.close()
                for wire in host.answered:
                    if wire.connection is not None:
                        wire.close()
            await anyio.sleep(0.01)


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await anyio.sleep(0.002)


async def test_two_hosts_of_a_store_talk_and_know_who_they_are() -> None:
    async with hosts(ID_A, ID_B) as (a, b):
        wire = await a.call(b.endpoint)
        assert wire.refused is None
        wire.write(b"hello")
        await until(lambda: b.answered and b.answered[0].got == b"hello")
        assert b.answered[0].found == HOST_A
        b.answered[0].write(b"and back")
        await until(lambda: wire.got == b"and back")
        tunnel = wire.connection.get_extra_info("ssl_object") if wire.connection is not None else None
        assert tunnel is not None
        assert tunnel.version() in ("TLSv1.2", "TLSv1.3")
        wire.close()


async def test_a_host_at_the_address_of_another_is_not_talked_to() -> None:
    async with hosts(ID_A, ID_B) as (a, b):
        wire = await a.call(TcpEndpoint(ID_C, b.address))
        assert wire.refused == f"{b.address} is {HOST_B}, and {HOST_C} was meant"
        await until(lambda: wire.lost)
        assert wire.got == b""


# Callers that a host does not let in: the ways in which they call.

OTHER_STORE = make_secret()


def showing(identity: Identity | None, trusted: Authority = AUTHORITY) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=trusted.certificate.decode())
    if identity is not None:
        tls._show(context, identity)
    return context


def since(year: int, until: int) -> Identity:
    return sign(AUTHORITY, HOST_A, since=datetime(year, 1, 1, tzinfo=UTC), until=datetime(until, 1, 1, tzinfo=UTC))


def signed_by_a_host() -> Identity:
    host = sign(AUTHORITY, HOST_A)
    return sign(Authority(host.key, host.certificate), HOST_Z)


def old_tls() -> ssl.SSLContext:
    context = showing(sign(AUTHORITY, HOST_A))
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


STRANGERS: dict[str, Callable[[], ssl.SSLContext]] = {
    "of another store": lambda: showing(sign(authorities_in(OTHER_STORE)[0], HOST_A)),
    "without a certificate": lambda: showing(None),
    "whose certificate has ended": lambda: showing(since(2001, 2002)),
    "whose certificate is for later": lambda: showing(since(9000, 9001)),
    "signed by a host": lambda: showing(signed_by_a_host()),
    "with an old TLS": old_tls,
}


@pytest.mark.parametrize("who", STRANGERS)
async def test_a_stranger_is_sent_away_unread_and_hosts_are_let_in(who: str) -> None:
    async with hosts(ID_A, ID_B) as (a, b):
        stranger = Notebook()
        address, port = split_address(b.address)
        # In TLS 1.3 a caller learns only later that it is not let in.
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: stranger, address, port, ssl=STRANGERS[who](), server_hostname="x"
            )
            stranger.write(b"let me in")
            await until(lambda: stranger.lost)
        except OSError:
            pass
        assert stranger.got == b""
        assert all(wire.connection is None and wire.got == b"" for wire in b.answered)
        wire = await a.call(b.endpoint)
        await until(lambda: b.answered[-1].found == HOST_A)
        wire.close()


async def test_a_host_of_another_store_is_not_called() -> None:
    async with hosts(ID_A) as [a], hosts(ID_B, store=Store(OTHER_STORE)) as [b]:
        with pytest.raises(ssl.SSLError, match="certificate verify failed"):
            await a.call(b.endpoint)


async def test_plain_text_gets_no_answer() -> None:
    async with hosts(ID_A, ID_B) as (a, b):
        address, port = split_address(b.address)
        plain = Notebook()
        await asyncio.get_running_loop().create_connection(lambda: plain, address, port)
        plain.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
        await until(lambda: plain.lost)
        assert b"HTTP" not in plain.got
        wire = await a.call(b.endpoint)
        wire.close()


async def test_callers_that_send_nothing_are_disconnected_in_time_and_block_no_other_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_S", 0.3)
    monkeypatch.setattr(tls, "HANDSHAKES_MAX", 4)
    async with hosts(ID_A, ID_B) as (a, b):
        address, port = split_address(b.address)
        # Given more silent callers than may greet at once, one of which sends a byte now and then,
        silent = [socket.create_connection((address, port)) for _ in range(10)]
        try:
            await anyio.sleep(0.05)
            assert len(b.listener._greeting) == 4
            silent[0].send(b"\x16")
            # when a host calls, then it is let in as soon as they have been sent away.
            wire = await a.call(b.endpoint)
            await until(lambda: b.answered[-1].found == HOST_A)
            wire.close()
            for each in silent:
                each.settimeout(5)
                assert await asyncio.to_thread(each.recv, 1) == b""
        finally:
            for each in silent:
                each.close()


async def test_a_caller_that_goes_in_the_middle_of_its_greeting_leaves_nothing_behind() -> None:
    async with hosts(ID_A, ID_B) as (_, b):
        half = socket.create_connection(split_address(b.address))
        half.send(b"\x16\x03\x01\x02\x00\x01\x00\x01")
        await until(lambda: len(b.listener._greeting) == 1)
        half.close()
        await until(lambda: not b.listener._greeting)


async def test_a_call_to_a_host_that_does_not_greet_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "CONNECT_S", 0.1)
    async with hosts(ID_A) as [a]:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        mute = socket.create_server(("127.0.0.1", 0))
        for port in (mute.getsockname()[1], server.sockets[0].getsockname()[1]):
            with pytest.raises(OSError):  # noqa: PT011  a timeout, a reset or an end in the middle
                await a.call(TcpEndpoint(ID_B, f"127.0.0.1:{port}"))
        mute.close()
        server.close()


async def test_hosts_that_have_begun_before_a_new_authority_meet_those_that_began_after_it() -> None:
    store = Store()
    async with hosts(ID_A, ID_B, store=store) as (a, b):
        # Given a store with a new authority, by which the next host is signed,
        store.secret = with_new_authority(store.secret)
        async with hosts(ID_C, store=store) as [c]:
            # when they call each other, then their certificates do not fit at first, and do after a look into the
            # store.
            for caller, callee in ((a, c), (c, b), (a, b)):
                with anyio.fail_after(5):
                    while not await talks(caller, callee):
                        await anyio.sleep(0.05)
        # They have read the store only as often as necessary.
        assert store.reads <= 3 + 2 * 3


async def talks(caller: Host, callee: Host) -> bool:
    wire = Notebook()
    before = len(callee.answered)
    try:
        await caller.transport.connect(callee.endpoint, wire)
    except OSError:
        return False
    wire.write(b"hello")
    try:
        with anyio.move_on_after(1):
            await until(lambda: wire.lost or any(each.got for each in callee.answered[before:]))
    finally:
        wire.close()
    return not wire.lost


async def test_a_host_that_joins_again_shows_its_new_name_at_the_same_address() -> None:
    async with hosts(ID_A, ID_B) as (a, b):
        before = b.address
        b.transport.identify(HOST_B2)
        wire = await a.call(TcpEndpoint(ID_B2, before))
        assert wire.refused is None
        wire.close()
        assert (await a.call(TcpEndpoint(ID_B, before))).refused is not None


async def test_both_ends_notice_a_machine_that_is_gone() -> None:
    async with hosts(ID_A, ID_B) as (a, b):
        wire = await a.call(b.endpoint)
        await until(lambda: b.answered and b.answered[0].connection is not None)
        for end in (wire, b.answered[0]):
            assert end.connection is not None
            connection = end.connection.get_extra_info("socket")
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
            asked = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) + connection.getsockopt(
                socket.IPPROTO_TCP, socket.TCP_KEEPINTVL
            ) * connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
            assert asked == tls.SILENT_S
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == tls.SILENT_S * 1000
        wire.close()


async def test_a_port_is_free_by_default_and_given_back() -> None:
    async with hosts(ID_A, ID_B) as (a, b):
        ports = {split_address(host.address)[1] for host in (a, b)}
        assert len(ports) == 2
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(split_address(a.address), timeout=5)
    again = TlsTransport(Store().read, bind="127.0.0.1", port=ports.pop())
    await again.open()
    with pytest.raises(OSError, match="in use"):
        await TlsTransport(Store().read, bind="127.0.0.1", port=split_address(await again.open())[1]).open()
    again.close()


@pytest.mark.parametrize(
    ("advertised", "expected"),
    [
        ("10.1.2.3", "10.1.2.3:{port}"),
        ("10.1.2.3:99", "10.1.2.3:99"),
        ("[fd00::1]", "[fd00::1]:{port}"),
        ("fd00::1", "[fd00::1]:{port}"),
    ],
)
async def test_a_host_behind_another_address_says_that_one(advertised: str, expected: str) -> None:
    transport = TlsTransport(Store().read, bind="127.0.0.1", advertised=advertised)
    address = await transport.open()
    assert transport._socket is not None
    port = transport._socket.getsockname()[1]
    transport.close()
    assert address == expected.format(port=port)


async def test_hosts_that_live_ask_each_other_over_tcp_and_one_that_is_dead_is_not_heard() -> None:
    store = Store()
    nodes: list[tuple[TlsTransport, HandMembership, Peers, str]] = []
    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(20):
            for name in (HOST_A, HOST_B):
                transport = TlsTransport(store.read, bind="127.0.0.1")
                address = await transport.open()
                membership = HandMembership(name)
                peers = Peers(membership, counter_vocabulary(), transport)
                peers.answer(WHO, lambda name=name: name)
                await tasks.start(serve, peers)
                nodes.append((transport, membership, peers, address))
            (_, of_a, a, at_a), (_, of_b, b, at_b) = nodes
            # Given two hosts, of which the second does not know the first yet,
            of_a.come_at(HOST_B, TcpEndpoint(ID_B, at_b))
            await anyio.sleep(0.2)
            assert not a.connected
            # when it learns of it, then both ask each other.
            of_b.come_at(HOST_A, TcpEndpoint(ID_A, at_a))
            await a.wait_for_all()
            await b.wait_for_all()
            assert (await a.ask_all(WHO), await b.ask_all(WHO)) == ([HOST_B], [HOST_A])
            # When the first is dead, the second ignores it.
            of_b.go(HOST_A)
            with pytest.raises((HostLost, HostUnreachable)):
                await a.ask_all(WHO)
            tasks.cancel_scope.cancel()


WHO = HostMethod("who", (), str)


async def serve(peers: Peers, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    async with peers.running(Side(), Watches()):
        task_status.started()
        await anyio.sleep_forever()


def test_a_greeting_may_take_as_long_as_a_handshake() -> None:
    assert Inbound.GREETING_S >= tls.HANDSHAKE_S
