"""Runs processes of other engines."""

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
AGAIN_S = 0.05  # between two checks whether a peer is ready
LOG_LINES = 20  # the last lines of a log that are shown after a failure


# The operations of a peer, with a workflow, the id of an instance and a value; an error is raised.
# call   start the instance with its input, and return its output at its end
#   start  start it; durable when this returns
#   send   send the event that it waits for; durable when this returns
# wait   return the output of a started instance at its end
Asking: TypeAlias = Callable[[str, str, str, Any], Awaitable[Any]]


class PeerFailed(Exception): ...


@contextmanager
def logged(command: Sequence[str], folder: Path, name: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process with its output in a file of this name, and end it with the context.

    Raises:
        PeerFailed: The block has failed
        the error has the last lines of the output.
    """
    path = folder / f"{name}.log"
    with path.open("w") as log, started(command, folder, stdout=log, stderr=subprocess.STDOUT, **options) as process:
        try:
            yield process
        except (PeerFailed, OSError) as error:
            said = "\n".join(path.read_text(errors="replace").splitlines()[-LOG_LINES:])
            raise PeerFailed(f"{error}\n{name} said:\n{said}") from error


async def ready(process: subprocess.Popen[str], ask: Callable[[], Awaitable[bool]]) -> None:
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
    """A port that is free now, for servers that cannot report the port that they get."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Lines:
    """Sends requests to a process, and reads its answers, as lines of JSON; see `dbos_worker.py`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        self._process = process
        self._input = process.stdin.fileno()
        self._requests = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def ready(self) -> None:
        with anyio.fail_after(PATIENCE_S):
            await self._answer(0)

    async def ask(self, do: str, workflow: str, instance_id: str, value: Any) -> Any:
        """Do an operation (`Asking`) and return the answer.

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
        lines = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), self._process.stdout
        )
        with closing(transport):
            while line := await lines.readline():
                answer = json.loads(line)
                future = self._waiting.pop(answer["number"])
                if not future.done():  # else the waiter was cancelled
                    future.set_result(answer)
        for future in self._waiting.values():
            if not future.done():
                future.set_result({"error": f"{self._process.args!r} has ended; why stands above"})
