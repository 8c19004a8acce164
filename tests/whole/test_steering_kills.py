"""Starts, events and changes that are sent again over kills of the daemon: each happens once, also in the audit.

The counts are printed: `pytest -s -m slow tests/whole/test_steering_kills.py`.
"""

import asyncio
import contextlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..support.processes.daemon import Daemon

CLIENTS = 4
SEED = 20_261_126

APP = """
from typing import Any
import perdure

app = perdure.App("ledgers")

@app.workflow
async def ledger(ctx: perdure.WorkflowContext, taken: list[Any]) -> list[Any]:
    for _ in range(3):
        entry = await ctx.wait_for_external_event("entry")
        if entry == "end":
            return taken
        taken = [*taken, entry]
    ctx.continue_as_new(taken, save_events=True)
    return []
"""


class Client:
    """Fills ledgers, one after the other, and sends each request until it is answered, then once more."""

    def __init__(self, number: int, daemons: list[Daemon]) -> None:
        self.number = number
        self.daemons = daemons
        self.chance = random.Random(f"{SEED}/{number}")
        self.ledgers: dict[str, int] = {}  # how many entries each has, by id
        self.reasons: list[str] = []  # those given for the changes that were answered
        self.doubled = 0

    async def run(self, stop: asyncio.Event) -> None:
        async with httpx.AsyncClient(timeout=5) as http:
            while not stop.is_set():
                await self._fill(http, f"{self.number}-{len(self.ledgers)}", stop)

    async def _fill(self, http: httpx.AsyncClient, key: str, stop: asyncio.Event) -> None:
        path = "workflows/ledger/instances"
        begun = await self._send(http, path, {"idempotency-key": key}, "[]", {200, 201})
        instance_id = begun["id"]
        entries = 0
        for _ in range(self.chance.randint(1, 8)):
            if self.chance.random() < 0.4:
                for action in ("suspend", "resume"):
                    reason = f"{action} {key} {entries}"
                    body = json.dumps({"reason": reason})
                    await self._send(http, f"instances/{instance_id}/{action}", {}, body, {200, 202})
                    self.reasons.append(reason)
            await self._event(http, instance_id, str(entries), str(entries))
            entries += 1
            if stop.is_set():
                break
        await self._event(http, instance_id, "end", '"end"')
        self.ledgers[instance_id] = entries

    async def _event(self, http: httpx.AsyncClient, instance_id: str, key: str, data: str) -> None:
        await self._send(http, f"instances/{instance_id}/events/entry", {"idempotency-key": key}, data, {200, 202})

    async def _send(
        self, http: httpx.AsyncClient, path: str, headers: dict[str, str], body: str, ok: set[int]
    ) -> dict[str, Any]:
        """Send a request until it is answered; now and then once more."""
        while True:
            try:
                answer = await http.post(f"{self.daemons[-1].url}/api/v1/{path}", content=body, headers=headers)
            except httpx.HTTPError:
                await asyncio.sleep(0.02)
                continue
            if answer.status_code == 503:
                await asyncio.sleep(0.02)
                continue
            assert answer.status_code in ok, f"{path}: {answer.status_code} {answer.text}"
            if headers and self.chance.random() < 0.2:
                self.doubled += 1
                continue
            found: dict[str, Any] = answer.json() if answer.content else {}
            return found


async def steered(folder: Path, *, kills: int) -> tuple[int, int, int]:
    """Kill a daemon again and again while clients steer; return how many ledgers, changes and repeats there were."""
    (folder / "ledgers.py").write_text(APP)
    moments = random.Random(SEED)
    with contextlib.ExitStack() as running:
        daemons: list[Daemon] = []

        def start() -> None:
            daemons.append(running.enter_context(Daemon(folder / "ledgers.py", folder / "ledgers.db")))

        start()
        clients, stop = [Client(number, daemons) for number in range(CLIENTS)], asyncio.Event()
        load = [asyncio.ensure_future(client.run(stop)) for client in clients]
        for _ in range(kills):
            await asyncio.sleep(moments.uniform(0.1, 0.4))
            daemons[-1].kill()
            await asyncio.to_thread(start)
        await asyncio.sleep(0.2)
        stop.set()
        await asyncio.gather(*load)
        async with httpx.AsyncClient(timeout=30, base_url=f"{daemons[-1].url}/api/v1/") as http:
            count = await http.get("count")
            ledgers = {id_: entries for client in clients for id_, entries in client.ledgers.items()}
            # As many instances as starts with a key of their own,
            assert sum(each["count"] for each in count.json()["counts"]) == len(ledgers)
            for id_, entries in ledgers.items():
                # each with every entry once and in order,
                assert (await http.get(f"instances/{id_}/wait")).status_code == 200
                state = await http.get(f"{daemons[-1].url}/v1.0/workflows/dapr/{id_}")
                output = json.loads(state.json()["properties"]["dapr.workflow.output"])
                assert output == list(range(entries)), id_
            # and each change in the audit once.
            found: Counter[str] = Counter()
            cursor: str | None = None
            while True:
                page = (await http.get("audit", params={"limit": 100, **({"cursor": cursor} if cursor else {})})).json()
                found.update(row["reason"] for row in page["items"])
                cursor = page["cursor"]
                if cursor is None:
                    break
            expected = [reason for client in clients for reason in client.reasons]
            assert found == Counter(expected)
        assert daemons[-1].stop() == 0
    return len(ledgers), len(expected), sum(client.doubled for client in clients)


@pytest.mark.slow
def test_fifty_kills_repeat_and_lose_nothing(tmp_path: Path) -> None:
    ledgers, changes, repeats = asyncio.run(steered(tmp_path, kills=50))
    print(f"\n50 kills: {ledgers} ledgers, {changes} changes, {repeats} requests that were sent again for nothing")
    assert ledgers > 50
    assert min(changes, repeats) > 50
