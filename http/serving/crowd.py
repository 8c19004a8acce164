"""The connections of a port: how many there may be, how long a client may take, and how much may wait to be read.

The rule: one client's slowness costs that client, and nobody else. A connection that waits for its client has a
deadline for each wait; beyond the highest number, the one that has idled longest makes room, and then one whose client
has closed its end while its answer is made, since most of those have gone; beyond the bytes
that may wait to be read, the reader that has stood still longest is cut off.

`http/serving/protocol.py` has the connections, `http/serving/server.py` calls `sweep` about once a second. Between
two sweeps time stands still (`now_s`), so that a request reads no clock.
"""

import errno
import heapq
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ...journal.journal import Journal
from ...journal.vocabulary import ANSWERS_UNREAD, CONNECTIONS_FULL, FILES_EXHAUSTED, READER_STILL, REQUEST_LATE

# Longer than the 90 s after which Go's client lets go of an idle connection. If the server were the first to close,
# a client that reuses the connection at that moment would see it reset.
KEEP_ALIVE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """The limits of a port on the connections of its clients."""

    connections_max: int = 1_000
    head_s: float = 20.0  # from the connection, or the first byte of a request, to the end of the head
    body_s: float = 30.0  # for a body, and more for a large one:
    body_bytes_per_s_min: int = 1024  # each so many bytes of a body that have come give a second more
    idle_s: float = KEEP_ALIVE_S  # between two requests
    unread_s: float = 60.0  # for a reader that takes nothing of its answer
    unread_bytes_max: int = 64 * 1024 * 1024  # of all answers that wait to be read
    linger_s: float = 10.0  # for a client that still sends what was refused, to read the answer
    sweep_s: float = 1.0  # how often deadlines are looked at

    def __post_init__(self) -> None:
        if self.connections_max < 1:
            raise ValueError(f"connections_max must be at least 1, not {self.connections_max}")


class ClientConnection(Protocol):
    """A connection, as this module needs it."""

    since_s: float  # when its present wait began
    unread_bytes: float  # of its answer, when last looked at
    moved_s: float  # when that was last less than before
    half_closed: bool  # its client sends no more; nothing tells whether it still reads

    def waiting(self) -> str | None:
        """For what of its client the connection waits, as a key of `_deadline_s`; None: it does not wait."""
        ...

    def closing(self) -> bool:
        """Whether the connection is being closed."""
        ...

    def bytes_unread(self) -> int:
        """How many bytes of answers the client has not read."""
        ...

    def body_bytes(self) -> int:
        """How many bytes of the present body have come."""
        ...

    def give_up(self, waited_for: str) -> None:
        """End the connection, because its client took too long for this."""
        ...

    def cut_off(self) -> None:
        """End the connection at once, with all that waits to be read."""
        ...


HEAD, BODY, IDLE, LINGER = "head", "body", "idle", "linger"


class Crowd:
    """The connections of one port."""

    def __init__(self, limits: ConnectionLimits, now_s: float) -> None:
        self.limits = limits
        self.now_s = now_s  # as of the last sweep, of the loop's clock
        self.stalled: dict[ClientConnection, None] = {}  # with an answer that is not read as fast as it comes
        self.journal = Journal(__name__)

    def make_room(self, connections: Iterable[ClientConnection], new: ClientConnection) -> bool:
        """Close the connections that have idled longest, or whose clients may have gone, because there are too many.

        Returns:
            Whether there is room for the new one.
        """
        everything = [each for each in connections if not each.closing()]
        over = len(everything) - self.limits.connections_max
        if over <= 0:
            return True
        idle = [each for each in everything if each is not new and (each.half_closed or each.waiting() in (HEAD, IDLE))]
        # Several at once, so that a flood of connections does not cost a search for each.
        longest = heapq.nsmallest(
            max(over, len(everything) // 64), idle, key=lambda each: (each.half_closed, each.since_s)
        )
        for each in longest:
            each.cut_off()
        self.journal.write(
            CONNECTIONS_FULL,
            port="HTTP",
            many=f"more than {self.limits.connections_max}",
            limit="connections_max",
            maximum=self.limits.connections_max,
            then=f"{len(longest)} that had idled longest were closed" if longest else "a new one was refused",
        )
        return len(longest) >= over

    def stall(self, connection: ClientConnection) -> None:
        """Note that a connection has an answer that is not read as fast as it comes.

        All of them together are kept within the limit: the readers that have stood still longest are cut off. A
        single one is let be.
        """
        connection.unread_bytes, connection.moved_s = connection.bytes_unread(), self.now_s
        self.stalled[connection] = None
        unread = sum(each.bytes_unread() for each in self.stalled)
        while unread > self.limits.unread_bytes_max and len(self.stalled) > 1:
            # Of connections that stand equally long, the one that stalled first.
            longest = min(self.stalled, key=lambda each: each.moved_s)
            unread -= longest.bytes_unread()
            self.drop(longest)
            self.journal.write(ANSWERS_UNREAD, limit="unread_bytes_max", maximum=self.limits.unread_bytes_max)

    def flow(self, connection: ClientConnection) -> None:
        """Note that a connection's answer is read again, or that the connection is gone."""
        self.stalled.pop(connection, None)

    def drop(self, connection: ClientConnection) -> None:
        """Cut a connection off with its answer."""
        self.flow(connection)
        connection.cut_off()

    def sweep(self, connections: Iterable[ClientConnection], now_s: float) -> None:
        """Give up the connections whose client has taken too long, and say what the limits have cost."""
        self.now_s = now_s
        for each in list(connections):
            if each.closing() or each in self.stalled:
                self._look_at_reader(each)
            elif (waited_for := each.waiting()) and now_s - each.since_s > self._deadline_s(each, waited_for):
                if waited_for in (HEAD, BODY):
                    self.journal.write(REQUEST_LATE, part=waited_for)
                each.give_up(waited_for)
        self._look_at_descriptors()
        self.journal.flush()

    def _deadline_s(self, connection: ClientConnection, waited_for: str) -> float:
        limits = self.limits
        match waited_for:
            case "head":
                return limits.head_s
            case "body":
                return limits.body_s + connection.body_bytes() / limits.body_bytes_per_s_min
            case "linger":
                return limits.linger_s
        return limits.idle_s

    def _look_at_reader(self, connection: ClientConnection) -> None:
        unread = connection.bytes_unread()
        if unread < connection.unread_bytes:
            connection.unread_bytes, connection.moved_s = unread, self.now_s
        elif self.now_s - connection.moved_s > self.limits.unread_s:
            self.drop(connection)
            self.journal.write(READER_STILL, limit="unread_s", maximum=self.limits.unread_s)

    def _look_at_descriptors(self) -> None:
        """Say so when this process can open no more files. The event loop drops connections then, in silence."""
        try:
            os.close(os.dup(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2))
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self.journal.write(FILES_EXHAUSTED, limit="open files", reason=error.strerror)
