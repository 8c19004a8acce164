"""Ledgers: instances that write down each entry, clients that send entries, and the conditions between the two.

A client sends the entries of its ledger one after the other, and each try under its own number. So the ledger shows,
after any number of kills, the lost, the doubled and the misordered entries, and the early timers.
"""

import asyncio
import json
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

CLOSE = -1  # the entry that ends a ledger

APP = textwrap.dedent('''
    """Ledgers. Every fourth entry waits for a timer, and every eighth begins a new generation."""

    from datetime import timedelta

    import perdure

    app = perdure.App("ledgers")


    @app.activity
    async def book(ctx: perdure.ActivityContext, entry: int) -> int:
        return entry


    @app.workflow
    async def ledger(ctx: perdure.WorkflowContext, state: dict) -> dict:
        while (entry := await ctx.wait_for_external_event("entry")) != -1:
            state["got"].append(await ctx.call_activity(book, input=entry))
            if len(state["got"]) % 4 == 0:
                due = ctx.now() + timedelta(milliseconds=20)
                await ctx.create_timer(due)
                state["early"] += ctx.now() < due
            if len(state["got"]) % 8 == 0:
                ctx.continue_as_new(state, save_events=True)
                return state
        return state
''')


@dataclass
class Ledger:
    """The knowledge of a client about its ledger."""

    instance_id: str
    started: bool = False
    gone: bool = False  # a copy of the database that does not have it took over
    sent: set[int] = field(default_factory=set)
    acknowledged: list[int] = field(default_factory=list)  # in the order in which they were sent


@dataclass(frozen=True)
class Findings:
    """The errors of ledgers: each entry of a list is a ledger's id and the number of an entry."""

    ledgers: int
    entries: int  # that were acknowledged
    lost: list[tuple[str, int]]
    doubled: list[tuple[str, int]]
    invented: list[tuple[str, int]]
    out_of_order: list[tuple[str, int]]
    early: list[tuple[str, int]]

    @property
    def faults(self) -> int:
        return sum(map(len, (self.lost, self.doubled, self.invented, self.out_of_order, self.early)))

    def __str__(self) -> str:
        return (
            f"{self.ledgers} ledgers, {self.entries} acknowledged entries: {len(self.lost)} lost, "
            f"{len(self.doubled)} doubled, {len(self.invented)} invented, {len(self.out_of_order)} out of order, "
            f"{len(self.early)} early"
        )


def findings(ledgers: Iterable[tuple[Ledger, dict[str, Any]]]) -> Findings:
    """Compare the knowledge of clients with their ledgers.

    Args:
        ledgers: Each ledger with the output of its instance.
    """
    found = Findings(*_sizes(ledgers := list(ledgers)), [], [], [], [], [])
    for ledger, output in ledgers:
        got: list[int] = output["got"]
        name = ledger.instance_id
        found.lost.extend((name, entry) for entry in ledger.acknowledged if entry not in set(got))
        found.doubled.extend((name, entry) for entry, times in Counter(got).items() if times > 1)
        found.invented.extend((name, entry) for entry in got if entry not in ledger.sent)
        places = [got.index(entry) for entry in ledger.acknowledged if entry in got]
        found.out_of_order.extend((name, got[later]) for earlier, later in pairwise(places) if later < earlier)
        found.early.extend((name, number) for number in range(output["early"]))
    return found


def _sizes(ledgers: list[tuple[Ledger, dict[str, Any]]]) -> tuple[int, int]:
    return len(ledgers), sum(len(ledger.acknowledged) for ledger, _ in ledgers)


class Clients:
    """Clients that fill one ledger after the other, through kills of the daemon.

    Args:
        url: Returns the daemon's present address; called before each request, because the daemon moves.
        pause_s: Between two entries of a ledger.
    """

    ENTRIES = 12  # of each ledger
    PATIENCE_S = 0.02  # after a request that was not acknowledged

    def __init__(self, url: Callable[[], str], pause_s: float = 0.0) -> None:
        self._url = url
        self._pause_s = pause_s
        self.ledgers: list[Ledger] = []

    async def run(self, *, clients: int, stop: asyncio.Event) -> None:
        """Fill ledgers until told to stop; ledgers that are begun then are filled to their end."""
        async with httpx.AsyncClient(timeout=5) as http:
            await asyncio.gather(*(self._client(http, stop) for _ in range(clients)))

    async def outputs(self, *, within_s: float) -> list[tuple[Ledger, dict[str, Any]]]:
        """Wait for the end of all ledgers, and read them."""
        end_s = time.monotonic() + within_s
        found = []
        async with httpx.AsyncClient(timeout=5) as http:
            for ledger in self.ledgers:
                path = f"{self._url()}/v1.0/workflows/dapr/{ledger.instance_id}"
                while (state := (await http.get(path)).json()).get("runtimeStatus") != "COMPLETED":
                    assert time.monotonic() < end_s, state
                    await asyncio.sleep(0.02)
                found.append((ledger, json.loads(state["properties"]["dapr.workflow.output"])))
        return found

    async def _client(self, http: httpx.AsyncClient, stop: asyncio.Event) -> None:
        while not stop.is_set():
            ledger = Ledger(f"ledger-{len(self.ledgers)}")
            self.ledgers.append(ledger)
            await self._start(http, ledger)
            for _ in range(self.ENTRIES):
                await self._send(http, ledger)
                await asyncio.sleep(self._pause_s)
            # The instance drops it if the first one has arrived.
            while not (ledger.gone or await self._post(http, f"{ledger.instance_id}/raiseEvent/entry", CLOSE)):
                ledger.gone = await self._is_gone(http, ledger)
                await asyncio.sleep(self.PATIENCE_S)

    async def _start(self, http: httpx.AsyncClient, ledger: Ledger) -> None:
        path = f"ledger/start?instanceID={ledger.instance_id}"
        while not await self._post(http, path, {"got": [], "early": 0}):
            # A try that was not acknowledged may have been taken.
            if await self._exists(http, ledger):
                break
            await asyncio.sleep(self.PATIENCE_S)
        ledger.started = True

    async def _send(self, http: httpx.AsyncClient, ledger: Ledger) -> None:
        while not ledger.gone:
            entry = len(ledger.sent)
            ledger.sent.add(entry)
            if await self._post(http, f"{ledger.instance_id}/raiseEvent/entry", entry):
                ledger.acknowledged.append(entry)
                return
            ledger.gone = await self._is_gone(http, ledger)
            await asyncio.sleep(self.PATIENCE_S)

    async def _is_gone(self, http: httpx.AsyncClient, ledger: Ledger) -> bool:
        """Whether a begun ledger is missing, and may be missing."""
        return False

    async def _exists(self, http: httpx.AsyncClient, ledger: Ledger) -> bool:
        try:
            return (await http.get(f"{self._url()}/v1.0/workflows/dapr/{ledger.instance_id}")).status_code == 200
        except httpx.TransportError:
            return False

    async def _post(self, http: httpx.AsyncClient, path: str, body: Any) -> bool:
        """Send a request; True if it was acknowledged."""
        try:
            answer = await http.post(f"{self._url()}/v1.0/workflows/dapr/{path}", content=json.dumps(body))
        except httpx.TransportError:
            return False
        return answer.status_code == 202


def write_app(folder: Path) -> Path:
    app = folder / "ledgers_app.py"
    app.write_text(APP)
    return app
