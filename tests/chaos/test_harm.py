"""Code of the app harms the host that runs it: it blocks the event loop, or ends the process."""

import asyncio
import json
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from ..support.postgres import PostgresServer
from ..whole.chaos.decoding import begin_decoding
from ..whole.chaos.fleet import Fleet, Setup
from ..whole.chaos.recorded import Blow, Deed
from ..whole.chaos.storm import Bed, Sky
from .story import HOSTS, again_and_again, judged, require_quick_takeovers, run

STEP_MAX_S = 1.0
ENDS_WITHIN_S = 30.0  # a host ends ten seconds after a step that cannot be interrupted should have ended
# How many hosts a culprit ends before it is set aside: four if nothing is suspect with it, and some more if others are.
ENDS = range(4, 9)
SET_ASIDE_WITHIN_S = 240.0
LOOK_S = 0.1


def test_a_host_that_beats_and_is_stuck_ends_and_is_taken_over(server: PostgresServer, tmp_path: Path) -> None:
    begin_decoding(server)
    ends = 0

    async def storm(sky: Sky) -> None:
        nonlocal ends
        # The activity blocks the loop of one host, once; at the next host it is harmless.
        began_s = time.time()
        await start(sky.fleet, f"stuck-{ends}", "keep the loop", once=True)
        await one_ends(sky.fleet, began_s)
        ends += 1
        assert await ending(sky.fleet, f"stuck-{ends - 1}") == "harmless"

    url = server.url(schema="chaos")
    options = ("--activity-step-max", str(STEP_MAX_S), "--workflow-step-max", str(STEP_MAX_S))
    bed = Bed(server=server, hosts=HOSTS, setup=lambda index: Setup(data=url, options=options), log=server)
    verdict = run(lambda: judged(bed, tmp_path, again_and_again(storm)))
    require_quick_takeovers(verdict)
    logs = "".join(path.read_text() for path in tmp_path.glob("host-*.log"))
    assert logs.count("cannot be interrupted, and has blocked the event loop for") >= ends


@pytest.mark.parametrize("how", ["exit", "exit in a turn"])
def test_an_instance_that_kills_its_owners_one_after_the_other_is_set_aside_by_them(
    how: str, server: PostgresServer, tmp_path: Path
) -> None:
    begin_decoding(server)
    ends = 0

    async def storm(sky: Sky) -> None:
        nonlocal ends
        # Given hosts under load, when an instance ends each of them that has it, and each is started again,
        await start(sky.fleet, "poison", how, once=False)
        end_s = time.monotonic() + SET_ASIDE_WITHIN_S
        while (stall := await stall_of(sky.fleet, "poison")) is None:
            assert time.monotonic() < end_s, f"after {ends} ends it is not set aside"
            ends += await ended(sky.fleet)
            await asyncio.sleep(LOOK_S)
        # then it is set aside, no further host ends, and all other instances go on, by the verdict.
        assert "set aside" in stall
        await asyncio.sleep(1)
        ends += await ended(sky.fleet)  # the instance may be set aside between two looks at the last host
        await asyncio.sleep(5)
        assert await ended(sky.fleet) == 0

    url = server.url(schema="chaos")
    bed = Bed(server=server, hosts=HOSTS, setup=lambda index: Setup(data=url), log=server)
    verdict = run(lambda: judged(bed, tmp_path, storm))
    print(f"{ends} hosts have ended")
    assert ends in ENDS
    assert verdict.taken_s


async def start(fleet: Fleet, id_: str, how: str, *, once: bool) -> None:
    """Start an instance that does harm; the answer may be lost with its host."""
    path = f"{fleet.address()}/v1.0/workflows/dapr/harmful/start?instanceID={id_}"
    async with httpx.AsyncClient(timeout=20) as http:
        with suppress(httpx.TransportError):
            await http.post(path, content=json.dumps([how, once]))


async def one_ends(fleet: Fleet, stuck_s: float) -> None:
    """Wait until a host has ended by itself, and start another in its place.

    Other hosts may find it dead before its end, which comes late on a busy machine: its beats stop earlier.

    Args:
        stuck_s: Since when its loop has stood still; Unix time.
    """
    end_s = time.monotonic() + ENDS_WITHIN_S
    while time.monotonic() < end_s:
        for index, place in enumerate(fleet.places):
            pid, seen_s = place.pid, time.time()
            if await fleet.start_again_if_ended(index):
                fleet.blows.append(Blow(deed=Deed.STUCK, pid=pid, from_s=stuck_s, until_s=seen_s))
                return
        await asyncio.sleep(LOOK_S)
    raise AssertionError("no host has ended")


async def ended(fleet: Fleet) -> int:
    """Start hosts again that have ended by themselves; return their number."""
    return [await fleet.start_again_if_ended(index) for index in range(len(fleet.places))].count(True)


async def stall_of(fleet: Fleet, id_: str) -> str | None:
    """The reason for which an instance is set aside; None: it is not, or no host answers."""
    async with httpx.AsyncClient(timeout=5) as http:
        try:
            answer = await http.get(f"{fleet.address()}/v1.0/workflows/dapr/{id_}")
        except httpx.TransportError:
            return None
    properties = answer.json().get("properties", {}) if answer.status_code == 200 else {}
    found: str | None = properties.get("perdure.workflow.stall")
    return found


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
