"""A transport: how the hosts of a daemon reach one another.

The rule: a transport carries bytes and verifies the other end; the wire interprets the bytes.

`actors/cluster/peers.py` listens with it and `actors/cluster/outbound.py` connects with it. `unix.py`, `tls.py` and
`memory.py` are transports.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from .endpoint import Endpoint


class Listener(Protocol):
    """Takes connections of other hosts."""

    def close(self) -> None:
        """Take no more connections. The present ones stay."""
        ...


class Transport(Protocol):
    """Connects this host with others."""

    async def listen(self, answer: Callable[[], asyncio.Protocol]) -> Listener:
        """Listen to other hosts.

        Args:
            answer: Makes this end of each connection.

        Raises:
            OSError: This host cannot listen.
        """
        ...

    async def connect(self, endpoint: Endpoint, wire: asyncio.Protocol) -> None:
        """Connect a wire to the host that listens at an endpoint.

        Raises:
            OSError: No host listens there, or a host other than the endpoint names.
        """
        ...

    def identify(self, me: str) -> None:
        """Use this name for this host from now on: the host has joined under it."""
        ...

    def verify(self, endpoint: Endpoint, connection: asyncio.BaseTransport) -> None:
        """Check that the other end of a connection is the host that the endpoint names.

        Raises:
            PermissionError: It is another host.
        """
        ...

    def caller(self, connection: asyncio.BaseTransport) -> str | None:
        """The name of the host that has made a connection, as the transport has verified it.

        Returns:
            None: This transport lets only hosts of this daemon connect, and does not know which host it is.

        Raises:
            PermissionError: The other end is not a host of this daemon.
        """
        ...
