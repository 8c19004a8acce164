"""Outbound: the connection over which this host talks to one other host of its daemon.

The rule: a message of an actor is sent again, in order, until the other host reports that a commit holds it or that the
receiver has moved. The request of a caller is sent once; if the connection is lost before the answer, the caller gets
`HostLost`; if no answer comes in time, `HostSilent`. If the other host reads more slowly than this one sends, messages
of actors wait here, and beyond a limit requests are refused.

`actors/cluster/peers.py` has an outbound connection to each other host. The other end is `actors/cluster/inbound.py`.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

import anyio

from ...journal.journal import Journal
from ...journal.vocabulary import HOST_LOST, HOST_SILENT
from ..address import Address
from ..errors import HostLost, HostOverloaded, HostSilent, HostUnreachable, PerdureError
from ..store.contract import FoundItems, Inspection, Stored
from ..turn import Envelope
from ..waiting.reply import Reply
from ..waiting.signal import Signal
from ..waiting.watch import Watch
from .error_form import ToldError
from .membership import Membership
from .method import HostMethod
from .protocol import (
    WIRE_MAX,
    WIRE_MIN,
    AnswerFrame,
    AskFrame,
    CallFrame,
    ChangedFrame,
    FrameCodec,
    FrameRefused,
    FromHost,
    HelloFrame,
    MovedFrame,
    PostFrame,
    ReceiptFrame,
    RefusalFrame,
    ResultFrame,
    UnwatchFrame,
    WatchFrame,
    WelcomeFrame,
)
from .side import HostSide, Moved, Origin
from .transport.endpoint import Endpoint
from .transport.transport import Transport
from .vocabulary import Vocabulary
from .wire import PILED_BYTES_MAX, Wire, framed

logger = logging.getLogger(__name__)

INSPECT = HostMethod("inspect", (Address,), Inspection | None)
READ = HostMethod("read", (Address,), Stored | None)
ITEMS = HostMethod("items", (Address, list[str]), FoundItems | None)

# After this many refused connections in a row at the other host's address, its process has ended.
REFUSALS = 2
QUICK = 20  # attempts to connect without a longer pause
LASTING_S = 1.0  # after a connection that was over sooner there is a pause
UNANSWERED_MAX = 10_000  # requests to one host


class PostedMessage(NamedTuple):
    """A message without a receipt."""

    frame: bytes
    address: Address
    envelope: Envelope
    shard: int  # of the actor that sends it; -1: no actor does


class _Asked(NamedTuple):
    """A request without an answer."""

    reply: Reply
    since_s: float  # by the event loop's clock
    wait_s: float  # how long to wait for the answer
    method: HostMethod | None  # the method that is called; None: the request is a message to an actor
    address: Address | None = None
    envelope: Envelope | None = None
    new: bool = False


class Outbound:
    """The connection to one other host. It connects by itself, and again each time the connection is lost.

    Args:
        name: The other host's name in the placement table.
        endpoint: The endpoint at which the other host listens.
        membership: Is notified whether the other host can be reached.
        transport: Connects.
        vocabulary: The vocabulary of both hosts.
        patience_s: How long a commit of the other host may wait for its database.
    """

    RECONNECT_S, SLOW_S = 0.05, 0.25
    # How long the other host may take to answer a greeting. It may have to find out first that this host lives.
    WELCOME_S = 6.0
    # How long a caller waits for the other host's answer. A host that hangs is killed soon after.
    ANSWER_S = 5.0
    # How long a request to an actor waits if its host shares a store with this one. A host that hangs is found dead
    # long before. A host that waits for its database, as this one does, is not, and answers when the database is back.
    PATIENT_S = 45.0  # at least
    BEYOND_S = 15.0  # added to the time for which that host waits for its database
    LOOK_S = 0.5  # how often to look for requests that are too old, while there are requests

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        *,
        membership: Membership,
        transport: Transport,
        vocabulary: Vocabulary,
        codec: FrameCodec,
        patience_s: float = 0.0,
    ) -> None:
        self.name = name
        self.endpoint = endpoint
        self._membership = membership
        self._me = membership.me
        self._transport = transport
        self._vocabulary = vocabulary
        self._codec = codec
        shares = membership.part is None
        self._wait_s = max(self.PATIENT_S, patience_s + self.BEYOND_S) if shares else self.ANSWER_S
        self._journal = Journal(__name__)
        # Takes back messages that were not received. Set before `run`: the other host may have left before `run`
        # begins.
        self.side: HostSide | None = None
        self._wire: Wire | None = None  # while connected and welcome
        self._numbers = count()
        self._asked: dict[int, _Asked] = {}  # requests without an answer, in the order of their times
        self._asking = Signal()
        self.posted: dict[int, PostedMessage] = {}  # messages without a receipt, in the order of sending
        self._held: dict[int, None] = {}  # those of them that this connection has not sent yet; in order
        self._watches: dict[int, tuple[Address, Watch]] = {}
        self._was_reached = False
        self._refusals = 0  # in a row
        self._failures = 0  # failed attempts to connect, in a row
        self._scope = anyio.CancelScope()
        self._retired = False
        self.changed = Signal()  # raised when the connection is made or lost
        self.told: Callable[[str], None] = lambda name: None  # called with `changed`, with the other host's name
        self._takers: Mapping[type[FromHost], Callable[[Any], None]] = {
            ReceiptFrame: self._take_receipt,
            AnswerFrame: self._take_answer,
            ResultFrame: self._take_result,
            RefusalFrame: self._take_refusal,
            ChangedFrame: self._take_change,
            MovedFrame: self._take_move,
        }

    @property
    def connected(self) -> bool:
        """Whether there is a connection over which the other host takes requests."""
        return self._wire is not None

    def deliver(self, address: Address, envelope: Envelope, *, new: bool = False) -> None:
        """Send a message to an actor of the other host; errors go to its reply.

        Args:
            new: As for `Host.ask`.
        """
        if envelope.reply is None:
            self._post(address, envelope)
            return
        asked = _Asked(envelope.reply, anyio.current_time(), self._wait_s, None, address, envelope, new)
        try:
            word, body = self._vocabulary.say(envelope.body)
            number = next(self._numbers)
            self._request(AskFrame(number, address, word, body, new), asked)
        except PerdureError as error:
            envelope.refuse(error)

    async def inspect(self, address: Address) -> Inspection | None:
        """Call `Host.inspect` of the other host."""
        found: Inspection | None = await self.call(INSPECT, address)
        return found

    async def read(self, address: Address) -> Stored | None:
        """Call `Host.read` of the other host."""
        found: Stored | None = await self.call(READ, address)
        return found

    async def call(self, method: HostMethod, *arguments: Any) -> Any:
        """Call a method of the other host, and wait for the value that it returns.

        Args:
            method: A method that the other host has registered with `Peers.answer`.

        Raises:
            HostUnreachable: The method was not called.
            HostLost, HostSilent: The method may have been called.
            PerdureError: The method raised it there.
        """
        reply = Reply()
        number = next(self._numbers)
        frame = CallFrame(number, method.name, method.pack_arguments(arguments))
        self._request(frame, _Asked(reply, anyio.current_time(), self.ANSWER_S, method))
        return await reply.wait()

    def tell(self, method: HostMethod, *arguments: Any) -> None:
        """Call a method of the other host, if it can be reached, and ignore the answer."""
        self._send(CallFrame(next(self._numbers), method.name, method.pack_arguments(arguments)))

    def follow(self, address: Address, watch: Watch) -> Callable[[], None]:
        """Notify a watch of the commits of an actor of the other host.

        Returns:
            A function that ends it.
        """
        number = next(self._numbers)
        if self._retired:
            watch.lose()
        self._watches[number] = (address, watch)
        self._send(WatchFrame(number, address))

        def end() -> None:
            del self._watches[number]
            self._send(UnwatchFrame(number))

        return end

    def wake(self) -> None:
        """Wake all watchers: this host is stopping."""
        for _, watch in self._watches.values():
            watch.wake()

    # From the start to the end.

    async def run(self) -> None:
        """Connect, and connect again when the connection is lost, until cancelled or retired."""
        with self._scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._give_up)
                try:
                    while True:
                        await self._be_connected()
                finally:
                    self._lose()

    def retire(self) -> None:
        """End, because the other host is dead or has left.

        Callers get `HostLost`, and watches are lost. Messages without a receipt are returned to this host's side, in
        their order.
        """
        self._retired = True
        self._lose()
        self._scope.cancel()
        posted, self.posted = self.posted, {}
        if self.side is not None:
            for each in posted.values():
                self.side.returned(each.address, each.envelope, new=False, moved=None)

    def withdraw(self, shards: Collection[int]) -> None:
        """Drop messages without a receipt that actors of these shards have sent.

        The new owner of the shards recovers those actors, which send again the messages that are still needed.
        """
        self.posted = {number: each for number, each in self.posted.items() if each.shard not in shards}

    def recall(self, wanted: Callable[[Address], bool]) -> Sequence[tuple[Address, Envelope]]:
        """Take back the messages without a receipt to some actors, in order. A later receipt or answer for such a
        message is void.

        Args:
            wanted: Whether an actor is one of these actors.
        """
        found = {number: each for number, each in self.posted.items() if wanted(each.address)}
        self.posted = {number: each for number, each in self.posted.items() if number not in found}
        return [(each.address, each.envelope) for each in found.values()]

    def abandon(self) -> None:
        """End, because this host is dead for the others: drop all messages; callers get `HostLost`."""
        self.posted.clear()
        self.retire()

    async def _be_connected(self) -> None:
        """Connect, and return when the connection is lost."""
        news = Signal()
        wire = Wire(
            lambda packed: self._receive(wire, news, packed),
            news.set,
            lambda connection: self._transport.verify(self.endpoint, connection),
            self._journal,
        )
        wire.peer = self.name
        wire.trusted = True  # the transport has verified that it is the expected host
        try:
            with anyio.fail_after(self.WELCOME_S):
                await self._transport.connect(self.endpoint, wire)
        except (OSError, TimeoutError) as error:
            self._refusals = self._refusals + 1 if isinstance(error, ConnectionRefusedError) else 0
            if self._was_reached and self._refusals == REFUSALS:
                self._membership.refused(self.name)
            await self._pause()
            return
        self._refusals = 0
        try:
            wire.send(self._codec.pack(HelloFrame(self._me, WIRE_MIN, WIRE_MAX, self._membership.timeline)))
            await news.wait_for(self.WELCOME_S)
            if self._wire is None:
                await self._pause()
                return
            began_s = anyio.current_time()
            while not wire.over:
                await news.wait()
            self._lose()
            self._journal.write(HOST_LOST, host=self.name)  # the host may be stopping; its supervisor knows it
            if anyio.current_time() < began_s + LASTING_S:
                # Another process may claim to be this host: without a pause the two would replace each other endlessly.
                await self._pause()
        finally:
            wire.close()

    async def _pause(self) -> None:
        """Wait before the next attempt: for a moment at first, and longer after many failed attempts."""
        self._failures += 1
        await anyio.sleep(self.RECONNECT_S if self._failures <= QUICK else self.SLOW_S)

    async def _give_up(self) -> None:
        """Fail the requests that have had no answer for too long, until cancelled."""
        while True:
            if not self._asked:
                await self._asking.wait()
            await anyio.sleep(self.LOOK_S)
            now_s = anyio.current_time()
            late = {number: each for number, each in self._asked.items() if each.since_s + each.wait_s <= now_s}
            for number, asked in late.items():
                del self._asked[number]
                asked.reply.fail(HostSilent(self.name, waited_s=asked.wait_s))
            if late:
                waited_s = max(asked.wait_s for asked in late.values())
                self._journal.write(HOST_SILENT, host=self.name, found=len(late), waited_s=waited_s)

    def _resume(self, wire: Wire) -> None:
        """Send messages without a receipt and watches again, over a new connection."""
        self._wire = wire
        self._held = dict.fromkeys(self.posted)
        wire.has_room = self._send_held
        self._send_held()
        for number, (address, watch) in self._watches.items():
            self._send(WatchFrame(number, address))
            # Commits since the last connection was lost may have been missed.
            watch.lose()
        self._was_reached = True
        self._failures = 0
        self.changed.set()
        self._membership.reached(self.name, True)
        self.told(self.name)
        logger.debug("connected to %s, %d messages to send again", self.name, len(self.posted))

    def _lose(self) -> None:
        """Drop the connection; fail all requests, and notify all watchers."""
        was_connected = self._wire is not None
        if self._wire is not None:
            self._wire.close()
        self._wire = None
        all_asked, self._asked = self._asked, {}
        for asked in all_asked.values():
            asked.reply.fail(HostLost(self.name))
        for _, watch in self._watches.values():
            watch.lose()
        self.changed.set()
        if was_connected:
            self._membership.reached(self.name, False)
            self.told(self.name)

    # Frames that go there.

    def _post(self, address: Address, envelope: Envelope) -> None:
        """Send a message without a reply, and keep it until its receipt comes."""
        number = next(self._numbers)
        origin: Origin | None = self.side.origin(envelope.sender) if self.side is not None else None
        shard, epoch = origin if origin is not None else (-1, 0)
        try:
            word, body = self._vocabulary.say(envelope.body)
            frame = framed(self._codec.pack(PostFrame(number, address, word, body, shard, epoch)))
        except PerdureError as error:
            # Its sender keeps its active mark, and sends the message again when it recovers, maybe in another release.
            logger.error("a message to %s cannot be sent to %s: %s", address, self.name, error)
            return
        self.posted[number] = PostedMessage(frame, address, envelope, shard)
        if self._wire is not None and (self._wire.full or self._held):
            self._held[number] = None
        elif self._wire is not None:
            self._wire.send_framed(frame)

    def _send_held(self) -> None:
        """Send messages that have waited, in order, as long as the other host takes them."""
        wire = self._wire
        while wire is not None and self._held and not wire.full:
            number = next(iter(self._held))
            del self._held[number]
            if (posted := self.posted.get(number)) is not None:
                wire.send_framed(posted.frame)

    def _request(self, frame: AskFrame | CallFrame, asked: _Asked) -> None:
        """Send a request.

        Raises:
            HostUnreachable, HostOverloaded, FrameTooLong: It was not sent.
        """
        if self._wire is None:
            raise HostUnreachable(self.name)
        if len(self._asked) >= UNANSWERED_MAX or self._wire.piled > PILED_BYTES_MAX:
            raise HostOverloaded(self.name, unanswered=len(self._asked))
        self._wire.send(self._codec.pack(frame))
        self._asked[frame.number] = asked
        self._asking.set()

    def _send(self, frame: WatchFrame | UnwatchFrame | CallFrame) -> None:
        if self._wire is not None:
            self._wire.send(self._codec.pack(frame))

    # Frames that come back.

    def _receive(self, wire: Wire, news: Signal, packed: bytes) -> None:
        frame = self._codec.from_host(packed)
        if type(frame) is WelcomeFrame:
            if self._wire is not None:
                raise FrameRefused("it welcomes twice")
            if not WIRE_MIN <= frame.wire <= WIRE_MAX:
                raise FrameRefused(f"it talks version {frame.wire} of the wire, which this release does not know")
            self._resume(wire)
            news.set()
            return
        if wire is not self._wire:
            raise FrameRefused("it answers before it has welcomed")
        self._takers[type(frame)](frame)

    def _take_receipt(self, frame: ReceiptFrame) -> None:
        posted = self.posted.pop(frame.number, None)
        if posted is not None and posted.envelope.sender is not None and self.side is not None:
            self.side.acknowledge(posted.envelope.sender)

    def _take_answer(self, frame: AnswerFrame) -> None:
        # Read before the request is removed: an unreadable answer ends the connection, and with it the request. An
        # answer that comes too late finds no request.
        value = self._vocabulary.hear(frame.word, frame.value)
        if (asked := self._asked.pop(frame.number, None)) is not None:
            asked.reply.succeed(value)

    def _take_result(self, frame: ResultFrame) -> None:
        asked = self._asked.get(frame.number)
        if asked is not None and asked.method is not None:
            value = asked.method.result_in(frame.value)
            del self._asked[frame.number]
            asked.reply.succeed(value)

    def _take_refusal(self, frame: RefusalFrame) -> None:
        if (asked := self._asked.pop(frame.number, None)) is not None:
            told = ToldError(frame.error, frame.arguments, frame.text)
            asked.reply.fail(self._vocabulary.errors.hear(told))

    def _take_change(self, frame: ChangedFrame) -> None:
        if frame.number not in self._watches:
            return
        _, watch = self._watches[frame.number]
        if frame.lost:
            watch.lose()
        else:
            watch.committed(frame.record, deleted=frame.deleted)

    def _take_move(self, frame: MovedFrame) -> None:
        """Return a message that the other host has not processed."""
        if self.side is None:
            return
        moved = Moved(frame.shard, frame.owner, frame.epoch)
        if (posted := self.posted.pop(frame.number, None)) is not None:
            self.side.returned(posted.address, posted.envelope, new=False, moved=moved)
        elif (asked := self._asked.pop(frame.number, None)) is not None:
            if asked.envelope is not None and asked.address is not None:
                self.side.returned(asked.address, asked.envelope, new=asked.new, moved=moved)
            else:
                asked.reply.fail(HostUnreachable(self.name))
