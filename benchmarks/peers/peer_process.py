"""Processes of other engines: started, spoken to, waited for."""

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import anyio

from ..drivers.processes import started

PATIENCE_S = 60.0  # for a start
AGAIN_S = 0.05  # before it is asked again whether it is ready
LOG_LINES = 20  # so many of the last are shown when something failed


# A peer is asked to do one of these, with a workflow, the id of an instance and a value; it raises why it failed.
#   call   start the instance with its input, and return its output when it has ended
#   start  start it; durable when this returns
#   send   send the event that it waits for; durable when this returns
#   wait   return the output of one that was started, when it has ended
Asking: TypeAlias = Callable[[str, str, str, Any], Awaitable[Any]]


class PeerFailed(Exception):
    """A peer did not do what it should."""


@contextmanager
def logged(command: Sequence[str], folder: Path, name: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process whose output goes to a file of that name, and end it with the context."""
    path = folder / f"{name}.log"
    with path.open("w") as log, started(command, folder, stdout=log, stderr=subprocess.STDOUT, **options) as process:
        try:
            yield process
        except (PeerFailed, OSError) as error:
            said = "\n".join(path.read_text(errors="replace").splitlines()[-LOG_LINES:])
            raise PeerFailed(f"{error}\n{name} said:\n{said}") from error


async def ready(process: subprocess.Popen[str], ask: Callable[[], Awaitable[bool]]) -> None:
    """Ask a process whether it is ready until it is; a refused connection is a no."""
    with anyio.move_on_after(PATIENCE_S):
        while process.poll() is None:
            try:
                if await ask():
                    return
            except OSError:
                pass  # it does not listen yet
            await anyio.sleep(AGAIN_S)
    raise PeerFailed(f"{process.args!r} did not get ready")


def free_port() -> int:
    """A port that nobody has at the moment, for servers that cannot say which one they were given."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Lines:
    """Requests and answers as lines of JSON, through a process's standard input and output; see `dbos_worker.py`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        self._process = process
        self._input = process.stdin.fileno()
        self._requests = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def ready(self) -> None:
        """Wait for the process to say that it is."""
        with anyio.fail_after(PATIENCE_S):
            await self._answer(0)

    async def ask(self, do: str, workflow: str, instance_id: str, value: Any) -> Any:
        """Ask for something (`Asking`) and return the answer.

        Raises:
            PeerFailed: The answer is an error, or the process has ended.
        """
        self._requests += 1
        request = {"number": self._requests, "do": do, "workflow": workflow, "instance_id": instance_id, "value": value}
        os.write(self._input, json.dumps(request).encode() + b"\n")
        return await self._answer(self._requests)

    async def _answer(self, number: int) -> Any:
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        found = await future
        if "error" in found:
            raise PeerFailed(found["error"])
        return found["output"]

    async def listen(self) -> None:
        """Take in answers, until there are no more."""
        lines = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), self._process.stdout
        )
        with closing(transport):
            while line := await lines.readline():
                answer = json.loads(line)
                future = self._waiting.pop(answer["number"])
                if not future.done():  # or nobody waits any more
                    future.set_result(answer)
        for future in self._waiting.values():
            if not future.done():
                future.set_result({"error": f"{self._process.args!r} has ended; why stands above"})
