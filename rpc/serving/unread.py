"""Limits the bytes of answers that gRPC clients have not read yet, for each client and for all together.

The rule: a slow client slows no other client down. A client gets at most `client_bytes_max` of unread answers, and the
next answer when it has read those. If all clients together have more than `bytes_max` unread, the connection of the
client that has read nothing for the longest time is closed. A single such client is not disconnected.

gRPC's library keeps an answer until the client's flow control allows to send it, and reports no sizes. So answers are
counted from the moment in which the library gets them to the end of their call. Short answers are not counted: they
take less memory than the call itself.

`rpc/serving/method.py` counts answers with it; `daemon/daemon.py` has the function that closes a connection.
"""

import time
from collections.abc import Awaitable, Callable

import anyio

from ...journal.journal import Journal
from ...journal.vocabulary import ANSWERS_UNREAD

COUNTED_BYTES = 16 * 1024  # shorter answers are not counted; a call itself takes about as much
MIB = 1024 * 1024


class ClientAnswers:
    """The unread answers of a client, which is identified by its connection."""

    __slots__ = ("_moved", "bytes", "moved_s", "name", "turn")

    def __init__(self, name: str, now_s: float) -> None:
        self.name = name
        self.bytes = 0
        self.moved_s = now_s  # when the client last finished an answer, or got its first
        self.turn = anyio.Lock()  # for the next answer, while others are unread
        self._moved = anyio.Event()

    def move(self, now_s: float) -> None:
        """Note that the client has read an answer, and wake the waiting senders."""
        self.moved_s = now_s
        moved, self._moved = self._moved, anyio.Event()
        moved.set()

    async def moves(self) -> None:
        """Wait until the client reads again."""
        await self._moved.wait()


class UnreadAnswers:
    """The unread answers of one server.

    Args:
        cut_off: Closes the connection of a client, with gRPC's name for it, such as "ipv4:127.0.0.1:50123". None: no
            connection is closed, and only the limit of each client holds.
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
        """Count an answer that the library gets now.

        Returns:
            The client, for `taken`, which is to be called when the answer was read or its call has ended.
        """
        reader = self._reader(client)
        reader.bytes += size
        self.bytes += size
        if self.bytes > self._bytes_max:
            self._make_room()
        return reader

    def taken(self, reader: ClientAnswers, size: int) -> None:
        """Stop counting an answer."""
        if self._readers.get(reader.name) is not reader:
            return  # the client was disconnected
        reader.bytes -= size
        self.bytes -= size
        reader.move(self._clock())
        self._forget_if_idle(reader)

    def has_room(self, client: str, size: int) -> bool:
        """Whether a client may get an answer at once: its unread bytes are within the limit, and no answer waits."""
        reader = self._readers.get(client)
        if reader is None or not reader.bytes:
            return True
        return not reader.turn.locked() and reader.bytes + size <= self._client_bytes_max

    async def in_turn(self, client: str, make: Callable[[], Awaitable[bytes]]) -> tuple[bytes, ClientAnswers]:
        """Make an answer when the client has read the earlier ones, and count it.

        Args:
            make: Makes the answer. It is not called earlier, because the answer would have to be kept meanwhile.
        """
        reader = self._reader(client)
        try:
            async with reader.turn:
                while reader.bytes > self._client_bytes_max // 2:
                    await reader.moves()
                answer = await make()
                if self._readers.get(client) is reader:  # the client was not disconnected
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
        """Disconnect the clients that have read nothing for the longest time, but never a single client."""
        while self._cut_off is not None and self.bytes > self._bytes_max and len(self._readers) > 1:
            longest = min((each for each in self._readers.values() if each.bytes), key=lambda each: each.moved_s)
            del self._readers[longest.name]
            self.bytes -= longest.bytes
            self._journal.write(ANSWERS_UNREAD, maximum=self._bytes_max)
            self._cut_off(longest.name)
