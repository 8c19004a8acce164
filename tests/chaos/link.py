"""A link between two processes that can be cut: both ways, one way, or by closing the connections.

Bytes that are held back arrive when the link is whole again, as they do when TCP sends them again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from ..support.link_server import link_server


@dataclass(slots=True)
class Link:
    """Forwards the connections to a port of this machine to another one."""

    to_port: int
    port: int = 0
    held: int = 0  # how many pieces have had to wait so far
    _there: asyncio.Event = field(default_factory=asyncio.Event)
    _back: asyncio.Event = field(default_factory=asyncio.Event)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.mend()

    def hold(self, *, there: bool = True, back: bool = True) -> None:
        """Hold back the bytes to the port, those from it, or both."""
        for way, held in ((self._there, there), (self._back, back)):
            way.clear() if held else way.set()

    def mend(self) -> None:
        self._there.set()
        self._back.set()

    def reset(self) -> None:
        """End all connections; new ones can be made."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        ends = {writer, far_writer}
        self._writers |= ends
        ways = [
            asyncio.ensure_future(self._forward(reader, far_writer, self._there)),
            asyncio.ensure_future(self._forward(far_reader, writer, self._back)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: asyncio.Event) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if not way.is_set():
                    self.held += 1
                    await way.wait()
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def linked(to_port: int, *, port: int = 0) -> AsyncIterator[Link]:
    """Open a link to a port.

    Args:
        port: The port at which the link listens; 0: any free port.
    """
    link = Link(to_port)
    async with link_server(link.serve, port=port) as link.port:
        try:
            yield link
        finally:
            link.reset()
