"""A daemon over HTTP, as for a program in another process or language.

Dapr's API has no call that waits for the end of an instance, and polling would measure itself. So the workflow writes
to a pipe in its last line, after which the next instance is started. When the clock has stopped each instance is read
once, and its end is the recorded time of its last turn, without the flush of that turn.

With one instance in flight the load polls from that line on until the instance is completed, and that answer is its
end.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio

from ..workloads.app import PIPE
from .http_client import HttpAnswer, HttpClient
from .in_process import EngineSetup
from .load import Driver, End
from .measure import Usage
from .processes import Daemon, serving

PREFIX = "/v1.0/workflows/dapr"
UNFINISHED = frozenset({"PENDING", "RUNNING", "SUSPENDED"})
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
READERS = 16  # concurrent requests for results; more are not faster
AGAIN_S = 0.005  # between two polls of an instance


class UnexpectedAnswer(Exception):
    def __init__(self, request: str, answer: HttpAnswer) -> None:
        super().__init__(request, answer)
        self.request = request
        self.answer = answer

    def __str__(self) -> str:
        return f"{self.request} was answered {self.answer.status} {self.answer.body.decode(errors='replace')!r}"


class HttpDriver(Driver):
    def __init__(self, daemon: Daemon, client: HttpClient, reports: "ReportPipe | None", *, see: bool) -> None:
        super().__init__()
        self._daemon = daemon
        self._client = client
        self._reports = reports
        self._see = see

    def now_us(self) -> int:
        # The wall clock, like the daemon's times.
        return time.time_ns() // 1000

    async def start(self, workflow: str, value: Any) -> str:
        instance_id: str = json.loads(await self._post(f"{PREFIX}/{workflow}/start", value))["instanceID"]
        return instance_id

    async def raise_event(self, instance_id: str, name: str, value: Any) -> None:
        await self._post(f"{PREFIX}/{instance_id}/raiseEvent/{name}", value)

    async def _post(self, path: str, value: Any) -> bytes:
        answer = await self._client.post(path, b"" if value is None else json.dumps(value).encode())
        if answer.status != 202:
            raise UnexpectedAnswer(f"POST {path}", answer)
        return answer.body

    async def finish(self, instance_id: str) -> None:
        if self._reports is not None:
            await self._reports.of(instance_id)
        if self._see:
            output = (await self.completed(instance_id)).output
            self._ends[instance_id] = End(self.now_us(), output)

    async def ends(self, instance_ids: Sequence[str]) -> list[End]:
        wanted = [instance_id for instance_id in instance_ids if instance_id not in self._ends]

        async def read() -> None:
            while wanted:
                instance_id = wanted.pop()
                self._ends[instance_id] = await self.completed(instance_id, pause_s=AGAIN_S)

        async with anyio.create_task_group() as tasks:
            for _ in range(READERS):
                tasks.start_soon(read)
        return [self._ends[instance_id] for instance_id in instance_ids]

    async def completed(self, instance_id: str, *, pause_s: float = 0.0) -> End:
        """Poll an instance until it has ended; the time is the daemon's.

        Raises:
            UnexpectedAnswer: The daemon has answered with an unknown status.
        """
        path = f"{PREFIX}/{instance_id}"
        while True:
            answer = await self._client.get(path)
            state = json.loads(answer.body) if answer.status == 200 else {}
            if state.get("runtimeStatus") == "COMPLETED":
                output = state["properties"].get("dapr.workflow.output")
                at = datetime.fromisoformat(state["lastUpdatedAt"])
                return End((at - EPOCH) // timedelta(microseconds=1), json.loads(output) if output else None)
            if state.get("runtimeStatus") not in UNFINISHED:
                raise UnexpectedAnswer(f"GET {path}", answer)
            if pause_s:
                await anyio.sleep(pause_s)

    def engine_usage(self) -> Usage:
        return self._daemon.usage()


class ReportPipe:
    """A pipe to which instances write their ids, one a line, at a point of their code.

    Args:
        pipe: A non-blocking file descriptor, open for reading.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._rest = b""
        self._waited_for: dict[str, asyncio.Future[None]] = {}
        self._early: set[str] = set()  # ids that were reported before the call of `of`

    async def of(self, instance_id: str) -> None:
        if instance_id in self._early:
            self._early.discard(instance_id)
            return
        future = self._waited_for[instance_id] = asyncio.get_running_loop().create_future()
        await future

    def read(self) -> None:
        *lines, self._rest = (self._rest + os.read(self._pipe, 65_536)).split(b"\n")
        for line in lines:
            instance_id = line.decode()
            future = self._waited_for.pop(instance_id, None)
            if future is None:
                self._early.add(instance_id)
            elif not future.done():
                future.set_result(None)


@asynccontextmanager
async def listening(pipe_path: str) -> AsyncIterator[ReportPipe]:
    os.mkfifo(pipe_path)
    # Open for writing too, so that the pipe does not end with the daemon.
    pipe = os.open(pipe_path, os.O_RDWR | os.O_NONBLOCK)
    reports = ReportPipe(pipe)
    loop = asyncio.get_running_loop()
    loop.add_reader(pipe, reports.read)
    try:
        yield reports
    finally:
        loop.remove_reader(pipe)
        os.close(pipe)


@asynccontextmanager
async def http_driver(setup: EngineSetup, *, see: bool) -> AsyncIterator[HttpDriver]:
    """Run a daemon on a new SQLite file."""
    pipe = str(setup.folder / "over")
    async with (
        listening(pipe) as reports,
        serving(setup, {PIPE: pipe}) as daemon,
        HttpClient(daemon.host, daemon.port) as client,
    ):
        yield HttpDriver(daemon, client, reports, see=see)
