"""The driver of a daemon gets some values from the pipe, and others from answers."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any, cast

import pytest

from perdure.benchmarks.drivers.http_client import HttpAnswer, HttpClient
from perdure.benchmarks.drivers.in_process import EngineSetup
from perdure.benchmarks.drivers.over_http import HttpDriver, ReportPipe, UnexpectedAnswer, http_driver, listening
from perdure.benchmarks.drivers.processes import Daemon

pytestmark = pytest.mark.anyio


class Script:
    """Replaces the client, and gives prepared answers."""

    def __init__(self, *answers: HttpAnswer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def get(self, path: str) -> HttpAnswer:
        self.asked.append(f"GET {path}")
        return self.answers.pop(0)

    async def post(self, path: str, body: bytes) -> HttpAnswer:
        self.asked.append(f"POST {path} {body.decode()}")
        return self.answers.pop(0)


def driver(script: Script) -> HttpDriver:
    return HttpDriver(cast(Daemon, None), cast(HttpClient, script), None, see=True)


def state(status: str, **properties: Any) -> HttpAnswer:
    body = {"runtimeStatus": status, "lastUpdatedAt": "1970-01-01T00:00:01.5Z", "properties": properties}
    return HttpAnswer(200, json.dumps(body).encode())


async def test_an_instance_is_started_with_its_input_and_has_the_id_of_the_answer() -> None:
    script = Script(HttpAnswer(202, b'{"instanceID":"abc"}'))
    assert await driver(script).start("chain", 5) == "abc"
    assert script.asked == ["POST /v1.0/workflows/dapr/chain/start 5"]


async def test_an_instance_is_asked_for_until_it_has_ended() -> None:
    script = Script(state("RUNNING"), state("COMPLETED", **{"dapr.workflow.output": "5"}))
    end = await driver(script).completed("abc")
    assert (end.at_us, end.output) == (1_500_000, 5)
    assert script.asked == ["GET /v1.0/workflows/dapr/abc"] * 2


@pytest.mark.parametrize("answer", [HttpAnswer(404, b"{}"), state("FAILED")])
async def test_what_should_not_be_is_an_error(answer: HttpAnswer) -> None:
    with pytest.raises(UnexpectedAnswer, match="/workflows/dapr/abc was answered"):
        await driver(Script(answer)).completed("abc")


async def test_the_pipe_tells_in_pieces_early_and_late() -> None:
    reading, writing = os.pipe()
    reports = ReportPipe(reading)
    try:
        waiting = asyncio.ensure_future(reports.of("second"))
        await asyncio.sleep(0)
        os.write(writing, b"first\nsec")
        reports.read()
        await reports.of("first")
        assert not waiting.done()
        os.write(writing, b"ond\n")
        reports.read()
        await waiting
    finally:
        os.close(reading)
        os.close(writing)


async def test_the_pipe_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "over"
    async with listening(str(path)) as reports:
        path.write_bytes(b"one\n")
        await reports.of("one")


async def test_a_daemon_runs_instances_to_their_ends(tmp_path: Path) -> None:
    async with http_driver(EngineSetup(folder=tmp_path), see=False) as driver:
        chain = await driver.start("chain", 2)
        await driver.finish(chain)
        signal = await driver.start("signal", None)
        await driver.raise_event(signal, "go", 7)
        await driver.finish(signal)
        assert [end.output for end in await driver.ends([chain, signal])] == [2, 7]
        assert driver.engine_usage().rss_bytes > 2**20
        assert driver.load_usage() is not None
        assert driver.counts() is None
