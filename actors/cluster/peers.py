"""Peers: the other hosts of a daemon, as this host uses them.

The rule: there is one outbound connection to each other host, for the life of
this one. A daemon of one host has no peers.

`actors/hosting/mailroom.py` sends messages through it and `actors/hosting/host.py` reads and watches;
`api/sidecar.py` calls methods of all hosts.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from ..errors import HostLost, HostSilent, HostUnreachable
from ..waiting.watch import Watches
from .inbound import Inbound, Method, Receive
from .membership import Membership, name_of
from .outbound import Outbound
from .wire import Wire, listen


class Peers:
    """All other hosts of a daemon.

    Args:
        membership: Which host of the daemon this one is.
    """

    # How long a host that has started waits for the other hosts before it serves. They start together.
    CONNECT_S = 5.0

    def __init__(self, membership: Membership) -> None:
        self.membership = membership
        self._outbound = {name_of(i): Outbound(name_of(i), membership.socket(i)) for i in membership.others}
        self._methods: dict[str, Method] = {}

    # Calls to all other hosts.

    @property
    def connected(self) -> bool:
        """Whether every other host can be reached."""
        return all(outbound.connected for outbound in self._outbound.values())

    def answer(self, method: str, function: Callable[..., Any]) -> None:
        """Let other hosts call a plain function by this name."""

        async def called(*arguments: Any) -> Any:
            return function(*arguments)

        self.answer_async(method, called)

    def answer_async(self, method: str, function: Method) -> None:
        """Let other hosts call a coroutine function by this name."""
        assert method not in self._methods, method
        self._methods[method] = function

    async def ask_all(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of all other hosts at once.

        Returns:
            Their answers, in the order of the hosts.

        Raises:
            HostUnreachable, HostLost: A host is away; the others may have done it.
            Exception: The method raised it at one of them.
        """
        answers = await self._ask(method, arguments)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def ask_reachable(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of all other hosts that can be reached; otherwise as `ask_all`."""
        found = []
        for answer in await self._ask(method, arguments):
            if isinstance(answer, HostUnreachable | HostLost | HostSilent):
                continue
            if isinstance(answer, Exception):
                raise answer
            found.append(answer)
        return found

    async def _ask(self, method: str, arguments: tuple[Any, ...]) -> list[Any]:
        """Call a method of all other hosts; return the answer or the error of each, in the order of the hosts."""
        answers: dict[str, Any] = dict.fromkeys(self._outbound)

        async def ask(outbound: Outbound) -> None:
            try:
                answers[outbound.name] = await outbound.call(method, *arguments)
            except Exception as error:
                answers[outbound.name] = error

        async with anyio.create_task_group() as tasks:
            for outbound in self._outbound.values():
                tasks.start_soon(ask, outbound)
        return list(answers.values())

    async def wait_for_all(self) -> None:
        """Wait until every other host can be reached, or CONNECT_S are over."""
        with anyio.move_on_after(self.CONNECT_S):
            for outbound in self._outbound.values():
                while not outbound.connected:
                    await outbound.changed.wait()

    # Connections to one other host.

    def outbound(self, host: str) -> Outbound:
        """The connection to a host, by its name in the placement table."""
        return self._outbound[host]

    def wake_watchers(self) -> None:
        """Wake all watchers of actors of other hosts: this host is stopping."""
        for outbound in self._outbound.values():
            outbound.wake()

    # From the start to the end.

    @asynccontextmanager
    async def running(
        self, receive: Receive, watches: Watches, acknowledged: Callable[[Any], None]
    ) -> AsyncIterator[None]:
        """Talk with the other hosts until the block ends.

        Args:
            receive: Takes messages of other hosts.
            watches: The watches of this host's actors, for watchers in other hosts.
            acknowledged: Called with the sender of each message once a commit of another host holds it.
        """
        inbounds: dict[Inbound, None] = {}  # in the order in which they came
        async with anyio.create_task_group() as tasks:

            def accept() -> Wire:
                inbound = Inbound(receive, watches, self._methods, tasks, inbounds.pop)
                inbounds[inbound] = None
                return inbound.wire

            server = await listen(self.membership.socket(self.membership.index), accept)
            for outbound in self._outbound.values():
                tasks.start_soon(outbound.run, acknowledged)
            try:
                yield
            finally:
                server.close()
                for inbound in list(inbounds):
                    inbound.wire.close()
                tasks.cancel_scope.cancel()
