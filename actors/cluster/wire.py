"""A wire: frames between two hosts of a daemon, in both directions, many in one packet.

The rule: a frame is a length and that number of bytes. A message longer than a frame may be goes in several frames; all
but the last have a mark in their length. Only the reader of an end interprets the bytes that come, as data and never as
code. A frame or a message that is too long or that the reader refuses ends the connection.
An end whose buffer is full is marked as `full`, and counts the bytes that are sent nevertheless. The sender decides
which messages wait, and which are refused.

`actors/cluster/outbound.py` and `actors/cluster/inbound.py` have an end each.
"""

import asyncio
import logging
import struct
from collections.abc import Callable, Iterator
from typing import cast

from ...journal.journal import Journal
from ...journal.vocabulary import WIRE_REFUSED
from ..errors import FrameTooLong
from .protocol import FrameRefused

LENGTH = struct.Struct(">I")  # of the frame that follows, in bytes
MORE = 1 << 31  # in a length: the message goes on in the next frame
FRAME_BYTES_MAX = 64 * 1024 * 1024
MESSAGE_BYTES_MAX = 1024 * 1024 * 1024  # a long history
GREETING_BYTES_MAX = 4096  # the longest frame before both ends know each other
FLUSHED_BYTES = 256 * 1024  # frames are sent together up to this size
PILED_BYTES_MAX = 64 * 1024 * 1024  # the most that is sent to an end that reads nothing

logger = logging.getLogger(__name__)


def framed(packed: bytes) -> bytes:
    """Put the length before a packed message; a message longer than a frame may be is cut into several frames.

    Raises:
        FrameTooLong: The other end would refuse it.
    """
    length = len(packed)
    if length <= FRAME_BYTES_MAX:
        return LENGTH.pack(length) + packed
    if length > MESSAGE_BYTES_MAX:
        raise FrameTooLong(length, MESSAGE_BYTES_MAX)
    last = (length - 1) // FRAME_BYTES_MAX * FRAME_BYTES_MAX  # where the last frame begins
    pieces: list[bytes] = []
    for begin in range(0, last, FRAME_BYTES_MAX):
        pieces += (LENGTH.pack(MORE | FRAME_BYTES_MAX), packed[begin : begin + FRAME_BYTES_MAX])
    return b"".join((*pieces, LENGTH.pack(length - last), packed[last:]))


class Wire(asyncio.Protocol):
    """One end of a connection. Frames that are sent in one round of the event loop go together.

    Needs asyncio: its transports cost a third of a task for each direction.

    Args:
        receive: Called with each message that comes. If it raises, the connection is over.
        lost: Called once, when the connection is over, if it was made.
        made: Called when the connection is made. If it raises, the connection is over.
        journal: Logs a connection that ends because of the bytes that came over it.
    """

    def __init__(
        self,
        receive: Callable[[bytes], None],
        lost: Callable[[], None],
        made: Callable[[asyncio.BaseTransport], None] | None = None,
        journal: Journal | None = None,
    ) -> None:
        self._receive = receive
        self._lost = lost
        self._made = made
        self._journal = journal or Journal(__name__)
        self._buffer = bytearray()
        self._pieces: list[bytes] = []  # the frames that have come of an unfinished message
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._transport: asyncio.Transport | None = None  # while connected
        self.peer = "a caller"  # for the log
        self.full = False  # the other end reads more slowly than frames are sent
        self.piled = 0  # bytes that were sent since `full` was set
        self.has_room: Callable[[], None] = _nothing  # called when `full` is cleared
        self.trusted = False  # the other end is verified: its frames may be long
        self.over = False  # the connection was made and lost

    def send(self, packed: bytes) -> None:
        """Send a frame, unless the connection is lost first.

        Raises:
            FrameTooLong: It is not sent.
        """
        self.send_framed(framed(packed))

    def send_framed(self, frame: bytes) -> None:
        """Send what `framed` has made, unless the connection is lost first."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(frame)
        self._waiting_bytes += len(frame)
        if self.full:
            self.piled += len(frame)
        if self._waiting_bytes >= FLUSHED_BYTES:
            self._flush()  # so that the transport reports when it is full

    def close(self) -> None:
        """End the connection. Frames that were not sent yet are lost."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, and let the owner of this end check it. If the check fails, the connection is refused."""
        self._transport = cast(asyncio.Transport, transport)
        if self._made is not None:
            try:
                self._made(transport)
            except Exception as error:
                self.refuse(error)

    def pause_writing(self) -> None:
        """Note that the transport's buffer is full."""
        self.full = True

    def resume_writing(self) -> None:
        """Note that there is room again, and notify the sender."""
        self.full, self.piled = False, 0
        self.has_room()

    def data_received(self, data: bytes) -> None:
        """Hand over the frames that are whole; an unreadable frame ends the connection."""
        if self._transport is None:
            return
        self._buffer += data
        try:
            for message in self._messages():
                self._receive(message)
        except Exception as error:
            self.refuse(error)

    def connection_lost(self, error: Exception | None) -> None:
        """Drop the rest of a frame, and notify the owner of this end."""
        self._transport = None
        self.over = True
        self._buffer.clear()
        self._pieces.clear()
        self.full, self.piled = False, 0
        self._lost()

    def _messages(self) -> Iterator[bytes]:
        """Take all messages that are whole out of the buffer, until the connection ends."""
        buffer, begin = self._buffer, 0
        while self._transport is not None and begin + LENGTH.size <= len(buffer):
            (marked,) = LENGTH.unpack_from(buffer, begin)
            length = marked & ~MORE
            if length > (FRAME_BYTES_MAX if self.trusted else GREETING_BYTES_MAX):
                raise FrameRefused(f"a frame of {length:,} bytes is longer than a frame may be here")
            end = begin + LENGTH.size + length
            if end > len(buffer):
                break
            frame = bytes(memoryview(buffer)[begin + LENGTH.size : end])
            begin = end
            if marked & MORE:
                self._keep(frame)
            elif self._pieces:
                self._keep(frame)
                pieces, self._pieces = self._pieces, []
                yield b"".join(pieces)
            else:
                yield frame
        del buffer[:begin]

    def _keep(self, frame: bytes) -> None:
        """Keep a part of a message until its last one comes."""
        self._pieces.append(frame)
        if not self.trusted or sum(map(len, self._pieces)) > MESSAGE_BYTES_MAX:
            raise FrameRefused("a message in several frames is longer than a message may be here")

    def refuse(self, error: Exception) -> None:
        """End the connection because of an error of the other end, and log it in one line."""
        if self._transport is None:
            return
        if not isinstance(error, FrameRefused | PermissionError):
            logger.exception("a frame of %s broke its reader; the connection is closed", self.peer)
        else:
            self._journal.write(WIRE_REFUSED, host=self.peer, reason=str(error))
        self._buffer.clear()
        self.close()
        self._transport = None  # later frames are not read

    def _flush(self) -> None:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if waiting and self._transport is not None:
            self._transport.write(b"".join(waiting))


def _nothing() -> None:
    """Do nothing: no sender waits for room."""
