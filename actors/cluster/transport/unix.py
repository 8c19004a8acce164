"""Unix-domain sockets: the transport between hosts of one machine that one user has started.

The rule: the folder of the sockets is closed to other users, so that each caller is a host of the same daemon.

Hosts with a fixed membership use it (`FixedMembership` in `actors/cluster/membership.py`).
"""

import asyncio
from collections.abc import Callable

from .endpoint import Endpoint, UnixEndpoint


class UnixTransport:
    """Connects hosts by Unix-domain sockets.

    Args:
        path: The path of this host's own socket. A file that a dead process has left there is replaced.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    async def listen(self, answer: Callable[[], asyncio.Protocol]) -> asyncio.Server:
        """Listen at the own socket."""
        server: asyncio.Server = await asyncio.get_running_loop().create_unix_server(answer, self._path)
        return server

    async def connect(self, endpoint: Endpoint, wire: asyncio.Protocol) -> None:
        """Connect to the socket of another host."""
        assert isinstance(endpoint, UnixEndpoint), endpoint
        await asyncio.get_running_loop().create_unix_connection(lambda: wire, endpoint.path)

    def identify(self, me: str) -> None:
        """Do nothing: a host sends its name in its greeting."""

    def verify(self, endpoint: Endpoint, connection: asyncio.BaseTransport) -> None:
        """Do nothing: only the expected host has that socket."""

    def caller(self, connection: asyncio.BaseTransport) -> str | None:
        """None: a caller sends its name in its greeting."""
        return None
