"""A neighbour: another host of the same daemon, as this one talks to it.

The one law: what an actor sends is sent again, in its order, until the other
host says that a commit holds it. What a caller asks is sent once: if the
connection is lost, nobody knows whether it happened, and the caller learns that.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from functools import partial
from itertools import count
from typing import Any

import anyio

from ..address import Address
from ..errors import HostLost, HostUnreachable
from ..store.contract import Inspection, Stored
from ..turn import Envelope
from ..waiting.reply import Reply
from ..waiting.signal import Signal
from ..waiting.watch import Watch
from .wire import Wire, connect, packed

logger = logging.getLogger(__name__)


class To(IntEnum):
    """What a host says to its neighbour, and what follows in the message."""

    ASK = 0  # number, address, body: a message to an actor, whose reply is the answer
    BEGIN = 1  # the same, to an actor whose address was just made up
    POST = 2  # number, address, body: a message to an actor, acknowledged once a commit holds it
    CALL = 3  # number, method, arguments: answered with what the method returns
    WATCH = 4  # number, address
    UNWATCH = 5  # number


class From(IntEnum):
    """What comes back."""

    ANSWER = 0  # number, value
    REFUSAL = 1  # number, error
    RECEIPT = 2  # number
    NOTE = 3  # number, record or None, deleted: a commit has changed a watched actor


class Neighbour:
    """The way to one other host. Connects by itself, and again whenever the connection is lost.

    Args:
        path: Of the socket at which the other host listens.
    """

    RECONNECT_S = 0.05

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self._path = path
        self._wire: Wire | None = None  # while connected
        self._numbers = count()
        self._asked: dict[int, Reply] = {}
        self._posted: dict[int, tuple[bytes, Any]] = {}  # what nobody has acknowledged, and its sender
        self._watches: dict[int, tuple[Address, Watch]] = {}
        self.changed = Signal()  # connected, or not any more

    @property
    def connected(self) -> bool:
        return self._wire is not None

    def deliver(self, address: Address, envelope: Envelope, *, new: bool = False) -> None:
        """Send a message to an actor of the other host.

        Args:
            new: As for `Host.ask`.
        """
        if envelope.reply is not None:
            self._request(To.BEGIN if new else To.ASK, address, envelope.body, envelope.reply)
        else:
            self._post(address, envelope.body, envelope.sender)

    async def inspect(self, address: Address) -> Inspection | None:
        """What `Host.inspect` gives there."""
        found: Inspection | None = await self.call("inspect", address)
        return found

    async def read(self, address: Address) -> Stored | None:
        """What `Host.read` gives there."""
        found: Stored | None = await self.call("read", address)
        return found

    async def call(self, method: str, *arguments: Any) -> Any:
        """Have the other host do something by itself, and wait for what it returns.

        Raises:
            HostUnreachable: Nothing was done.
            HostLost: It may have happened.
            Exception: Whatever the method raised there.
        """
        reply = Reply()
        self._request(To.CALL, method, arguments, reply)
        return await reply.wait()

    @contextmanager
    def watch(self, address: Address) -> Iterator[Watch]:
        """Be told of each commit that changes an actor of the other host."""
        number = next(self._numbers)
        watch = Watch()
        self._watches[number] = (address, watch)
        self._send((To.WATCH, number, address))
        try:
            yield watch
        finally:
            del self._watches[number]
            self._send((To.UNWATCH, number))

    def wake(self) -> None:
        """Wake who watches: this host is stopping."""
        for _, watch in self._watches.values():
            watch.wake()

    async def run(self, acknowledged: Callable[[Any], None]) -> None:
        """Be connected, until cancelled.

        Args:
            acknowledged: Told the sender of each message that a commit of the other host holds.
        """
        try:
            while True:
                lost = Signal()
                try:
                    wire = await connect(self._path, Wire(partial(self._receive, acknowledged), lost.set))
                except OSError:
                    await anyio.sleep(self.RECONNECT_S)
                    continue
                self._resume(wire)
                await lost.wait()
                self._lose()
                logger.info("lost the connection to %s", self.name)  # which may be stopping; its supervisor knows
        finally:
            self._lose()

    def _resume(self, wire: Wire) -> None:
        """Say over a new connection what has to be said again."""
        self._wire = wire
        for message, _ in self._posted.values():
            wire.send_packed(message)
        for number, (address, _) in self._watches.items():
            wire.send((To.WATCH, number, address))
        self.changed.set()
        logger.debug("connected to %s, %d messages to send again", self.name, len(self._posted))

    def _lose(self) -> None:
        """Be without a connection, and tell whoever waits."""
        if self._wire is not None:
            self._wire.close()
        self._wire = None
        asked, self._asked = self._asked, {}
        for reply in asked.values():
            reply.fail(HostLost(self.name))
        for _, watch in self._watches.values():
            watch.lose()
        self.changed.set()

    def _post(self, address: Address, body: Any, sender: Any) -> None:
        """Send a message that nobody waits for, as often as it takes."""
        number = next(self._numbers)
        message = packed((To.POST, number, address, body))
        self._posted[number] = (message, sender)
        if self._wire is not None:
            self._wire.send_packed(message)

    def _request(self, what: To, about: Any, body: Any, reply: Reply) -> None:
        if self._wire is None:
            reply.fail(HostUnreachable(self.name))
            return
        number = next(self._numbers)
        self._wire.send((what, number, about, body))
        self._asked[number] = reply

    def _send(self, message: Any) -> None:
        if self._wire is not None:
            self._wire.send(message)

    def _receive(self, acknowledged: Callable[[Any], None], message: Any) -> None:
        what, number, *rest = message
        match what:
            case From.RECEIPT:
                _, sender = self._posted.pop(number)
                if sender is not None:
                    acknowledged(sender)
            case From.ANSWER:
                self._asked.pop(number).succeed(*rest)
            case From.REFUSAL:
                self._asked.pop(number).fail(*rest)
            case From.NOTE:
                if number in self._watches:
                    record, deleted = rest
                    self._watches[number][1].note(record, deleted=deleted)
