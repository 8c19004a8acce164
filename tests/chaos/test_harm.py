"""Code of the app harms the host that runs it: it keeps the event loop, or ends the process."""

import asyncio
import json
import time
from pathlib import Path

import httpx

from ..support.postgres import PostgresServer
from ..whole.chaos.decoding import begin_decoding
from ..whole.chaos.fleet import Fleet, Setup
from ..whole.chaos.storm import Bed, Sky
from .story import HOSTS, again_and_again, judged, require_quick_takeovers, run

STEP_MAX_S = 1.0
ENDS_WITHIN_S = 30.0  # a host ends ten seconds after a step that cannot be interrupted should have ended
ENDS = 3
LOOK_S = 0.1


def test_a_host_that_beats_and_is_stuck_ends_and_is_taken_over(server: PostgresServer, tmp_path: Path) -> None:
    begin_decoding(server)
    ends = 0

    async def storm(sky: Sky) -> None:
        nonlocal ends
        # It keeps the loop of one host, once; the next one finds the activity harmless.
        await start(sky.fleet, f"stuck-{ends}", "keep the loop", once=True)
        await one_ends(sky.fleet)
        ends += 1
        assert await ending(sky.fleet, f"stuck-{ends - 1}") == "harmless"

    url = server.url(schema="chaos")
    options = ("--activity-step-max", str(STEP_MAX_S), "--workflow-step-max", str(STEP_MAX_S))
    bed = Bed(server=server, hosts=HOSTS, setup=lambda index: Setup(data=url, options=options), log=server)
    verdict = run(lambda: judged(bed, tmp_path, again_and_again(storm)))
    require_quick_takeovers(verdict)
    logs = "".join(path.read_text() for path in tmp_path.glob("host-*.log"))
    assert logs.count("cannot be interrupted, and has blocked the event loop for") >= ends


def test_an_activity_that_kills_its_owners_one_after_the_other_is_set_aside_by_name(
    server: PostgresServer, tmp_path: Path
) -> None:
    begin_decoding(server)
    asked_for: list[str] = []

    async def storm(sky: Sky) -> None:
        await start(sky.fleet, "poison", "exit", once=False)
        for _ in range(ENDS):
            await one_ends(sky.fleet)
        # All hosts are started again, and told its name: whoever has it then, nothing of it begins.
        asked_for.extend(("--set-aside", "poison"))
        for index in range(HOSTS):
            await sky.fleet.kill(index)
            await sky.fleet.serves(index)
        await asyncio.sleep(5)
        assert not [await sky.fleet.start_again_if_ended(index) for index in range(HOSTS)].count(True)
        found = await asyncio.to_thread(httpx.get, f"{sky.fleet.address()}/v1.0/workflows/dapr/poison", timeout=20)
        assert "set aside" in found.json()["properties"]["perdure.workflow.stall"]

    url = server.url(schema="chaos")
    bed = Bed(server=server, hosts=HOSTS, setup=lambda index: Setup(data=url, options=tuple(asked_for)), log=server)
    verdict = run(lambda: judged(bed, tmp_path, storm))
    assert verdict.taken_s


async def start(fleet: Fleet, id_: str, how: str, *, once: bool) -> None:
    """Start an instance that does harm; the answer may be lost with its host."""
    path = f"{fleet.address()}/v1.0/workflows/dapr/harmful/start?instanceID={id_}"
    async with httpx.AsyncClient(timeout=20) as http:
        await http.post(path, content=json.dumps([how, once]))


async def one_ends(fleet: Fleet) -> None:
    """Wait until a host has ended by itself, and start another in its place."""
    end_s = time.monotonic() + ENDS_WITHIN_S
    while time.monotonic() < end_s:
        for index in range(len(fleet.places)):
            if await fleet.start_again_if_ended(index):
                return
        await asyncio.sleep(LOOK_S)
    raise AssertionError("no host has ended")


async def ending(fleet: Fleet, id_: str) -> str:
    """The result of an instance, once it has one."""
    end_s = time.monotonic() + ENDS_WITHIN_S
    async with httpx.AsyncClient(timeout=20) as http:
        while True:
            state = (await http.get(f"{fleet.address()}/v1.0/workflows/dapr/{id_}")).json()
            if state.get("runtimeStatus") == "COMPLETED":
                return str(json.loads(state["properties"]["dapr.workflow.output"]))
            assert time.monotonic() < end_s, state
            await asyncio.sleep(LOOK_S)
