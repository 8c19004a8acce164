"""Peers: the other hosts of a daemon, as this one needs them.

The one law: whatever concerns an actor of another host goes there, and what
went there is kept until it is known to be safe. A daemon of one host has none
of this.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from ..errors import HostLost, HostUnreachable
from .inbound import Method, Visited, Visitor
from .membership import Membership, name_of
from .outbound import Neighbour
from .wire import Wire, listen


class Peers:
    """All other hosts of a daemon.

    Args:
        membership: Who this host is.
    """

    # How long a host that has started waits for the others before it serves. They start together.
    CONNECT_S = 5.0

    def __init__(self, membership: Membership) -> None:
        self.membership = membership
        self._neighbours = {name_of(i): Neighbour(name_of(i), membership.socket(i)) for i in membership.others}
        self._methods: dict[str, Method] = {}

    # What others use.

    @property
    def connected(self) -> bool:
        """Whether every other host can be reached."""
        return all(neighbour.connected for neighbour in self._neighbours.values())

    def answer(self, method: str, function: Callable[..., Any]) -> None:
        """Have others call a plain function by this name."""

        async def called(*arguments: Any) -> Any:
            return function(*arguments)

        self.answer_async(method, called)

    def answer_async(self, method: str, function: Method) -> None:
        assert method not in self._methods, method
        self._methods[method] = function

    async def ask_all(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of all others at once, and give their answers.

        Raises:
            HostUnreachable, HostLost: One of them is away; the rest may have done it.
        """
        answers = await self._ask(method, arguments)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def ask_reachable(self, method: str, *arguments: Any) -> list[Any]:
        """The same, of those that can be reached."""
        found = []
        for answer in await self._ask(method, arguments):
            if isinstance(answer, HostUnreachable | HostLost):
                continue
            if isinstance(answer, Exception):
                raise answer
            found.append(answer)
        return found

    async def _ask(self, method: str, arguments: tuple[Any, ...]) -> list[Any]:
        """Call a method of all others, and give their answers or why there is none, in the order of the hosts."""
        answers: dict[str, Any] = dict.fromkeys(self._neighbours)

        async def ask(neighbour: Neighbour) -> None:
            try:
                answers[neighbour.name] = await neighbour.call(method, *arguments)
            except Exception as error:
                answers[neighbour.name] = error

        async with anyio.create_task_group() as tasks:
            for neighbour in self._neighbours.values():
                tasks.start_soon(ask, neighbour)
        return list(answers.values())

    async def wait_for_all(self) -> None:
        """Wait until every other host can be reached, or has had its time."""
        with anyio.move_on_after(self.CONNECT_S):
            for neighbour in self._neighbours.values():
                while not neighbour.connected:
                    await neighbour.changed.wait()

    # What the host uses.

    def neighbour(self, host: str) -> Neighbour:
        return self._neighbours[host]

    def wake_watchers(self) -> None:
        for neighbour in self._neighbours.values():
            neighbour.wake()

    # From the start to the end.

    @asynccontextmanager
    async def running(self, host: Visited, acknowledged: Callable[[Any], None]) -> AsyncIterator[None]:
        """Talk with the others until the block ends.

        Args:
            acknowledged: Told the sender of each message that a commit of another host holds.
        """
        visitors: set[Visitor] = set()
        async with anyio.create_task_group() as tasks:

            def welcome() -> Wire:
                visitor = Visitor(host, self._methods, tasks, visitors.discard)
                visitors.add(visitor)
                return visitor.wire

            server = await listen(self.membership.socket(self.membership.index), welcome)
            for neighbour in self._neighbours.values():
                tasks.start_soon(neighbour.run, acknowledged)
            try:
                yield
            finally:
                server.close()
                for visitor in list(visitors):
                    visitor.wire.close()
                tasks.cancel_scope.cancel()
