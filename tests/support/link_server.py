"""A server around a link: it serves each connection in a task, and ends all of them with it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def link_server(serve: Serve, *, port: int = 0) -> AsyncIterator[int]:
    """Serve connections until the block ends, and give the port.

    Args:
        serve: Serves one connection. A connection that it has left open is closed.
        port: Where it listens; 0: at any port that is free.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(ConnectionError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.transport.abort()
        tasks.discard(task)

    server = await asyncio.start_server(attend, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
