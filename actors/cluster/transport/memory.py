"""A network in memory: hosts in one event loop, with links that can be slow, cut, or cut one way.

The rule: it behaves like a network of sockets, and has no randomness and no clock of its own. Bytes arrive in order,
each round trip takes two delays, and bytes on their way over a link that is cut are lost.

Tests in virtual time and simulations use it. A callback of a host runs in the context in which that host has listened
or connected, so that a simulation knows to which host the callback belongs.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context

from .endpoint import Endpoint, MemoryEndpoint

# A connection over which no bytes come any more ends after this time, as with TCP's keepalive.
SILENT_S = 3.0


class MemoryNetwork:
    """Connects the hosts of one event loop.

    Args:
        delay_s: The delay from one end of a link to the other.
    """

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self._listeners: dict[str, MemoryListener] = {}
        self._links: list[_Link] = []
        self._cut: set[tuple[str, str]] = set()  # (from, to) of links that lose all bytes

    def transport(self, name: str) -> "MemoryTransport":
        """Make the transport of a host.

        Args:
            name: Its name in the placement table.
        """
        return MemoryTransport(self, name)

    def cut(self, one: str, other: str, *, one_way: bool = False) -> None:
        """Lose all bytes from a host to another one, and back unless `one_way`, until the link is healed.

        Neither host is notified: bytes are lost, as after a cable was pulled. Connections end after SILENT_S.
        """
        self._cut.add((one, other))
        if not one_way:
            self._cut.add((other, one))
        for link in self._links:
            if {link.caller, link.callee} == {one, other}:
                asyncio.get_running_loop().call_later(SILENT_S, self._notice, link)

    def heal(self, one: str, other: str) -> None:
        """Let bytes through again, both ways. Connections over which bytes were lost are reset."""
        self._cut -= {(one, other), (other, one)}
        for link in list(self._links):
            if link.lossy and {link.caller, link.callee} == {one, other}:
                link.end()

    def close(self, one: str, other: str) -> None:
        """Reset all connections between two hosts; they may connect again."""
        for link in list(self._links):
            if {link.caller, link.callee} == {one, other}:
                link.end()

    def kill(self, name: str) -> None:
        """End a host as the kernel does when a process ends: its listener closes, and others see resets."""
        self._listeners.pop(name, None)
        for link in list(self._links):
            if name in (link.caller, link.callee):
                link.end(without=name)

    def lets_through(self, sender: str, receiver: str) -> bool:
        """Whether bytes from a host reach another one."""
        return (sender, receiver) not in self._cut

    async def connect(self, caller: str, callee: str, wire: asyncio.Protocol) -> None:
        """Connect a wire of a host to the listener of another one.

        Raises:
            OSError: The other host does not listen, or the link is cut.
        """
        await asyncio.sleep(self.delay_s)
        if not (self.lets_through(caller, callee) and self.lets_through(callee, caller)):
            # A real attempt would time out later; the caller's next attempts fail in the same way.
            raise TimeoutError(f"{callee} does not answer {caller}")
        listener = self._listeners.get(callee)
        if listener is None:
            raise ConnectionRefusedError(f"{callee} does not listen")
        link = _Link(self, caller, callee)
        self._links.append(link)
        link.join(wire, listener)

    def listen(self, name: str, listener: "MemoryListener") -> None:
        """Let others connect to a host. It replaces the listener of an earlier life."""
        self._listeners[name] = listener

    def stop_listening(self, name: str, listener: "MemoryListener") -> None:
        """Let no host connect any more."""
        if self._listeners.get(name) is listener:
            del self._listeners[name]

    def _notice(self, link: "_Link") -> None:
        """End a connection whose link is still cut."""
        if link in self._links and not (
            self.lets_through(link.caller, link.callee) and self.lets_through(link.callee, link.caller)
        ):
            link.end()

    def forget(self, link: "_Link") -> None:
        """Remove a connection that is over."""
        if link in self._links:
            self._links.remove(link)


class MemoryTransport:
    """One host's way into a network in memory."""

    def __init__(self, network: MemoryNetwork, name: str) -> None:
        self._network = network
        self._name = name
        self._listener: MemoryListener | None = None

    async def listen(self, answer: Callable[[], asyncio.Protocol]) -> "MemoryListener":
        """Listen to other hosts."""
        self._listener = MemoryListener(self._network, self._name, answer)
        self._network.listen(self._name, self._listener)
        return self._listener

    async def connect(self, endpoint: Endpoint, wire: asyncio.Protocol) -> None:
        """Connect to another host of the network."""
        assert isinstance(endpoint, MemoryEndpoint), endpoint
        await self._network.connect(self._name, endpoint.name, wire)

    def identify(self, me: str) -> None:
        """Use another name from now on, by which others reach this host."""
        if me != self._name:
            self._name = me
            if self._listener is not None:
                self._listener.move(me)

    def verify(self, endpoint: Endpoint, connection: asyncio.BaseTransport) -> None:
        """Do nothing: only the expected host has that name."""

    def caller(self, connection: asyncio.BaseTransport) -> str | None:
        """The name of the host at the other end."""
        name: str | None = connection.get_extra_info("peer")
        return name


class MemoryListener:
    """Takes the connections to one host."""

    def __init__(self, network: MemoryNetwork, name: str, answer: Callable[[], asyncio.Protocol]) -> None:
        self._network = network
        self._name = name
        self.answer = answer
        self.context = copy_context()

    def move(self, name: str) -> None:
        """Take connections under another name."""
        self._network.stop_listening(self._name, self)
        self._name = name
        self._network.listen(name, self)

    def close(self) -> None:
        """Take no more connections."""
        self._network.stop_listening(self._name, self)


class _Link:
    """A connection: two ends."""

    def __init__(self, network: MemoryNetwork, caller: str, callee: str) -> None:
        self.network = network
        self.caller = caller
        self.callee = callee
        self._ends: tuple[_End, _End] | None = None

    @property
    def lossy(self) -> bool:
        """Whether bytes were lost on it, in either direction."""
        return any(end.deaf for end in self._ends or ())

    def join(self, wire: asyncio.Protocol, listener: MemoryListener) -> None:
        """Make both ends, and notify their protocols."""
        answered = listener.context.run(listener.answer)
        here = _End(self, wire, copy_context(), me=self.caller, peer=self.callee)
        there = _End(self, answered, listener.context, me=self.callee, peer=self.caller)
        here.other, there.other = there, here
        self._ends = (here, there)
        wire.connection_made(here)
        listener.context.run(answered.connection_made, there)

    def end(self, *, without: str | None = None) -> None:
        """End the connection, and notify both protocols.

        Args:
            without: A host that is not notified, because it has ended.
        """
        self.network.forget(self)
        for end in self._ends or ():
            end.lose(told=end.me != without)
        self._ends = None


class _End(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, link: _Link, protocol: asyncio.Protocol, context: Context, *, me: str, peer: str) -> None:
        super().__init__(extra={"peer": peer})
        self._link = link
        self._protocol = protocol
        self._context = context
        self._peer = peer
        self._loop = asyncio.get_running_loop()
        self._over = False
        self.me = me
        self.deaf = False  # bytes for it were lost
        self.other: _End | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._over or self.other is None:
            return
        if not self._link.network.lets_through(self.me, self._peer):
            self.other.deaf = True
            return
        self._at_other(self.other, self.other.arrive, bytes(data))

    def arrive(self, data: bytes) -> None:
        """Give the bytes that have come to the protocol, unless the link was cut meanwhile."""
        if self._over:
            return
        if self.deaf or not self._link.network.lets_through(self._peer, self.me):
            # Bytes after lost ones never arrive: TCP would wait for the lost ones.
            self.deaf = True
            return
        self._protocol.data_received(data)

    def abort(self) -> None:
        self.close()

    def close(self) -> None:
        if self._over:
            return
        other = self.other
        self.lose(told=True)
        self._link.network.forget(self._link)
        if other is not None and not other._over and self._link.network.lets_through(self.me, self._peer):
            self._at_other(other, other.lose)

    def is_closing(self) -> bool:
        return self._over

    def lose(self, *, told: bool = True) -> None:
        """End, and notify the protocol in its host's context."""
        if not self._over:
            self._over = True
            if told:
                self._loop.call_soon(self._protocol.connection_lost, None, context=self._context)

    def _at_other(self, other: "_End", function: Callable[..., None], *arguments: bytes) -> None:
        """Call a function of the other end after the delay of the link."""
        delay_s = self._link.network.delay_s
        if delay_s > 0:
            self._loop.call_later(delay_s, function, *arguments, context=other._context)
        else:
            self._loop.call_soon(function, *arguments, context=other._context)
