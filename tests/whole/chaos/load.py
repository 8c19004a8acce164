"""The load of a run under chaos: ledgers that clients fill through a balancer, and readers of them.

The rule: a client notes each acknowledgement, and repeats only requests that may be repeated: an entry under a number
of its own, the start of a ledger after a look whether it is there.
"""

import asyncio
import json
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from ...support.processes.ledgers import CLOSE, Clients, Ledger
from .fleet import Fleet
from .recorded import Effect, Forgiven, Read, Request

APP = textwrap.dedent('''
    """Ledgers that tell how much they hold, have every third entry verified by a child, and wait now and then."""

    import os
    import time
    from datetime import timedelta
    from pathlib import Path

    import perdure

    app = perdure.App("chaos")
    BODIES = Path(__file__).with_name("bodies.txt")


    @app.activity
    async def book(ctx: perdure.ActivityContext, asked: list) -> int:
        line = f"{asked[0]} {asked[1]} {ctx.task_execution_id}\\n".encode()
        file = os.open(BODIES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, line)
        finally:
            os.close(file)
        return asked[1]


    @app.workflow
    async def verify(ctx: perdure.WorkflowContext, asked: list) -> int:
        return await ctx.call_activity(book, input=asked)


    @app.workflow
    async def ledger(ctx: perdure.WorkflowContext, state: dict) -> dict:
        ctx.set_custom_status(str(len(state["got"])))
        while (entry := await ctx.wait_for_external_event("entry")) != -1:
            asked = [ctx.instance_id, entry]
            if len(state["got"]) % 3 == 2:
                state["got"].append(await ctx.call_child_workflow(verify, input=asked))
            else:
                state["got"].append(await ctx.call_activity(book, input=asked))
            if len(state["got"]) % 4 == 0:
                due = ctx.now() + timedelta(milliseconds=20)
                await ctx.create_timer(due)
                state["early"] += ctx.now() < due
            ctx.set_custom_status(str(len(state["got"])))
            if len(state["got"]) % 8 == 0:
                ctx.continue_as_new(state, save_events=True)
                return state
        return state


    def keep_the_loop():
        while True:
            try:
                time.sleep(0.05)
            except BaseException:
                pass


    HARMS = {"exit": lambda: os._exit(3), "keep the loop": keep_the_loop, "nothing": lambda: None}


    @app.activity
    async def harm(ctx: perdure.ActivityContext, asked: list) -> str:
        how, once = asked
        marker = BODIES.with_name(f"{ctx.workflow_id}.done")
        if not (once and marker.exists()):
            marker.touch()
            HARMS[how]()
        return "harmless"


    @app.workflow
    async def harmful(ctx: perdure.WorkflowContext, asked: list) -> str:
        if asked[0] == "exit in a turn":
            await ctx.call_activity(harm, input=["nothing", False])
            os._exit(4)
        return await ctx.call_activity(harm, input=asked)
''')

REQUEST_S = 20.0  # how long a client waits for an answer: longer than a takeover lasts
READ_PATIENCE_S = 3.0
READ_PAUSE_S = 0.06


def write_chaos_app(folder: Path) -> Path:
    app = folder / "chaos_app.py"
    app.write_text(APP)
    return app


def effects_in(folder: Path) -> list[Effect]:
    """The bodies of activities that ran."""
    try:
        lines = (folder / "bodies.txt").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [Effect(id_, int(entry), key) for id_, entry, key in map(str.split, lines)]


class ChaosClients(Clients):
    """Clients of a fleet that note each request and each read.

    Args:
        forgives: The damage by the storm so far; a ledger that a copy of the database does not have is given up.
    """

    def __init__(self, fleet: Fleet, forgives: Callable[[], Forgiven] = Forgiven, *, pause_s: float = 0.0) -> None:
        super().__init__(fleet.address, pause_s)
        self.requests: list[Request] = []
        self.reads: list[Read] = []
        self.called: list[Ledger] = []  # ledgers that clients over gRPC have started, each with one entry
        self.reconnects = 0  # nothing was sent: a balancer tries the next host
        self._forgives = forgives
        self._fleet = fleet
        self._read_pause_s = max(READ_PAUSE_S, pause_s)

    async def run(self, *, clients: int, stop: asyncio.Event) -> None:
        over = asyncio.Event()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx.AsyncClient(timeout=REQUEST_S, limits=limits) as http:
            around = [asyncio.ensure_future(work(http, over)) for work in (self._read, self._read, self._wait)]
            try:
                await asyncio.gather(*(self._client(http, stop) for _ in range(clients)))
                over.set()
                await asyncio.gather(*around)
            finally:
                for task in around:
                    task.cancel()

    async def endings(self, *, within_s: float) -> dict[str, dict[str, Any]]:
        """Wait for the end of all ledgers, and read them. One that does not end is left out."""
        end_s = time.monotonic() + within_s
        found: dict[str, dict[str, Any]] = {}
        async with httpx.AsyncClient(timeout=REQUEST_S) as http:
            for ledger in [*self.ledgers, *self.called]:
                while not ledger.gone:
                    with suppress(httpx.TransportError):
                        path = f"{self._url()}/v1.0/workflows/dapr/{ledger.instance_id}"
                        state = (await http.get(path)).json()
                        if state.get("runtimeStatus") == "COMPLETED":
                            output = json.loads(state["properties"]["dapr.workflow.output"])
                            # The output of an instance of a call is the entry that it has booked.
                            ending = output if isinstance(output, dict) else {"got": [output], "early": 0}
                            found[ledger.instance_id] = ending
                            break
                    if time.monotonic() > end_s:
                        break
                    await self._mend(http, ledger)
                    await asyncio.sleep(0.02)
        return found

    async def _mend(self, http: httpx.AsyncClient, ledger: Ledger) -> None:
        """Close a ledger again if a copy of the database may not have its first closing."""
        if self._forgives().lost_at_s is not None and not await self._is_gone(http, ledger):
            with suppress(httpx.TransportError):
                path = f"{self._url()}/v1.0/workflows/dapr/{ledger.instance_id}/raiseEvent/entry"
                await http.post(path, content=json.dumps(CLOSE))
                await asyncio.sleep(0.5)

    async def _is_gone(self, http: httpx.AsyncClient, ledger: Ledger) -> bool:
        if self._forgives().lost_at_s is None or not ledger.started:
            return False
        try:
            answer = await http.get(f"{self._url()}/api/v1/instances/{ledger.instance_id}")
        except httpx.TransportError:
            return False
        ledger.gone = answer.status_code == 404
        return ledger.gone

    async def _post(self, http: httpx.AsyncClient, path: str, body: Any) -> bool:
        from_s = time.time()
        answer = await self._answer(http, path, json.dumps(body))
        # The path begins with the instance; that of a start begins with the workflow.
        id_ = path.partition("instanceID=")[2] or path.partition("/")[0]
        # A closing that has arrived, and was not acknowledged, is refused the second time.
        expected = answer == "202" or (body == CLOSE and answer.startswith("500 ERR_RAISE_EVENT"))
        self.requests.append(Request(from_s, time.time(), id_, answer, refused=not expected))
        return answer == "202"

    async def _answer(self, http: httpx.AsyncClient, path: str, content: str) -> str:
        end_s = time.monotonic() + REQUEST_S
        while True:
            try:
                answer = await http.post(f"{self._url()}/v1.0/workflows/dapr/{path}", content=content)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if time.monotonic() > end_s:
                    return type(error).__name__
                self.reconnects += 1
                await asyncio.sleep(self.PATIENCE_S)
                continue
            except httpx.TransportError as error:
                return type(error).__name__
            if answer.status_code == 202:
                return "202"
            with suppress(ValueError):
                told = answer.json()
                return f"{answer.status_code} {told.get('errorCode')}: {told.get('message')}"[:160]
            return str(answer.status_code)

    async def _read(self, http: httpx.AsyncClient, over: asyncio.Event) -> None:
        """Read the newest ledgers, from each host in turn."""
        number = 0
        while not over.is_set():
            await asyncio.sleep(self._read_pause_s)
            if not (begun := [each for each in self.ledgers[-16:] if each.started]):
                continue
            number += 1
            ledger = begun[number % len(begun)]
            # Hosts that are not ready are asked too: they must not answer from memory.
            place = self._fleet.places[number % len(self._fleet.places)]
            url, pid = place.daemon.url, place.pid
            from_s = time.time()
            with suppress(httpx.TransportError, ValueError):
                path = f"{url}/v1.0/workflows/dapr/{ledger.instance_id}"
                state = (await http.get(path, timeout=READ_PATIENCE_S)).json()
                if booked := state.get("properties", {}).get("dapr.workflow.custom_status"):
                    self.reads.append(Read(from_s, time.time(), ledger.instance_id, int(booked), pid))

    async def _wait(self, http: httpx.AsyncClient, over: asyncio.Event) -> None:
        """Wait for the end of one ledger after the other, by long polls."""
        waited: set[str] = set()
        while not over.is_set():
            await asyncio.sleep(self._read_pause_s)
            ledger = next((each for each in self.ledgers if each.started and each.instance_id not in waited), None)
            if ledger is not None:
                waited.add(ledger.instance_id)
                await self._wait_for(http, ledger, over)

    async def _wait_for(self, http: httpx.AsyncClient, ledger: Ledger, over: asyncio.Event) -> None:
        while not over.is_set():
            path = f"{self._url()}/api/v1/instances/{ledger.instance_id}/wait"
            try:
                answer = await http.get(path, params={"timeout": "5"})
            except (httpx.ConnectError, httpx.ConnectTimeout):
                await asyncio.sleep(self.PATIENCE_S)
                continue
            except httpx.TransportError as error:
                self._note_wait(ledger, type(error).__name__, refused=True)
                continue
            self._note_wait(ledger, str(answer.status_code), refused=answer.status_code not in (200, 204))
            if answer.status_code == 200:
                return
            await asyncio.sleep(self.PATIENCE_S)

    def _note_wait(self, ledger: Ledger, answer: str, *, refused: bool) -> None:
        # A wait lasts until the ledger ends: its times say nothing of a takeover.
        now_s = time.time()
        self.requests.append(Request(now_s, now_s, ledger.instance_id, f"wait {answer}", refused=refused))
