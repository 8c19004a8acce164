"""The network between the hosts of a world: a stand-in for TCP and TLS, in virtual time.

The rule: within a connection bytes come in their order, once, or not at all. A cut connection holds back the bytes
that were sent; once it has been silent for SILENT_S the connection is over at both ends, and what was on its way is
lost.

Each place has a stream of choices of its own:

    wire.connect   a connection is refused, reset, or does not come about
    wire.slow      bytes are long on their way, and all that follow them
    wire.cut       the connection breaks: these bytes are lost, or arrive as the last ones
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context

from ....actors.cluster.transport.endpoint import Endpoint, TcpEndpoint
from ..choices import Choices
from ..loop import HOST, SimLoop

# From one host to another; the first is the usual time.
SLOW_S = (0.000_2, 0.01, 0.3, 3.0)
# A connection over which nothing gets through is over after this time, as by TCP's keepalive.
SILENT_S = 3.0
# Until an attempt to connect fails for want of an answer.
NO_ANSWER_S = 3.0
RESET, SILENT = 1, 2
LOST = 1

Tell = Callable[[str], None]


class SimNetwork:
    """Connects the hosts of a world, which have addresses like 10.0.0.1:50123.

    Args:
        tell: Takes lines about faults.
    """

    def __init__(self, loop: SimLoop, choices: Choices, tell: Tell) -> None:
        self.loop = loop
        self.choices = choices
        self.tell = tell
        self.trip_s = SLOW_S[0]
        self._listeners: dict[str, SimListener] = {}
        self._connections: dict[SimConnection, None] = {}
        self._cut: set[tuple[str, str]] = set()  # machines, from and to

    def transport(self, address: str) -> "SimTransport":
        """A way into the network for one life of a host."""
        return SimTransport(self, address)

    def cut(self, one: str, other: str, *, one_way: bool = False) -> None:
        """Let nothing through from a machine to another one, and back unless it is one way. No process is notified."""
        self._cut.add((one, other))
        if not one_way:
            self._cut.add((other, one))
        for connection in self._connections:
            if connection.machines in ((one, other), (other, one)):
                connection.watch_silence()

    def heal(self, one: str, other: str) -> None:
        """Let bytes through again, both ways; bytes that were held back arrive."""
        self._cut -= {(one, other), (other, one)}
        for connection in list(self._connections):
            connection.go_on()

    def heal_all(self) -> None:
        """Let all bytes through again."""
        self._cut.clear()
        for connection in list(self._connections):
            connection.go_on()

    def kill(self, address: str) -> None:
        """End a process as its machine's kernel does: nothing listens there, and others see resets."""
        self._listeners.pop(address, None)
        for connection in list(self._connections):
            connection.lose_end(address)

    def lets_through(self, sender: str, receiver: str) -> bool:
        """Whether bytes of an address reach another one now."""
        return (machine_of(sender), machine_of(receiver)) not in self._cut

    def listen(self, address: str, listener: "SimListener") -> None:
        """Let a listener have the connections to an address."""
        self._listeners[address] = listener

    def stop_listening(self, address: str, listener: "SimListener") -> None:
        """Refuse connections to an address from now on, if it is this listener's."""
        if self._listeners.get(address) is listener:
            del self._listeners[address]

    def forget(self, connection: "SimConnection") -> None:
        """Forget a connection that is over."""
        self._connections.pop(connection, None)

    async def connect(self, caller: "SimTransport", endpoint: TcpEndpoint, wire: asyncio.Protocol) -> None:
        """Connect a wire to the listener at an address.

        Raises:
            OSError: Nothing listens there, or nothing gets through.
        """
        fault = self.choices.fault("wire.connect", 3)
        await asyncio.sleep(2 * self.trip_s)
        here, there = caller.address, endpoint.address
        listener = self._listeners.get(there)
        # A process that stands still completes no handshake.
        stands = listener is not None and listener.context.get(HOST, 0) in self.loop.held
        if fault == SILENT or stands or not (self.lets_through(here, there) and self.lets_through(there, here)):
            await asyncio.sleep(NO_ANSWER_S)
            raise TimeoutError(f"{there} does not answer")
        if fault == RESET:
            self.tell(f"resets a connection of {here} to {there}")
            raise ConnectionResetError(f"{there} has reset the connection")
        if listener is None:
            raise ConnectionRefusedError(f"{there} does not listen")
        connection = SimConnection(self, caller, listener)
        self._connections[connection] = None
        connection.begin(wire, listener)


def machine_of(address: str) -> str:
    """The machine of an address."""
    return address.rpartition(":")[0]


class SimTransport:
    """One life's way into the network. It shows a certificate, which says its name.

    Attributes:
        address: Where others reach it.
        me: The name in its certificate.
    """

    def __init__(self, network: SimNetwork, address: str) -> None:
        self.address = address
        self.me = ""
        self._network = network

    async def listen(self, answer: Callable[[], asyncio.Protocol]) -> "SimListener":
        """Listen to other hosts."""
        return SimListener(self._network, self, answer)

    async def connect(self, endpoint: Endpoint, wire: asyncio.Protocol) -> None:
        """Connect to another host."""
        assert isinstance(endpoint, TcpEndpoint), endpoint
        await self._network.connect(self, endpoint, wire)

    def identify(self, me: str) -> None:
        """Show this name in connections that are made from now on."""
        self.me = me

    def verify(self, endpoint: Endpoint, connection: asyncio.BaseTransport) -> None:
        """Check that the host at the other end is the one that is meant."""
        assert isinstance(endpoint, TcpEndpoint), endpoint
        found = connection.get_extra_info("peer")
        if found != endpoint.name:
            raise PermissionError(f"{endpoint.address} is {found}, and {endpoint.name} was meant")

    def caller(self, connection: asyncio.BaseTransport) -> str | None:
        """The name in the certificate of the other end."""
        name: str = connection.get_extra_info("peer")
        return name


class SimListener:
    """Takes the connections to one life of a host."""

    def __init__(self, network: SimNetwork, transport: SimTransport, answer: Callable[[], asyncio.Protocol]) -> None:
        self.transport = transport
        self.answer = answer
        self.context = copy_context()
        self._network = network
        network.listen(transport.address, self)

    def close(self) -> None:
        """Take no more connections."""
        self._network.stop_listening(self.transport.address, self)


class SimConnection:
    """A connection: two ends."""

    def __init__(self, network: SimNetwork, caller: SimTransport, listener: SimListener) -> None:
        self.network = network
        here, there = caller.address, listener.transport.address
        self.machines = (machine_of(here), machine_of(there))
        self._caller = ConnectionEnd(self, here, peer=listener.transport.me, context=copy_context())
        self._callee = ConnectionEnd(self, there, peer=caller.me, context=listener.context)
        self._caller.other, self._callee.other = self._callee, self._caller

    @property
    def ends(self) -> "tuple[ConnectionEnd, ConnectionEnd]":
        """Both ends, the caller's first."""
        return self._caller, self._callee

    def begin(self, wire: asyncio.Protocol, listener: SimListener) -> None:
        """Give both ends to their protocols."""
        # The callee's code runs when its turn comes: its process may stand still.
        self._callee.call(self._callee.answer, listener)
        self._caller.protocol = wire
        wire.connection_made(self._caller)

    def watch_silence(self) -> None:
        """End once nothing has got through for too long."""
        loop = self.network.loop
        loop.call_later(SILENT_S, self._look_for_silence, context=loop.outside)

    def _look_for_silence(self) -> None:
        here, there = self._caller.address, self._callee.address
        if not (self.network.lets_through(here, there) and self.network.lets_through(there, here)):
            self.end()

    def end(self) -> None:
        """End both ends, and lose the bytes on their way."""
        for end in self.ends:
            end.lose()

    def go_on(self) -> None:
        """Let the bytes that were held back arrive."""
        for end in self.ends:
            end.take()

    def lose_end(self, address: str) -> None:
        """Note that the process of one end has ended. The other end gets the bytes that were sent, and then the end."""
        for end in self.ends:
            if end.address == address and not end.over:
                end.over = True
                assert end.other is not None
                end.other.expect(None, self.network.trip_s)


class ConnectionEnd(asyncio.Transport):
    """One end of a connection, and the bytes on their way to it."""

    def __init__(self, connection: SimConnection, address: str, *, peer: str, context: Context) -> None:
        super().__init__(extra={"peer": peer})
        self.address = address
        self.protocol: asyncio.Protocol | None = None
        self.other: ConnectionEnd | None = None
        self.over = False
        self._deaf = False  # its own process has ended it, and reads no more of it
        self._connection = connection
        self._network = connection.network
        self._context = context
        self._coming: deque[tuple[float, bytes | None]] = deque()  # when, and what; None: the end of the connection

    def answer(self, listener: SimListener) -> None:
        """Have the listener make the protocol of this end."""
        if not self.over:
            self.protocol = listener.answer()
            self.protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes to the other end, or lose them if the connection is over."""
        if self.over or self.other is None:
            return
        network = self._network
        slow = network.choices.fault("wire.slow", len(SLOW_S))
        if slow:
            network.tell(f"takes {SLOW_S[slow]} s from {self.address} to {self.other.address}")
        if cut := network.choices.fault("wire.cut", 3):
            network.tell(f"loses a connection of {self.address} and {self.other.address}")
        if cut != LOST:
            self.other.expect(bytes(data), SLOW_S[slow])
        if cut:
            for end in (self, self.other):
                end.expect(None, SLOW_S[slow])

    def expect(self, data: bytes | None, seconds: float) -> None:
        """Have bytes, or the end of the connection, arrive here."""
        loop = self._network.loop
        self._coming.append((loop.time() + seconds, data))
        loop.call_later(seconds, self.take, context=loop.outside)

    def take(self) -> None:
        """Give what has arrived to the protocol, in the order in which it was sent."""
        assert self.other is not None
        now_s = self._network.loop.time()
        while self._coming and self._coming[0][0] <= now_s and not self.over:
            if not self._network.lets_through(self.other.address, self.address):
                return
            _, data = self._coming.popleft()
            if data is None:
                self.lose()
            else:
                self.call(self._receive, data)

    def _receive(self, data: bytes) -> None:
        if not self._deaf and self.protocol is not None:
            self.protocol.data_received(data)

    def lose(self) -> None:
        """Be over, and notify the protocol."""
        if not self.over:
            self.over = True
            self._coming.clear()
            if self.other is not None and self.other.over:
                self._network.forget(self._connection)
            self.call(self._tell_lost)

    def _tell_lost(self) -> None:
        if self.protocol is not None:
            self.protocol.connection_lost(None)

    def abort(self) -> None:
        """Close at once."""
        self.close()

    def close(self) -> None:
        """End this end; the other one gets it later."""
        if not self.over:
            self._deaf = True
            self.lose()
            assert self.other is not None
            self.other.expect(None, self._network.trip_s)

    def is_closing(self) -> bool:
        """Whether this end is over."""
        return self.over

    def call(self, function: Callable[..., None], *given: object) -> None:
        """Call a function of this end's process."""
        self._network.loop.call_soon(function, *given, context=self._context)
