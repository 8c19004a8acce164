"""A wire: messages between two hosts of a daemon, both ways, many in one packet.

Only hosts of one daemon talk over it: the same program, started by the same
user, over a socket that nobody else may reach. So messages are pickled.
"""

import pickle
import struct
from collections.abc import Callable, Iterator
from typing import Any

import anyio
from anyio.abc import ByteStream

from .signal import Signal

LENGTH = struct.Struct(">I")  # of the message behind it, in bytes
RECEIVE_BYTES = 256 * 1024


def packed(message: Any) -> bytes:
    """A message as it goes over the wire. Raises whatever pickle does, before anything is sent."""
    body = pickle.dumps(message, protocol=5)
    return LENGTH.pack(len(body)) + body


class Wire:
    """One end of a connection. What is sent in one round of the event loop goes together."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._waiting: list[bytes] = []
        self._work = Signal()

    def send(self, message: Any) -> None:
        """Send a message, unless the connection is lost first."""
        self.send_packed(packed(message))

    def send_packed(self, message: bytes) -> None:
        self._waiting.append(message)
        self._work.set()

    async def run(self, receive: Callable[[Any], None]) -> None:
        """Move messages until the other end is gone.

        Args:
            receive: Takes each message that comes; must not wait.
        """
        async with self._stream:
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._send)
                    await self._receive(receive)
                    tasks.cancel_scope.cancel()
            except* (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass  # the same as its end

    async def _send(self) -> None:
        while True:
            await self._work.wait()
            waiting, self._waiting = self._waiting, []
            await self._stream.send(b"".join(waiting))

    async def _receive(self, receive: Callable[[Any], None]) -> None:
        buffer = bytearray()
        while True:
            try:
                buffer += await self._stream.receive(RECEIVE_BYTES)
            except anyio.EndOfStream:
                return
            for message in _unpacked(buffer):
                receive(message)


def _unpacked(buffer: bytearray) -> Iterator[Any]:
    """Take all messages out of a buffer that are there whole."""
    begin = 0
    with memoryview(buffer) as view:
        while begin + LENGTH.size <= len(buffer):
            (length,) = LENGTH.unpack_from(buffer, begin)
            end = begin + LENGTH.size + length
            if end > len(buffer):
                break
            with view[begin + LENGTH.size : end] as body:
                yield pickle.loads(body)  # noqa: S301  from a host of this daemon
            begin = end
    del buffer[:begin]
