"""The answers that gRPC's clients have not read yet: how many bytes there may be, of one client and of all.

The rule: one client's slowness costs that client, and nobody else. A client that does not read its answers gets no more
of them than `client_bytes_max`, and the next when those have gone. Beyond `bytes_max` for all clients together, the
connection of the one that has stood still longest is cut off. A single client is let be.

gRPC's library keeps an answer until the client's flow control lets it go, and shows no sizes. So answers are counted
from the moment in which they are handed over to the end of their call. Short ones are not counted: they are less than
the call itself.

`rpc/serving/method.py` hands answers over; `daemon/daemon.py` says how a connection is cut off.
"""

import time
from collections.abc import Awaitable, Callable

import anyio

from ...journal.journal import Journal
from ...journal.vocabulary import ANSWERS_UNREAD

COUNTED_BYTES = 16 * 1024  # of an answer; a call takes about as much
MIB = 1024 * 1024


class ClientAnswers:
    """A client, by its connection, and its unread answers."""

    __slots__ = ("_moved", "bytes", "moved_s", "name", "turn")

    def __init__(self, name: str, now_s: float) -> None:
        self.name = name
        self.bytes = 0
        self.moved_s = now_s  # when it last read an answer to its end, or was given its first
        self.turn = anyio.Lock()  # to be given an answer when others wait to be read
        self._moved = anyio.Event()

    def move(self, now_s: float) -> None:
        """Note that the client has read, and wake the waiting senders."""
        self.moved_s = now_s
        moved, self._moved = self._moved, anyio.Event()
        moved.set()

    async def moves(self) -> None:
        """Wait until the client reads again."""
        await self._moved.wait()


class UnreadAnswers:
    """The unread answers of one server.

    Args:
        cut_off: Ends the connection of a client, which gRPC names as in "ipv4:127.0.0.1:50123". None: none is ended,
            and only the limit of each client holds.
    """

    def __init__(
        self,
        *,
        bytes_max: int = 64 * MIB,
        client_bytes_max: int = 16 * MIB,
        cut_off: Callable[[str], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bytes_max = bytes_max
        self._client_bytes_max = client_bytes_max
        self._cut_off = cut_off
        self._clock = clock
        self._readers: dict[str, ClientAnswers] = {}
        self._journal = Journal(__name__)
        self.bytes = 0

    def hand_over(self, client: str, size: int) -> ClientAnswers:
        """Count an answer that the library is given now.

        Returns:
            What `taken` is told when the answer has been read, or its call has ended.
        """
        reader = self._reader(client)
        reader.bytes += size
        self.bytes += size
        if self.bytes > self._bytes_max:
            self._make_room()
        return reader

    def taken(self, reader: ClientAnswers, size: int) -> None:
        """Count an answer no more."""
        if self._readers.get(reader.name) is not reader:
            return  # it was cut off
        reader.bytes -= size
        self.bytes -= size
        reader.move(self._clock())
        self._forget_if_idle(reader)

    def has_room(self, client: str, size: int) -> bool:
        """Whether a client may be given an answer at once: it has few unread bytes, or none, and no other waits."""
        reader = self._readers.get(client)
        if reader is None or not reader.bytes:
            return True
        return not reader.turn.locked() and reader.bytes + size <= self._client_bytes_max

    async def in_turn(self, client: str, make: Callable[[], Awaitable[bytes]]) -> tuple[bytes, ClientAnswers]:
        """Make an answer when the client has read those before it, and hand it over.

        Args:
            make: Makes the answer. It is not made earlier, because it would have to be kept meanwhile.
        """
        reader = self._reader(client)
        try:
            async with reader.turn:
                while reader.bytes > self._client_bytes_max // 2:
                    await reader.moves()
                answer = await make()
                if self._readers.get(client) is reader:  # it was not cut off
                    reader.bytes += len(answer)
                    self.bytes += len(answer)
        finally:
            self._forget_if_idle(reader)
        if self.bytes > self._bytes_max:
            self._make_room()
        return answer, reader

    def _reader(self, client: str) -> ClientAnswers:
        reader = self._readers.get(client)
        if reader is None:
            reader = self._readers[client] = ClientAnswers(client, self._clock())
        elif not reader.bytes:
            reader.moved_s = self._clock()
        return reader

    def _forget_if_idle(self, reader: ClientAnswers) -> None:
        if not reader.bytes and not reader.turn.locked() and self._readers.get(reader.name) is reader:
            del self._readers[reader.name]

    def _make_room(self) -> None:
        """Cut off the clients that have stood still longest; a single one is let be."""
        while self._cut_off is not None and self.bytes > self._bytes_max and len(self._readers) > 1:
            longest = min((each for each in self._readers.values() if each.bytes), key=lambda each: each.moved_s)
            del self._readers[longest.name]
            self.bytes -= longest.bytes
            self._journal.write(ANSWERS_UNREAD, maximum=self._bytes_max)
            self._cut_off(longest.name)
