"""The load over gRPC: each client starts an instance under an id of its own, and waits for its end.

The rule is that of the clients over HTTP. A call that no host received is made again at another, as a balancer does;
any other error is noted, and the client looks whether the call took effect.
"""

import asyncio
import json
import time
from typing import Any

import grpc

from ...support.doors.rpc_host import Client
from ...support.processes.ledgers import Ledger
from .fleet import Fleet
from .load import REQUEST_S, ChaosClients
from .recorded import Request

COMPLETED = 1
NOT_RECEIVED = ("failed to connect", "Connection refused")
PAUSE_S = 0.05


class ChaosCallers:
    """Clients over gRPC, which note their requests in the list of the clients over HTTP.

    Args:
        pause_s: How long a client pauses between two calls.
    """

    def __init__(self, fleet: Fleet, load: ChaosClients, *, pause_s: float = PAUSE_S) -> None:
        self._fleet = fleet
        self._load = load
        self._pause_s = max(PAUSE_S, pause_s)
        self._channels: dict[str, Any] = {}
        self._number = 0

    async def run(self, *, callers: int, stop: asyncio.Event) -> None:
        """Call until told to stop."""
        try:
            await asyncio.gather(*(self._caller(stop) for _ in range(callers)))
        finally:
            for channel in self._channels.values():
                await channel.close()

    async def _caller(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            ledger = Ledger(f"call-{self._number}", sent={0}, acknowledged=[0])
            self._number += 1
            self._load.called.append(ledger)
            again = False
            while not ledger.started:
                ledger.started = await self._start(ledger.instance_id, again=again)
                again = True
            while not await self._has_ended(ledger):
                await asyncio.sleep(PAUSE_S)
            await asyncio.sleep(self._pause_s)

    async def _start(self, id_: str, *, again: bool) -> bool:
        """Start an instance, or find that an earlier try has. A second start after its end would run it again."""
        given = {"value": json.dumps([id_, 0])}
        answer = await self._call("StartInstance", id_, again=again, instanceId=id_, name="verify", input=given)
        if answer == "OK" or (again and is_there(answer)):
            return True
        found: list[Any] = []
        await self._call("GetInstance", id_, into=found, instanceId=id_)
        return bool(found) and bool(found[0].exists)

    async def _has_ended(self, ledger: Ledger) -> bool:
        state: list[Any] = []
        await self._call(
            *("WaitForInstanceCompletion", ledger.instance_id),
            into=state,
            instanceId=ledger.instance_id,
            getInputsAndOutputs=True,
        )
        return bool(state) and state[0].workflowState.workflowStatus == COMPLETED

    async def _call(
        self, method: str, id_: str, /, *, into: list[Any] | None = None, again: bool = False, **fields: Any
    ) -> str:
        """Make a call; return OK, or the error's code and text."""
        from_s = time.time()
        end_s = time.monotonic() + REQUEST_S
        while True:
            answer, received = await self._try(method, into, fields)
            if received or time.monotonic() > end_s:
                break
            await asyncio.sleep(PAUSE_S)
        now_s = time.time()
        # A wait lasts until its instance ends.
        began_s = now_s if method == "WaitForInstanceCompletion" else from_s
        # The first try, whose outcome was unknown, has arrived meanwhile.
        expected = answer == "OK" or (again and is_there(answer))
        self._load.requests.append(Request(began_s, now_s, id_, f"{method} {answer}", refused=not expected))
        return answer

    async def _try(self, method: str, into: list[Any] | None, fields: dict[str, Any]) -> tuple[str, bool]:
        address = self._fleet.grpc()
        if address not in self._channels:
            self._channels[address] = grpc.aio.insecure_channel(address)
        try:
            found = await Client(self._channels[address]).call(method, timeout_s=REQUEST_S, **fields)
        except grpc.aio.AioRpcError as error:
            text = error.details() or ""
            return f"{error.code().name} {text[:120]}", not any(words in text for words in NOT_RECEIVED)
        if into is not None:
            into.append(found)
        return "OK", True


def is_there(answer: str) -> bool:
    """Whether a start was refused because the instance is there."""
    return answer.startswith("ALREADY_EXISTS") or "already exists" in answer
