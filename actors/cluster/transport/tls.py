"""TCP with TLS: the transport between hosts of a store on one or several machines.

The rule: no byte of the other end is read before its certificate is verified and names the expected host. Both ends
require a certificate. The duration and the number of handshakes are limited.

Hosts with a leased membership use it. `certificates.py` signs their certificates.
"""

import asyncio
import os
import socket
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from ....journal.journal import Journal
from ....journal.vocabulary import WIRE_REFUSED
from .certificates import Authority, Identity, authorities_in, host_in, sign
from .endpoint import Endpoint, TcpEndpoint, joined_address, split_address

HANDSHAKE_S = 5.0  # how long a caller may take for the handshake
HANDSHAKES_MAX = 256  # handshakes at once; further callers wait in the kernel's queue
CONNECT_S = 5.0  # how long the other end may take to accept a connection
RENEW_S = 1.0  # between two looks for new authorities
BACKLOG = 128
# A connection over which no packets come any more ends after this time, idle or not; the kernel probes it.
SILENT_S = 3


class TlsTransport:
    """Connects hosts by TCP with TLS.

    Args:
        secret: Reads the secret of the store, as `certificates.py` makes it.
        bind: The address of this machine to listen at; "" for all addresses.
        port: The port to listen at; 0 for any free port.
        advertised: The host, or the host and the port, at which others reach this one; None: as bound.
    """

    def __init__(
        self,
        secret: Callable[[], Awaitable[bytes]],
        *,
        bind: str,
        port: int = 0,
        advertised: str | None = None,
    ) -> None:
        self._secret = secret
        self._bind = bind
        self._port = port
        self._advertised = advertised
        self._journal = Journal(__name__)
        self._socket: socket.socket | None = None
        self._authorities: list[Authority] = []
        self._me: str | None = None
        self._server = _context(ssl.PROTOCOL_TLS_SERVER)
        self._client = _context(ssl.PROTOCOL_TLS_CLIENT)
        self._renewed_s = -RENEW_S
        self._renewal: asyncio.Task[None] | None = None

    async def open(self) -> str:
        """Read the authorities of the store, and take the port.

        Returns:
            The address by which other hosts reach this one.

        Raises:
            StoreError: The secret cannot be read.
            SecretUnreadable: This release cannot read the secret.
            OSError: The port cannot be taken.
        """
        self._authorities = authorities_in(await self._secret())
        self._trust()
        if self._socket is None:
            self._socket = _listening(self._bind, self._port)
        host, port = self._socket.getsockname()[:2]
        if self._advertised is None:
            return joined_address(host, port)
        try:
            return joined_address(*split_address(self._advertised))
        except ValueError:
            return joined_address(self._advertised.strip("[]"), port)

    def close(self) -> None:
        """Give the port back."""
        if self._renewal is not None:
            self._renewal.cancel()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def identify(self, me: str) -> None:
        """Show a certificate for this name from now on."""
        assert self._authorities, "the transport is not open"
        self._me = me
        identity = sign(self._authorities[0], me)
        for context in (self._server, self._client):
            _show(context, identity)

    async def listen(self, answer: Callable[[], asyncio.Protocol]) -> "TlsListener":
        """Take the connections of other hosts."""
        assert self._socket is not None, "the transport is not open"
        return TlsListener(self._socket, self._server, answer, refused=self._refused, closed=self.close)

    async def connect(self, endpoint: Endpoint, wire: asyncio.Protocol) -> None:
        """Connect to another host, and verify that an authority of the store has signed its certificate."""
        assert isinstance(endpoint, TcpEndpoint), endpoint
        host, port = split_address(endpoint.address)
        try:
            connected, _ = await asyncio.get_running_loop().create_connection(
                lambda: wire, host, port, ssl=self._client, ssl_handshake_timeout=CONNECT_S
            )
        except ssl.SSLError as error:
            self._refused(endpoint.address, error)
            raise
        if (found := connected.get_extra_info("socket")) is not None:  # the wire may have ended the connection already
            _notice_silence(found)

    def verify(self, endpoint: Endpoint, connection: asyncio.BaseTransport) -> None:
        """Check that the other end is the expected host.

        Raises:
            PermissionError: The other end is another host.
        """
        assert isinstance(endpoint, TcpEndpoint), endpoint
        found = self._name_in(connection)
        if found != endpoint.name:
            raise PermissionError(f"{endpoint.address} is {found}, and {endpoint.name} was meant")

    def caller(self, connection: asyncio.BaseTransport) -> str | None:
        """The name in the certificate of the other end."""
        return self._name_in(connection)

    def _name_in(self, connection: asyncio.BaseTransport) -> str:
        name = host_in(connection.get_extra_info("peercert"))
        if name is None:
            raise PermissionError("its certificate names no host")
        return name

    def _refused(self, who: str, error: Exception) -> None:
        """Note a handshake that has failed. The cause may be that the store has a new authority."""
        self._journal.write(WIRE_REFUSED, host=who, reason=str(error) or type(error).__name__)
        loop = asyncio.get_running_loop()
        if isinstance(error, ssl.SSLError) and loop.time() >= self._renewed_s + RENEW_S:
            self._renewed_s = loop.time()
            self._renewal = loop.create_task(self._renew())

    async def _renew(self) -> None:
        """Check whether the store has a new authority."""
        with suppress(Exception):  # errors of the store are reported where it is needed
            found = authorities_in(await self._secret())
            if found != self._authorities:
                self._authorities = found
                self._trust()
                if self._me is not None:
                    self.identify(self._me)

    def _trust(self) -> None:
        """Trust certificates of these authorities. An authority that was deleted from the store is trusted until the
        next start.
        """
        for context in (self._server, self._client):
            for authority in self._authorities:
                context.load_verify_locations(cadata=authority.certificate.decode())


class TlsListener:
    """Takes connections, a limited number at once, until it is closed."""

    def __init__(
        self,
        listening: socket.socket,
        context: ssl.SSLContext,
        answer: Callable[[], asyncio.Protocol],
        *,
        refused: Callable[[str, Exception], None],
        closed: Callable[[], None],
    ) -> None:
        self._socket = listening
        self._context = context
        self._answer = answer
        self._refused = refused
        self._closed = closed
        self._room = asyncio.Semaphore(HANDSHAKES_MAX)
        self._greeting: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    def close(self) -> None:
        """Take no more connections, and give the port back; connections whose handshake is not over are ended."""
        self._accepting.cancel()
        self._closed()
        for task in self._greeting:
            task.cancel()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._room.acquire()
            try:
                connection, address = await loop.sock_accept(self._socket)
            except OSError as error:
                # No file descriptors are left, or the caller has disconnected in the same moment.
                self._room.release()
                self._refused("a caller", error)
                await asyncio.sleep(RENEW_S)
                continue
            task = loop.create_task(self._shake_hands(connection, joined_address(*address[:2])))
            self._greeting.add(task)
            task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._greeting.discard(task)
        self._room.release()

    async def _shake_hands(self, connection: socket.socket, who: str) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _notice_silence(connection)
            await asyncio.get_running_loop().connect_accepted_socket(
                self._answer, connection, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
            )
        except (OSError, TimeoutError) as error:
            self._refused(who, error)
            connection.close()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


def _notice_silence(connection: socket.socket) -> None:
    """Let a connection end when no packets come from the other machine any more, as after a cable was pulled."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", 1),
        ("TCP_KEEPINTVL", 1),
        ("TCP_KEEPCNT", SILENT_S - 1),
        ("TCP_USER_TIMEOUT", SILENT_S * 1000),
    ):
        if hasattr(socket, name):  # systems have different options
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # a certificate is for a host of the store, wherever it listens
    context.verify_mode = ssl.CERT_REQUIRED
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # no host resumes a session
    return context


def _show(context: ssl.SSLContext, identity: Identity) -> None:
    """Show a certificate on connections that are made from now on."""
    with _file_of(identity.certificate + identity.key) as path:
        context.load_cert_chain(path)


@contextmanager
def _file_of(content: bytes) -> Iterator[str]:
    """A file that only this process can read, for `ssl`, until the block ends; in memory if the system supports it."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("perdure")
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryDirectory(prefix="perdure-") as folder:
            path = os.path.join(folder, "identity")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.write(content)
            yield path
