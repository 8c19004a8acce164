"""Processes of other engines: the requests to them, and the errors when they fail."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import anyio
import pytest

from perdure.benchmarks.drivers.processes import started
from perdure.benchmarks.peers.peer_process import Lines, PeerFailed, free_port, logged, ready

pytestmark = pytest.mark.anyio

READY = """
import json, sys
def tell(number, **rest): print(json.dumps({"number": number, **rest}), flush=True)
tell(0, output="ready")
"""
# Answers two requests in reverse order, and ends.
TWISTED = (
    READY + "for line in reversed([json.loads(input()) for _ in range(2)]): tell(line['number'], output=line['do'])"
)
FAILS = READY + "tell(json.loads(input())['number'], error='broken')\ninput()"
ENDS = READY + "input()"


Speaking: TypeAlias = Callable[[str], AbstractAsyncContextManager[Lines]]


@pytest.fixture
def speaking(tmp_path: Path) -> Speaking:
    @asynccontextmanager
    async def opened(program: str) -> AsyncIterator[Lines]:
        with started([sys.executable, "-c", program], tmp_path, stdin=subprocess.PIPE) as process:
            lines = Lines(process)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lines.listen)
                await lines.ready()
                yield lines
                tasks.cancel_scope.cancel()

    return opened


async def test_an_answer_finds_its_request(speaking: Speaking) -> None:
    async with speaking(TWISTED) as lines:
        found: dict[str, str] = {}

        async def ask(do: str) -> None:
            found[do] = await lines.ask(do, "chain", "a", 5)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, "one")
            tasks.start_soon(ask, "two")
        assert found == {"one": "one", "two": "two"}


async def test_an_error_is_raised_where_it_was_asked_for(speaking: Speaking) -> None:
    async with speaking(FAILS) as lines:
        with pytest.raises(PeerFailed, match="broken"):
            await lines.ask("anything", "chain", "a", None)


async def test_a_process_that_ends_fails_its_waiters(speaking: Speaking) -> None:
    async with speaking(ENDS) as lines:
        with pytest.raises(PeerFailed, match="has ended"):
            await lines.ask("anything", "chain", "a", None)


async def test_a_process_is_asked_until_it_is_ready(tmp_path: Path) -> None:
    answers = iter([OSError, False, True])

    async def ask() -> bool:
        answer = next(answers)
        if answer is OSError:
            raise ConnectionRefusedError
        return bool(answer)

    with logged([sys.executable, "-c", "input()"], tmp_path, "peer", stdin=subprocess.PIPE) as process:
        await ready(process, ask)
    assert next(answers, None) is None


async def test_what_a_process_said_is_shown_when_it_fails(tmp_path: Path) -> None:
    async def no() -> bool:
        return False

    program = "raise SystemExit('no space left')"
    said = r"(?s)did not get ready.*\npeer said:\nno space left"
    with pytest.raises(PeerFailed, match=said), logged([sys.executable, "-c", program], tmp_path, "peer") as process:
        await ready(process, no)


async def test_a_free_port_can_be_listened_on() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=free_port()):
        pass
