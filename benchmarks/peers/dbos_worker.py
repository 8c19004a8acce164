"""Workflows on DBOS, in a process that is controlled by lines of JSON.

Run as a script by a Python that has `dbos` and may lack Perdure, so it imports nothing of ours. Each line of standard
input is a request, and each line of standard output the answer with the request's number; the answer 0 says that it is
ready. It ends with its input.

The rule: DBOS is as published, and used as in its documentation: a workflow is called, and its steps are `async def`. A
queue, which DBOS polls, would take three times as long.
"""

import asyncio
import json
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from typing import Any, TypeAlias

GO = "go"  # the topic that `signal` waits for
FOREVER_S = 3_600

# name -> function, called with the fields of a request
Actions: TypeAlias = Mapping[str, Callable[..., Awaitable[Any]]]


async def serve(actions: Actions, requests: asyncio.StreamReader, tell: Callable[[str], None]) -> None:
    under_way: set[asyncio.Task[None]] = set()

    async def answer(number: int, do: str, **fields: Any) -> None:
        try:
            found = {"output": await actions[do](**fields)}
        except Exception as error:
            found = {"error": repr(error)}
        tell(json.dumps({"number": number, **found}))

    tell(json.dumps({"number": 0, "output": "ready"}))
    while line := await requests.readline():
        task = asyncio.create_task(answer(**json.loads(line)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


def dbos_actions() -> Actions:
    from dbos import DBOS, SetWorkflowID  # type: ignore[import-not-found]  # noqa: PLC0415  only where DBOS is

    @DBOS.step()  # type: ignore[misc, untyped-decorator, unused-ignore]
    async def add_one(number: int) -> int:
        return number + 1

    @DBOS.workflow()  # type: ignore[misc, untyped-decorator, unused-ignore]
    async def chain(steps: int) -> int:
        number = 0
        for _ in range(steps):
            number = await add_one(number)
        return number

    @DBOS.workflow()  # type: ignore[misc, untyped-decorator, unused-ignore]
    async def fan_out(width: int) -> int:
        return sum(await asyncio.gather(*(add_one(number) for number in range(width))))

    @DBOS.workflow()  # type: ignore[misc, untyped-decorator, unused-ignore]
    async def signal(value: None) -> Any:
        return await DBOS.recv_async(GO, timeout_seconds=FOREVER_S)

    workflows = {"chain": chain, "fan_out": fan_out, "signal": signal}
    handles: dict[str, Any] = {}

    async def call(workflow: str, instance_id: str, value: Any) -> Any:
        with SetWorkflowID(instance_id):
            return await workflows[workflow](value)

    async def start(workflow: str, instance_id: str, value: Any) -> None:
        with SetWorkflowID(instance_id):
            handles[instance_id] = await DBOS.start_workflow_async(workflows[workflow], value)

    async def send(workflow: str, instance_id: str, value: Any) -> None:
        await DBOS.send_async(instance_id, value, GO)

    async def wait(workflow: str, instance_id: str, value: None) -> Any:
        # The handle of the start, because a handle that is made from an id polls.
        return await handles.pop(instance_id).get_result()

    return {"call": call, "start": start, "send": send, "wait": wait}


async def standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def tell(line: str) -> None:
    print(line, flush=True)


def main(url: str, settings: str) -> None:
    from dbos import DBOS  # noqa: PLC0415  only where DBOS is

    if url.startswith("sqlite:///"):
        # The mode is stored in the file. DBOS's default, a rollback journal, is half as fast.
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
            database.execute("PRAGMA journal_mode = WAL")
    DBOS(config={"name": "benchmark", "system_database_url": url, "log_level": "WARNING", **json.loads(settings)})
    actions = dbos_actions()
    DBOS.launch()

    async def run() -> None:
        await serve(actions, await standard_input(), tell)

    asyncio.run(run())
    DBOS.destroy()


if __name__ == "__main__":
    main(*sys.argv[1:])
