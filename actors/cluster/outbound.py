"""Outbound: the connection by which this host talks to one other host of its daemon.

The rule: a message that an actor sends is sent again, in its order, until the
other host says that a commit holds it. The request of a caller is sent once; if
the connection is lost before the answer, the caller gets `HostLost`; if no answer comes in ANSWER_S, `HostSilent`.

`actors/cluster/peers.py` has one for each other host. The other end is `actors/cluster/inbound.py`.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any

import anyio

from ...journal.journal import Journal
from ...journal.vocabulary import HOST_LOST, HOST_SILENT
from ..address import Address
from ..errors import HostLost, HostSilent, HostUnreachable
from ..store.contract import Inspection, Stored
from ..turn import Envelope
from ..waiting.reply import Reply
from ..waiting.signal import Signal
from ..waiting.watch import Watch
from .protocol import From, To
from .wire import Wire, connect, packed

logger = logging.getLogger(__name__)


class Outbound:
    """The connection to one other host. It connects by itself, and again each time the connection is lost.

    Args:
        name: The other host's name in the placement table.
        path: The socket at which the other host listens.
    """

    RECONNECT_S = 0.05
    # How long a caller waits for the other host's answer. A host that hangs is killed soon after.
    ANSWER_S = 5.0
    LOOK_S = 0.5  # how often requests that are too old are looked for, while there are any

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self._path = path
        self._journal = Journal(__name__)
        self._wire: Wire | None = None  # while connected
        self._numbers = count()
        self._asked: dict[int, tuple[Reply, float]] = {}  # and when to give up, by the event loop's clock; in order
        self._asking = Signal()
        self._posted: dict[int, tuple[bytes, Any]] = {}  # messages without a receipt, packed, and their senders
        self._watches: dict[int, tuple[Address, Watch]] = {}
        self.changed = Signal()  # raised when the connection is made or lost

    @property
    def connected(self) -> bool:
        return self._wire is not None

    def deliver(self, address: Address, envelope: Envelope, *, new: bool = False) -> None:
        """Send a message to an actor of the other host; errors go to its reply.

        Args:
            new: As for `Host.ask`.
        """
        if envelope.reply is not None:
            self._request(To.BEGIN if new else To.ASK, address, envelope.body, envelope.reply)
        else:
            self._post(address, envelope.body, envelope.sender)

    async def inspect(self, address: Address) -> Inspection | None:
        """Call `Host.inspect` of the other host."""
        found: Inspection | None = await self.call("inspect", address)
        return found

    async def read(self, address: Address) -> Stored | None:
        """Call `Host.read` of the other host."""
        found: Stored | None = await self.call("read", address)
        return found

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the other host, and wait for the value that it returns.

        Args:
            method: A name that the other host's `Peers.answer` has.

        Raises:
            HostUnreachable: The method was not called.
            HostLost, HostSilent: The method may have been called.
            Exception: The method raised it there.
        """
        reply = Reply()
        self._request(To.CALL, method, arguments, reply)
        return await reply.wait()

    @contextmanager
    def watch(self, address: Address) -> Iterator[Watch]:
        """Watch an actor of the other host until the block ends; see `Host.watch`."""
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
        """Wake all watchers: this host is stopping."""
        for _, watch in self._watches.values():
            watch.wake()

    async def run(self, acknowledged: Callable[[Any], None]) -> None:
        """Connect, and connect again when the connection is lost, until cancelled.

        Args:
            acknowledged: Called with the sender of each message once a commit of the other host holds it.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._give_up)
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
                    self._journal.write(HOST_LOST, host=self.name)  # which may be stopping; its supervisor knows
            finally:
                self._lose()

    async def _give_up(self) -> None:
        """Fail the requests that have had no answer for too long, until cancelled."""
        while True:
            if not self._asked:
                await self._asking.wait()
            await anyio.sleep(self.LOOK_S)
            now_s = anyio.current_time()
            silent = 0
            for number, (reply, until_s) in list(self._asked.items()):
                if until_s > now_s:
                    break
                del self._asked[number]
                reply.fail(HostSilent(self.name, waited_s=self.ANSWER_S))
                silent += 1
            if silent:
                self._journal.write(HOST_SILENT, host=self.name, found=silent, waited_s=self.ANSWER_S)

    def _resume(self, wire: Wire) -> None:
        """Send messages without a receipt and watches again, over a new connection."""
        self._wire = wire
        for message, _ in self._posted.values():
            wire.send_packed(message)
        for number, (address, _) in self._watches.items():
            wire.send((To.WATCH, number, address))
        self.changed.set()
        logger.debug("connected to %s, %d messages to send again", self.name, len(self._posted))

    def _lose(self) -> None:
        """Forget the connection; fail all requests, and tell all watchers."""
        if self._wire is not None:
            self._wire.close()
        self._wire = None
        asked, self._asked = self._asked, {}
        for reply, _ in asked.values():
            reply.fail(HostLost(self.name))
        for _, watch in self._watches.values():
            watch.lose()
        self.changed.set()

    def _post(self, address: Address, body: Any, sender: Any) -> None:
        """Send a message without a reply, and keep it until its receipt comes."""
        number = next(self._numbers)
        message = packed((To.POST, number, address, body))
        self._posted[number] = (message, sender)
        if self._wire is not None:
            self._wire.send_packed(message)

    def _request(self, word: To, about: Any, body: Any, reply: Reply) -> None:
        if self._wire is None:
            reply.fail(HostUnreachable(self.name))
            return
        number = next(self._numbers)
        self._wire.send((word, number, about, body))
        self._asked[number] = (reply, anyio.current_time() + self.ANSWER_S)
        self._asking.set()

    def _send(self, message: Any) -> None:
        if self._wire is not None:
            self._wire.send(message)

    def _receive(self, acknowledged: Callable[[Any], None], message: Any) -> None:
        word, number, *rest = message
        match word:
            case From.RECEIPT:
                _, sender = self._posted.pop(number)
                if sender is not None:
                    acknowledged(sender)
            case From.ANSWER:
                if number in self._asked:  # else the answer comes too late
                    self._asked.pop(number)[0].succeed(*rest)
            case From.REFUSAL:
                if number in self._asked:
                    self._asked.pop(number)[0].fail(*rest)
            case From.CHANGED:
                if number in self._watches:
                    record, deleted = rest
                    self._watches[number][1].committed(record, deleted=deleted)
