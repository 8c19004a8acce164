"""Peers: the other hosts of a daemon, as this host uses them.

The rule: there is one outbound connection to each other living host, for as long as it lives. A daemon of one host
has no peers, or peers without hosts.

`actors/hosting/mailroom.py` sends messages through it and `actors/hosting/host.py` reads and watches;
`api/sidecar.py` calls methods of all hosts.
"""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import anyio
from anyio.abc import TaskGroup

from ...journal.journal import Journal
from ..address import Address, type_in
from ..errors import HostLost, HostSilent, HostUnreachable
from ..turn import Envelope
from ..waiting.watch import Watches
from .inbound import Inbound, Method, Reception
from .membership import Membership
from .method import HostMethod
from .outbound import Outbound
from .protocol import FrameCodec
from .side import HostSide
from .transport.endpoint import Endpoint
from .transport.transport import Transport
from .vocabulary import Vocabulary


class AppPeers(Protocol):
    """The other hosts that have an app, as the parts of that app use them. With a single app it is `Peers` itself."""

    @property
    def membership(self) -> Membership:
        """The membership of the daemon."""
        ...

    @property
    def names(self) -> Collection[str]:
        """The names of the other hosts that have the app, in order."""
        ...

    @property
    def unreceived(self) -> int:
        """How many messages to other hosts have no receipt yet."""
        ...

    def answer(self, method: HostMethod, function: Callable[..., Any]) -> None:
        """Let the other hosts of the app call a plain function as a method."""
        ...

    def answer_async(self, method: HostMethod, function: Method) -> None:
        """Let the other hosts of the app call a coroutine function as a method."""
        ...

    def tell(self, host: str, method: HostMethod, *arguments: Any) -> None:
        """Call a method of a host without waiting for it. It is not called if the host cannot be reached."""
        ...

    async def ask_reachable(self, method: HostMethod, *arguments: Any) -> list[Any]:
        """Call a method of all reachable hosts at once, and return the answers that came."""
        ...

    async def call(self, outbound: Outbound, method: HostMethod, *arguments: Any) -> Any:
        """Call a method of one host, and return its answer; see `Peers.call` for its errors."""
        ...

    def find(self, host: str) -> Outbound | None:
        """The connection to a host, by its name; None: the host is not known to live, or does not have the app."""
        ...

    def watch(self, changed: Callable[[], None]) -> None:
        """Have a function called each time that `names` has changed."""
        ...

    def listen(self, told: Callable[[str], None]) -> None:
        """Have a function called with the name of a host each time that the connection to it is made, or is lost."""
        ...


class RingPeers:
    """The other hosts that have an app. The names of its methods contain the app's ring, except for the first app.

    Args:
        peers: All other hosts.
        has: Whether a host has the app, by its name.
    """

    def __init__(self, peers: "Peers", has: Callable[[str], bool]) -> None:
        self._peers = peers
        self._has = has
        self._ring = ""
        self._answers: list[tuple[HostMethod, Method]] = []  # until the ring is known
        self._methods: dict[str, HostMethod] = {}

    def settle(self, ring: str) -> None:
        """Answer other hosts from now on."""
        self._ring = ring
        answers, self._answers = self._answers, []
        for method, function in answers:
            self._peers.answer_async(self._own(method), function)

    @property
    def membership(self) -> Membership:
        return self._peers.membership

    @property
    def names(self) -> Collection[str]:
        return [name for name in self._peers.names if self._has(name)]

    @property
    def connected(self) -> bool:
        """Whether every other host can be reached."""
        return self._peers.connected

    @property
    def unreceived(self) -> int:
        return self._peers.unreceived

    def answer(self, method: HostMethod, function: Callable[..., Any]) -> None:
        """Let other hosts call a plain function as a method."""
        self.answer_async(method, as_coroutine(function))

    def answer_async(self, method: HostMethod, function: Method) -> None:
        """Let other hosts call a coroutine function as a method."""
        self._answers.append((method, function))

    def tell(self, host: str, method: HostMethod, *arguments: Any) -> None:
        """As `Peers.tell`."""
        self._peers.tell(host, self._own(method), *arguments)

    async def ask_reachable(self, method: HostMethod, *arguments: Any) -> list[Any]:
        """As `Peers.ask_reachable`, for the hosts that have the app."""
        return await self._peers.ask_reachable(self._own(method), *arguments, of=self.names)

    async def call(self, outbound: Outbound, method: HostMethod, *arguments: Any) -> Any:
        """As `Peers.call`."""
        return await outbound.call(self._own(method), *arguments)

    def find(self, host: str) -> Outbound | None:
        """As `Peers.find`; None for a host that does not have the app."""
        return self._peers.find(host) if self._has(host) else None

    def watch(self, changed: Callable[[], None]) -> None:
        """As `Peers.watch`."""
        self._peers.watch(changed)

    def listen(self, told: Callable[[str], None]) -> None:
        """As `Peers.listen`, for the hosts that have the app."""

        def tell(host: str) -> None:
            if self._has(host):
                told(host)

        self._peers.listen(tell)

    def _own(self, method: HostMethod) -> HostMethod:
        if not self._ring:
            return method
        own = self._methods.get(method.name)
        if own is None:
            name = type_in(method.name, self._ring)
            own = self._methods[method.name] = HostMethod(name, method.arguments, method.result)
        return own


def as_coroutine(function: Callable[..., Any]) -> Method:
    """Make a coroutine function from a plain one."""

    async def called(*arguments: Any) -> Any:
        return function(*arguments)

    return called


class Peers:
    """All other hosts of a daemon.

    Args:
        membership: Names the hosts, and this host.
        vocabulary: The words of the messages between hosts.
        transport: Connects the hosts.
        patience_s: How long a commit of another host may wait for the shared database.
    """

    # How long a host that has started waits for the other hosts before it serves. They start together.
    CONNECT_S = 5.0

    def __init__(
        self, membership: Membership, vocabulary: Vocabulary, transport: Transport, *, patience_s: float = 0.0
    ) -> None:
        self.membership = membership
        self._patience_s = patience_s
        self._vocabulary = vocabulary
        self._transport = transport
        self._codec = FrameCodec()
        self._methods: dict[str, tuple[HostMethod, Method]] = {}
        self._inbounds: dict[Inbound, None] = {}  # in the order in which they came
        self._tasks: TaskGroup | None = None  # while it runs
        self._side: HostSide | None = None
        self._followers: list[Callable[[], None]] = []
        self._listeners: list[Callable[[str], None]] = []
        self._heard: list[Callable[[Any], None]] = []
        self._me = membership.me
        self._outbound = {name: self._new(name, endpoint) for name, endpoint in membership.others().items()}
        membership.watch(self._refresh)

    # Calls to all other hosts.

    @property
    def connected(self) -> bool:
        """Whether every other host can be reached."""
        return all(outbound.connected for outbound in self._outbound.values())

    @property
    def unreceived(self) -> int:
        """How many messages to other hosts have no receipt yet."""
        return sum(len(outbound.posted) for outbound in self._outbound.values())

    def answer(self, method: HostMethod, function: Callable[..., Any]) -> None:
        """Let other hosts call a plain function as a method."""
        self.answer_async(method, as_coroutine(function))

    def answer_async(self, method: HostMethod, function: Method) -> None:
        """Let other hosts call a coroutine function as a method."""
        assert method.name not in self._methods, method
        self._methods[method.name] = (method, function)

    def tell(self, host: str, method: HostMethod, *arguments: Any) -> None:
        """Call a method of one other host without waiting for it. It is not called if the host cannot be reached."""
        outbound = self._outbound.get(host)
        if outbound is not None:
            outbound.tell(method, *arguments)

    async def ask_all(self, method: HostMethod, *arguments: Any) -> list[Any]:
        """Call a method of all other hosts at once.

        Returns:
            Their answers, in the order of the hosts.

        Raises:
            HostUnreachable, HostLost, HostSilent: A host is away; the others may have executed the method.
            PerdureError: The method raised it at one of the hosts.
        """
        answers = await self._ask(method, arguments, self.names)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def ask_reachable(self, method: HostMethod, *arguments: Any, of: Collection[str] | None = None) -> list[Any]:
        """Call a method of all other reachable hosts; otherwise as `ask_all`.

        Args:
            of: The names of the hosts to call; None: all.
        """
        found = []
        for answer in await self._ask(method, arguments, self.names if of is None else of):
            if isinstance(answer, HostUnreachable | HostLost | HostSilent):
                continue
            if isinstance(answer, Exception):
                raise answer
            found.append(answer)
        return found

    async def call(self, outbound: Outbound, method: HostMethod, *arguments: Any) -> Any:
        """Call a method of one other host; see `Outbound.call`."""
        return await outbound.call(method, *arguments)

    async def _ask(self, method: HostMethod, arguments: tuple[Any, ...], hosts: Collection[str]) -> list[Any]:
        """Call a method of other hosts; return the answer or the error of each, in the order of the hosts."""
        answers: dict[str, Any] = dict.fromkeys(hosts)

        async def ask(outbound: Outbound) -> None:
            try:
                answers[outbound.name] = await outbound.call(method, *arguments)
            except Exception as error:
                answers[outbound.name] = error

        async with anyio.create_task_group() as tasks:
            for name in hosts:
                tasks.start_soon(ask, self._outbound[name])
        return list(answers.values())

    async def wait_for_all(self) -> None:
        """Wait until every other host can be reached, at most CONNECT_S."""
        with anyio.move_on_after(self.CONNECT_S):
            for outbound in list(self._outbound.values()):
                while not outbound.connected and self.find(outbound.name) is outbound:
                    await outbound.changed.wait()

    # Connections to one other host.

    @property
    def names(self) -> Collection[str]:
        """The names of the other living hosts, in order."""
        return self._outbound.keys()

    def find(self, host: str) -> Outbound | None:
        """The connection to a host, by its name in the placement table; None: the host is not known to live."""
        return self._outbound.get(host)

    def outbound(self, host: str) -> Outbound:
        """The connection to a living host, by its name in the placement table."""
        return self._outbound[host]

    def wake_watchers(self) -> None:
        """Wake all watchers of actors of other hosts: this host is stopping."""
        for outbound in self._outbound.values():
            outbound.wake()

    # Hosts that come and go.

    def watch(self, changed: Callable[[], None]) -> None:
        """Have a function called each time that `names` has changed."""
        self._followers.append(changed)

    def listen(self, told: Callable[[str], None]) -> None:
        """Have a function called with the name of a host each time that the connection to it is made, or is lost."""
        self._listeners.append(told)

    def hear(self, heard: Callable[[Any], None]) -> None:
        """Call a function with each message of another host, without a reply, that a commit here holds."""
        self._heard.append(heard)

    def withdraw(self, shards: Collection[int]) -> None:
        """Drop messages without a receipt whose senders are in these shards, which this host does not own any more."""
        for outbound in self._outbound.values():
            outbound.withdraw(shards)

    def recall(self, wanted: Callable[[Address], bool]) -> Sequence[tuple[Address, Envelope]]:
        """Take back the messages without a receipt to some actors, whose shards have moved; each sender's in order.

        Args:
            wanted: Whether an actor is one of these actors.
        """
        return [each for outbound in self._outbound.values() for each in outbound.recall(wanted)]

    def abandon(self) -> None:
        """End all connections, because this host is dead for the others.

        Callers get `HostLost`, watches are lost, and messages without a receipt are dropped: the host that owns their
        senders now sends them again. Connections are made again once the membership has named hosts anew.
        """
        outbounds, self._outbound = self._outbound, {}
        for outbound in outbounds.values():
            outbound.abandon()
        for inbound in list(self._inbounds):
            inbound.wire.close()
        for changed in self._followers:
            changed()

    def _refresh(self) -> None:
        """Read the living hosts from the membership: connect to new hosts, and retire the connections to dead ones."""
        if self.membership.me != self._me:
            # This host has joined anew. Its earlier life is dead.
            self._me = self.membership.me
            self._transport.identify(self._me)
            self.abandon()
        living = self.membership.others()
        gone = [each for each in self._outbound.values() if living.get(each.name) != each.endpoint]
        for outbound in gone:
            del self._outbound[outbound.name]
        come = [self._new(name, endpoint) for name, endpoint in living.items() if name not in self._outbound]
        self._outbound.update((outbound.name, outbound) for outbound in come)
        for inbound in list(self._inbounds):
            inbound.review()
        for outbound in gone:
            # Retired last, when no more frames can come from it: unacknowledged messages may go to other hosts now.
            outbound.retire()
        for outbound in come:
            self._start(outbound)
        for changed in self._followers:
            changed()

    def _new(self, name: str, endpoint: Endpoint) -> Outbound:
        outbound = Outbound(
            name,
            endpoint,
            membership=self.membership,
            transport=self._transport,
            vocabulary=self._vocabulary,
            codec=self._codec,
            patience_s=self._patience_s,
        )
        outbound.told = self._tell
        return outbound

    def _tell(self, name: str) -> None:
        for told in self._listeners:
            told(name)

    def _start(self, outbound: Outbound) -> None:
        if self._tasks is not None and self._side is not None:
            outbound.side = self._side
            self._tasks.start_soon(outbound.run)

    # From the start to the end.

    @asynccontextmanager
    async def running(self, side: HostSide, watches: Watches) -> AsyncIterator[None]:
        """Talk with the other hosts until the block ends.

        Args:
            side: This host, for messages of other hosts and for receipts of its own messages.
            watches: The watches of this host's actors, for watchers in other hosts.
        """
        async with anyio.create_task_group() as tasks:
            reception = Reception(
                side=side,
                watches=watches,
                methods=self._methods,
                tasks=tasks,
                vocabulary=self._vocabulary,
                codec=self._codec,
                transport=self._transport,
                journal=Journal(__name__),
                lives=lambda name: name in self._outbound,
                timeline=lambda: self.membership.timeline,
                heard=self._heard,
            )
            self._transport.identify(self._me)
            listener = await self._transport.listen(lambda: Inbound(reception, self._inbounds).wire)
            self._tasks, self._side = tasks, side
            for outbound in self._outbound.values():
                self._start(outbound)
            try:
                yield
            finally:
                self._tasks = self._side = None
                listener.close()
                for inbound in list(self._inbounds):
                    inbound.wire.close()
                tasks.cancel_scope.cancel()
