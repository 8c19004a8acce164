"""Inbound: the connection by which one other host of the daemon talks to this one.

The rule: a message of an actor gets its receipt once a commit of this host holds
it, and every request gets one answer or refusal.

`actors/cluster/peers.py` makes one for each connection that comes in. The other end is `actors/cluster/outbound.py`.
"""

import logging
import pickle
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from anyio.abc import TaskGroup

from ..address import Address
from ..errors import PerdureError
from ..text import described
from ..turn import Envelope
from ..waiting.reply import Reply
from ..waiting.watch import Watch, Watches
from .protocol import From, To
from .wire import Wire

logger = logging.getLogger(__name__)

Method = Callable[..., Awaitable[Any]]


class Receive(Protocol):
    """The function of this host that takes messages; see `Mailroom.receive`."""

    def __call__(self, address: Address, envelope: Envelope, *, new: bool = False) -> None:
        """Put a message into an actor's mailbox, or answer it with an error."""
        ...


class Inbound:
    """One connection from another host, until it ends.

    Args:
        receive: Takes the messages.
        watches: The watches of this host's actors.
        methods: The methods that the other host may call, by name.
        tasks: Calls run here, and end with the host.
        gone: Called when the connection is over.
    """

    def __init__(
        self,
        receive: Receive,
        watches: Watches,
        methods: Mapping[str, Method],
        tasks: TaskGroup,
        gone: Callable[["Inbound"], None],
    ) -> None:
        self.wire = Wire(self._receive, self._leave)
        self._deliver = receive
        self._all_watches = watches
        self._methods = methods
        self._tasks = tasks
        self._gone = gone
        self._watches: dict[int, tuple[Address, _RemoteWatch]] = {}

    def _leave(self) -> None:
        for address, watch in self._watches.values():
            self._all_watches.remove(address, watch)
        self._gone(self)

    def _receive(self, message: Any) -> None:
        word, number, *rest = message
        match word:
            case To.ASK | To.BEGIN:
                address, body = rest
                envelope = Envelope(body, _RemoteReply(self.wire, number))
                self._deliver(address, envelope, new=word is To.BEGIN)
            case To.POST:
                address, body = rest
                self._deliver(address, Envelope(body, None, _Receipt(self.wire, number)))
            case To.CALL:
                method, arguments = rest
                self._tasks.start_soon(self._call, number, method, arguments)
            case To.WATCH:
                (address,) = rest
                watch = _RemoteWatch(self.wire, number)
                self._watches[number] = (address, watch)
                self._all_watches.add(address, watch)
            case To.UNWATCH:
                address, watch = self._watches.pop(number)
                self._all_watches.remove(address, watch)

    async def _call(self, number: int, method: str, arguments: tuple[Any, ...]) -> None:
        reply = _RemoteReply(self.wire, number)
        try:
            answer = await self._methods[method](*arguments)
        except Exception as error:
            if not isinstance(error, PerdureError):
                logger.exception("another host called %r, and it broke", method)
            reply.fail(error)
        else:
            reply.succeed(answer)


class _RemoteReply(Reply):
    """A reply whose caller waits in the other host."""

    __slots__ = ("_number", "_wire")

    def __init__(self, wire: Wire, number: int) -> None:
        super().__init__()
        self._wire = wire
        self._number = number

    def _fill(self) -> None:
        super()._fill()
        if self._error is None:
            self._wire.send((From.ANSWER, self._number, self._value))
        else:
            self._wire.send((From.REFUSAL, self._number, portable(self._error)))


class _Receipt:
    """The sender of a message from the other host; see `Receipt` in actors/turn.py."""

    __slots__ = ("_number", "_wire")

    def __init__(self, wire: Wire, number: int) -> None:
        self._wire = wire
        self._number = number

    def give(self) -> None:
        self._wire.send((From.RECEIPT, self._number))


class _RemoteWatch(Watch):
    """A watch whose watcher is in the other host."""

    __slots__ = ("_number", "_wire")

    def __init__(self, wire: Wire, number: int) -> None:
        super().__init__()
        self._wire = wire
        self._number = number

    def committed(self, record: bytes | None, *, deleted: bool) -> None:
        self._wire.send((From.CHANGED, self._number, record, deleted))


def portable(error: BaseException) -> BaseException:
    """Make an error fit for another process: itself if it can be pickled, or else a `PerdureError` with its text."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  written on the same line
    except BaseException:  # pickling runs methods of the error, which may be the user's
        return PerdureError(described(error))
    return error
