"""Inbound: the connection over which one other host of the daemon talks to this one.

The rule: frames of a connection are refused until its host is known to live. A message of an actor gets its receipt
once a commit of this host holds it. Every request gets one frame back: an answer, a refusal, or the owner of its shard.
Results of calls wait for a host that reads slowly; a host that does not read its answers is disconnected.

`actors/cluster/peers.py` makes one for each connection that comes in. The other end is `actors/cluster/outbound.py`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from anyio.abc import TaskGroup

from ...journal.journal import Journal
from ...journal.vocabulary import WIRE_REFUSED
from ..address import Address
from ..errors import FrameTooLong, NotOwner, PerdureError
from ..turn import Envelope
from ..waiting.reply import Reply
from ..waiting.watch import Watch, Watches
from .method import HostMethod
from .protocol import (
    AnswerFrame,
    AskFrame,
    CallFrame,
    ChangedFrame,
    FrameCodec,
    FrameRefused,
    HelloFrame,
    MovedFrame,
    PostFrame,
    ReceiptFrame,
    RefusalFrame,
    ResultFrame,
    ToHost,
    UnwatchFrame,
    WatchFrame,
    WelcomeFrame,
    wire_for,
)
from .side import HostSide, Origin
from .transport.transport import Transport
from .vocabulary import Vocabulary
from .wire import PILED_BYTES_MAX, Wire

logger = logging.getLogger(__name__)

Method = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """The parts that all incoming connections share."""

    side: HostSide
    watches: Watches  # of this host's actors
    methods: Mapping[str, tuple[HostMethod, Method]]  # the methods that other hosts may call, by name
    tasks: TaskGroup  # calls run here, and end with the host
    vocabulary: Vocabulary
    codec: FrameCodec
    transport: Transport
    journal: Journal
    lives: Callable[[str], bool]  # whether a host with a name is known to live
    timeline: Callable[[], str]  # see `Membership.timeline`
    heard: Sequence[Callable[[Any], None]] = ()  # called with each message that a commit of this host holds


class Inbound:
    """One connection from another host, until it ends.

    Args:
        inbounds: All inbound connections, in the order in which they came. This one adds and removes itself.
    """

    # How long a caller may take to send its name, and this host to see in its next beat that a host with that name
    # lives.
    GREETING_S = 5.0

    def __init__(self, reception: Reception, inbounds: dict["Inbound", None]) -> None:
        self.wire = Wire(self._receive, self._leave, self._made, reception.journal)
        self._room = asyncio.Event()
        self.wire.has_room = self._room.set
        self.host: str | None = None  # the name of the other end, once it has sent it
        self.welcome = False  # whether the other end lives, and its requests are taken
        self._reception = reception
        self._inbounds = inbounds
        self._caller: str | None = None  # the name that the transport has verified
        self._version: int | None = None
        self._timeline = ""  # the timeline that the other end has seen
        self._deadline: asyncio.TimerHandle | None = None
        self._watches: dict[int, tuple[Address, _RemoteWatch]] = {}
        self._takers: Mapping[type[ToHost], Callable[[Any], None]] = {
            AskFrame: self._take_ask,
            PostFrame: self._take_post,
            CallFrame: self._take_call,
            WatchFrame: self._take_watch,
            UnwatchFrame: self._take_unwatch,
        }

    def review(self) -> None:
        """Check again whether the host at the other end lives, because the set of hosts has changed."""
        if self.host is None:
            return
        if self._reception.lives(self.host):
            if not self.welcome and self._is_of_our_time():
                self._let_in()
        elif self.welcome:
            self.wire.close()

    def _is_of_our_time(self) -> bool:
        """Whether both ends have seen the same server last, or the caller has just begun and has seen none.

        This end waits until it has seen the server itself: otherwise it might take messages of a caller that is behind.
        """
        return self._timeline in ("", self._reception.timeline())

    def _made(self, connection: asyncio.BaseTransport) -> None:
        self._inbounds[self] = None
        self._deadline = asyncio.get_running_loop().call_later(self.GREETING_S, self._expire)
        self._caller = self._reception.transport.caller(connection)
        self.wire.peer = self._caller or self.wire.peer

    def _expire(self) -> None:
        if not self.welcome:
            reason = f"it has not become known as a host of this daemon in {self.GREETING_S:g} s"
            self._reception.journal.write(WIRE_REFUSED, host=self.wire.peer, reason=reason)
            self.wire.close()

    def _leave(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        for address, watch in self._watches.values():
            self._reception.watches.remove(address, watch)
        self._watches.clear()
        self._room.set()
        self._inbounds.pop(self, None)

    def _greet(self, hello: HelloFrame) -> None:
        if self.host is not None:
            raise FrameRefused("it sends its name twice")
        if self._caller is not None and self._caller != hello.name:
            raise FrameRefused(f"it says that it is {hello.name[:80]!r}, and its certificate says {self._caller!r}")
        self._version = wire_for(hello.wire_min, hello.wire_max)
        if self._version is None:
            raise FrameRefused(
                f"it knows versions {hello.wire_min} to {hello.wire_max} of the wire, of which this release knows none"
            )
        self._timeline = hello.timeline
        self.host = self.wire.peer = hello.name
        self.review()

    def _let_in(self) -> None:
        assert self._version is not None
        self.welcome = self.wire.trusted = True
        if self._deadline is not None:
            self._deadline.cancel()
        for other in list(self._inbounds):
            if other is not self and other.host == self.host:
                # The host has connected anew: messages that still come over its last connection would be out of order.
                other.wire.close()
        self.wire.send(self._reception.codec.pack(WelcomeFrame(self._version)))

    def _receive(self, packed: bytes) -> None:
        frame = self._reception.codec.to_host(packed)
        if type(frame) is HelloFrame:
            self._greet(frame)
            return
        if not self.welcome:
            raise FrameRefused("it sends a request before it is welcome")
        self._takers[type(frame)](frame)

    def _take_ask(self, frame: AskFrame) -> None:
        body = self._reception.vocabulary.hear(frame.word, frame.body)
        envelope = Envelope(body, _RemoteReply(self, frame.number))
        self._reception.side.receive(frame.address, envelope, new=frame.new)

    def _take_watch(self, frame: WatchFrame) -> None:
        if frame.number in self._watches:
            raise FrameRefused("it begins a watch twice")
        watch = _RemoteWatch(self, frame.number)
        self._watches[frame.number] = (frame.address, watch)
        self._reception.watches.add(frame.address, watch)

    def _take_unwatch(self, frame: UnwatchFrame) -> None:
        found = self._watches.pop(frame.number, None)
        if found is None:
            raise FrameRefused("it ends a watch that it has not begun")
        self._reception.watches.remove(*found)

    def _take_post(self, frame: PostFrame) -> None:
        if frame.shard >= 0 and self._reception.side.is_late(Origin(frame.shard, frame.epoch)):
            # Its sender's host has lost the shard since. The new owner sends the message again if it is still needed.
            return
        body = self._reception.vocabulary.hear(frame.word, frame.body)
        self._reception.side.receive(frame.address, Envelope(body, None, _Receipt(self, frame.number, body)))

    def _take_call(self, frame: CallFrame) -> None:
        found = self._reception.methods.get(frame.method)
        if found is None:
            self.refuse(frame.number, PerdureError(f"this host has no method {frame.method[:80]!r}"))
            return
        method, function = found
        arguments = method.arguments_in(frame.arguments)
        self._reception.tasks.start_soon(self._call, frame.number, method, function, arguments)

    async def _call(self, number: int, method: HostMethod, function: Method, arguments: Sequence[Any]) -> None:
        try:
            result = await function(*arguments)
            while self.wire.full and not self.wire.over:
                self._room.clear()
                await self._room.wait()
            self.send(ResultFrame(number, method.pack_result(result)))
        except Exception as error:
            if not isinstance(error, PerdureError):
                logger.exception("another host called %r, and it broke", method.name)
            self.refuse(number, error)

    # Frames that go back.

    def send(self, frame: AnswerFrame | ResultFrame | ChangedFrame | ReceiptFrame | MovedFrame) -> None:
        """Send a frame back, unless the connection is over.

        Raises:
            FrameTooLong: It is not sent.
        """
        self._write(self._reception.codec.pack(frame))

    def _write(self, packed: bytes) -> None:
        if self.wire.piled > PILED_BYTES_MAX:
            # Callers at the other end get `HostLost`, and messages that need a receipt are sent again.
            self.wire.refuse(FrameRefused(f"it does not read its answers, and {self.wire.piled:,} bytes of them wait"))
        else:
            self.wire.send(packed)

    def committed(self, body: Any) -> None:
        """Take note that a commit holds a message that has come here."""
        for heard in self._reception.heard:
            heard(body)

    def answer(self, number: int, value: Any) -> None:
        """Send an actor's answer back; if it cannot be sent, send an error with the reason."""
        try:
            self.send(AnswerFrame(number, *self._reception.vocabulary.say(value)))
        except PerdureError as error:
            logger.error("an answer to %s cannot be sent: %s", self.wire.peer, error)
            self.refuse(number, error)

    def refuse(self, number: int, error: BaseException) -> None:
        """Send an error back."""
        if type(error) is NotOwner:
            self.send(MovedFrame(number, error.shard, error.owner, error.epoch))
            return
        told = self._reception.vocabulary.errors.tell(error)
        self._write(self._reception.codec.pack(RefusalFrame(number, *told)))


class _RemoteReply(Reply):
    """A reply whose caller waits in the other host."""

    __slots__ = ("_inbound", "_number")

    remote: ClassVar[bool] = True

    def __init__(self, inbound: Inbound, number: int) -> None:
        super().__init__()
        self._inbound = inbound
        self._number = number

    def _fill(self) -> None:
        super()._fill()
        if self._error is None:
            self._inbound.answer(self._number, self._value)
        else:
            self._inbound.refuse(self._number, self._error)


class _Receipt:
    """The sender of a message from the other host; see `Receipt` in actors/turn.py."""

    __slots__ = ("_body", "_inbound", "_number")

    def __init__(self, inbound: Inbound, number: int, body: Any) -> None:
        self._inbound = inbound
        self._number = number
        self._body = body

    def give(self) -> None:
        self._inbound.committed(self._body)
        self._inbound.send(ReceiptFrame(self._number))

    def refuse(self, error: BaseException) -> None:
        # After another error the message has no receipt: it is sent again over the next connection.
        if type(error) is NotOwner:
            self._inbound.refuse(self._number, error)


class _RemoteWatch(Watch):
    """A watch whose watcher is in the other host."""

    __slots__ = ("_inbound", "_number")

    def __init__(self, inbound: Inbound, number: int) -> None:
        super().__init__()
        self._inbound = inbound
        self._number = number

    def committed(self, record: bytes | None, *, deleted: bool) -> None:
        try:
            self._inbound.send(ChangedFrame(self._number, record, deleted))
        except FrameTooLong:
            self.lose()

    def lose(self) -> None:
        self._inbound.send(ChangedFrame(self._number, None, False, lost=True))
