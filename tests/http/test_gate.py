"""The gate: while a daemon starts it answers probes and holds everything else, and nothing reaches a handler."""

import anyio
import httpx
import pytest

from perdure.http.gate import StartingGate
from perdure.testing.virtual_time import run_virtually

from ..support.doors.fake_facade import FakeControl, FakeFacade, make_app

HELD_S = 10.0


def starting() -> tuple[StartingGate, FakeControl]:
    control = FakeControl()
    control.is_ready = False
    return StartingGate(make_app(FakeFacade(), control), held_s=HELD_S), control


def client_of(gate: StartingGate) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://perdure")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz/live", 200),
        ("/healthz/ready", 503),
        ("/healthz/ready/", 503),
        ("/v1.0/healthz", 500),
        ("/v1.0/healthz/outbound", 500),
    ],
)
def test_probes_are_answered_at_once(path: str, status: int) -> None:
    async def story() -> None:
        gate, _ = starting()
        async with client_of(gate) as client:
            began_s = anyio.current_time()
            assert (await client.get(path)).status_code == status
            assert anyio.current_time() == began_s

    run_virtually(story)


def test_a_request_waits_until_the_gate_is_opened() -> None:
    async def story() -> None:
        gate, control = starting()
        async with client_of(gate) as client, anyio.create_task_group() as tasks:
            answers: list[int] = []

            async def ask() -> None:
                answers.append((await client.get("/v1.0/metadata")).status_code)

            tasks.start_soon(ask)
            await anyio.sleep(HELD_S - 1)
            assert answers == []
            control.is_ready = True
            gate.open()
            await anyio.sleep(0.1)
            assert answers == [200]

    run_virtually(story)


def test_a_request_that_has_waited_too_long_is_refused_with_its_body_read() -> None:
    async def story() -> None:
        gate, _ = starting()
        async with client_of(gate) as client:
            began_s = anyio.current_time()
            answer = await client.post("/v1.0/workflows/dapr/w/start?instanceID=a", content="1")
            assert anyio.current_time() == began_s + HELD_S
        assert (answer.status_code, answer.json()["errorCode"]) == (503, "ERR_STARTING")
        assert answer.headers["retry-after"] == "1"
        assert "connection" not in answer.headers

    run_virtually(story)
