"""A proxy between a store and its server that cuts a connection at a byte, or lets nothing through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from .link_server import link_server


@dataclass(slots=True)
class CuttingProxy:
    """Forwards connections to a port of this machine.

    Its settings hold for the writer's connections only, except `refuses`, which holds for all.
    """

    to_port: int
    purpose: bytes = b"perdure writer"
    port: int = 0
    refuses: bool = False  # connections are closed at once
    requests_left: int | None = None  # bytes to the server until the cut; None: no cut
    answers_left: int | None = None  # bytes from the server until the cut
    requests: int = 0  # bytes to the server so far
    answers: int = 0
    cuts: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.close()
            return
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        ends = {writer, server_writer}
        self._writers |= ends
        ours = asyncio.Event()  # set when the connection has shown its purpose
        there = asyncio.ensure_future(self._forward(reader, server_writer, ours, requests=True))
        back = asyncio.ensure_future(self._forward(server_reader, writer, ours, requests=False))
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        for task in (there, back):
            task.cancel()
        self._writers -= ends
        for end in ends:
            end.transport.abort()

    def cut(self) -> None:
        """Cut all connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ours: asyncio.Event, *, requests: bool
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if ours.is_set():
                    data, cut = self._counted(data, requests=requests)
                    writer.write(data)
                    if cut:
                        await writer.drain()
                        self.cuts += 1
                        writer.close()
                        return
                else:
                    writer.write(data)
                    if self.purpose in data:
                        ours.set()
                await writer.drain()

    def _counted(self, data: bytes, *, requests: bool) -> tuple[bytes, bool]:
        left = self.requests_left if requests else self.answers_left
        if left is not None and len(data) >= left:
            data, left = data[:left], None
            self.requests_left = self.answers_left = None
            return data, True
        if requests:
            self.requests += len(data)
            self.requests_left = None if left is None else left - len(data)
        else:
            self.answers += len(data)
            self.answers_left = None if left is None else left - len(data)
        return data, False


@asynccontextmanager
async def cutting_proxy(to_port: int) -> AsyncIterator[CuttingProxy]:
    """Run a proxy in front of a port."""
    proxy = CuttingProxy(to_port)
    async with link_server(proxy.serve) as proxy.port:
        try:
            yield proxy
        finally:
            proxy.cut()
