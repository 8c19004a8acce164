"""A wire: messages between two hosts of a daemon, both ways, many in one packet.

The rule: only hosts of one daemon talk over it. They are the same program, started
by the same user, and the socket is closed to other users; so messages are pickled.

`actors/cluster/outbound.py` and `actors/cluster/inbound.py` have an end each.
"""

import asyncio
import pickle
import struct
from collections.abc import Callable, Iterator
from typing import Any, cast

LENGTH = struct.Struct(">I")  # of the message behind it, in bytes


def packed(message: Any) -> bytes:
    """Pack a message as it goes over the wire.

    Raises:
        Exception: The message cannot be pickled.
    """
    body = pickle.dumps(message, protocol=5)
    return LENGTH.pack(len(body)) + body


class Wire(asyncio.Protocol):
    """One end of a connection. Messages that are sent in one round of the event loop go together.

    Needs asyncio: its transports cost a third of a task for each direction.

    Args:
        receive: Called with each message that comes. If it raises, the connection is over.
        lost: Called once, when the connection is over.
    """

    def __init__(self, receive: Callable[[Any], None], lost: Callable[[], None]) -> None:
        self._receive = receive
        self._lost = lost
        self._buffer = bytearray()
        self._waiting: list[bytes] = []
        self._transport: asyncio.Transport | None = None  # while connected

    def send(self, message: Any) -> None:
        """Send a message, unless the connection is lost first."""
        self.send_packed(packed(message))

    def send_packed(self, message: bytes) -> None:
        """Send a message that `packed` has made, unless the connection is lost first."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(message)

    def close(self) -> None:
        """End the connection. Messages that were not sent yet are lost."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        for message in _unpacked(self._buffer):
            self._receive(message)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._lost()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if self._transport is not None:
            self._transport.write(b"".join(waiting))


async def connect(path: str, wire: Wire) -> Wire:
    """Connect a wire to the host that listens at a socket.

    Raises:
        OSError: No host listens there.
    """
    await asyncio.get_running_loop().create_unix_connection(lambda: wire, path)
    return wire


async def listen(path: str, answer: Callable[[], Wire]) -> asyncio.Server:
    """Listen at a socket. A file that a dead process has left there is replaced.

    Args:
        answer: Makes this end of each connection.
    """
    server: asyncio.Server = await asyncio.get_running_loop().create_unix_server(answer, path)
    return server


def _unpacked(buffer: bytearray) -> Iterator[Any]:
    """Take all complete messages out of a buffer."""
    begin = 0
    while begin + LENGTH.size <= len(buffer):
        (length,) = LENGTH.unpack_from(buffer, begin)
        end = begin + LENGTH.size + length
        if end > len(buffer):
            break
        yield pickle.loads(buffer[begin + LENGTH.size : end])  # noqa: S301  from a host of this daemon
        begin = end
    del buffer[:begin]
