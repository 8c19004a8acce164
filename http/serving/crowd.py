"""The connections of a port, with limits on their number, on the time of each client, and on unread answers.

The rule: a slow client slows no other client down. A connection that waits for its client has a deadline for each wait.
If there are too many connections, the longest idle ones are closed, and then those whose client has closed its end
before its answer was made, because most of these clients have gone. If too many bytes of answers are unread, the
connection whose client has read nothing for the longest time is closed.

`http/serving/protocol.py` has the connections, and `http/serving/server.py` calls `sweep` about once a second. Between
two sweeps `now_s` does not change, so that a request reads no clock.
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

# Longer than the 90 s after which Go's client closes an idle connection. If the server closed it first, a client that
# reuses the connection at that moment would see a reset.
KEEP_ALIVE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """The limits of a port for the connections of its clients."""

    connections_max: int = 1_000
    head_s: float = 20.0  # from the connection, or the first byte of a request, to the end of the head
    body_s: float = 30.0  # for a body, plus the time for its bytes:
    body_bytes_per_s_min: int = 1024  # each N received bytes of a body give one second more
    idle_s: float = KEEP_ALIVE_S  # between two requests
    unread_s: float = 60.0  # for a client that reads nothing of its answer
    unread_bytes_max: int = 64 * 1024 * 1024  # of all unread answers
    linger_s: float = 10.0  # for a client that still sends a refused body, to read the answer
    sweep_s: float = 1.0  # how often deadlines are checked

    def __post_init__(self) -> None:
        if self.connections_max < 1:
            raise ValueError(f"connections_max must be at least 1, not {self.connections_max}")


class ClientConnection(Protocol):
    """The part of a connection that this module uses."""

    since_s: float  # when its present wait began
    unread_bytes: float  # of its answer, at the last check
    moved_s: float  # when this number last became smaller
    half_closed: bool  # its client has closed its sending end; whether it still reads is unknown

    def waiting(self) -> str | None:
        """The step of its client that the connection waits for, as a key of `_deadline_s`; None: it does not wait."""
        ...

    def closing(self) -> bool:
        """Whether the connection is being closed."""
        ...

    def bytes_unread(self) -> int:
        """How many bytes of answers the client has not read."""
        ...

    def body_bytes(self) -> int:
        """The number of bytes of the present body that have arrived."""
        ...

    def give_up(self, waited_for: str) -> None:
        """Close the connection, because its client took too long for this step."""
        ...

    def cut_off(self) -> None:
        """Close the connection at once, and drop unread answers."""
        ...


HEAD, BODY, IDLE, LINGER = "head", "body", "idle", "linger"


class Crowd:
    """The connections of one port."""

    def __init__(self, limits: ConnectionLimits, now_s: float) -> None:
        self.limits = limits
        self.now_s = now_s  # the loop's clock at the last sweep
        self.stalled: dict[ClientConnection, None] = {}  # whose answers are not read as fast as they are written
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
        # Several at once, so that a flood of connections does not need a search for each.
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
            then=f"{len(longest)} that were idle longest were closed" if longest else "a new one was refused",
        )
        return len(longest) >= over

    def stall(self, connection: ClientConnection) -> None:
        """Note that the client of a connection does not read its answer as fast as it is written.

        The unread bytes of all such connections are kept within the limit: the connections whose clients have read
        nothing for the longest time are closed. A single such connection is not closed.
        """
        connection.unread_bytes, connection.moved_s = connection.bytes_unread(), self.now_s
        self.stalled[connection] = None
        unread = sum(each.bytes_unread() for each in self.stalled)
        while unread > self.limits.unread_bytes_max and len(self.stalled) > 1:
            # Of several with the same time, the one that stalled first.
            longest = min(self.stalled, key=lambda each: each.moved_s)
            unread -= longest.bytes_unread()
            self.drop(longest)
            self.journal.write(ANSWERS_UNREAD, limit="unread_bytes_max", maximum=self.limits.unread_bytes_max)

    def flow(self, connection: ClientConnection) -> None:
        """Note that a connection's answer is read again, or that the connection is closed."""
        self.stalled.pop(connection, None)

    def drop(self, connection: ClientConnection) -> None:
        """Close a connection at once, without the rest of its answer."""
        self.flow(connection)
        connection.cut_off()

    def sweep(self, connections: Iterable[ClientConnection], now_s: float) -> None:
        """Close the connections whose client has taken too long, and log the effects of the limits."""
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
        """Log when this process can open no more files, because the event loop then drops connections silently."""
        try:
            os.close(os.dup(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2))
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self.journal.write(FILES_EXHAUSTED, limit="open files", reason=error.strerror)
