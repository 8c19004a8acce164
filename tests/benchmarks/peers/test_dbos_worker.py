"""The script that runs DBOS, as far as it needs no DBOS: requests and answers."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from perdure.benchmarks.peers import dbos_worker
from perdure.benchmarks.peers.dbos_worker import Actions, serve


async def answers_of(actions: Actions, *requests: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Serve requests until this number of answers has come."""
    reader = asyncio.StreamReader()
    for request in requests:
        reader.feed_data(json.dumps(request).encode() + b"\n")
    answers: list[dict[str, Any]] = []

    def tell(line: str) -> None:
        answers.append(json.loads(line))
        if len(answers) == number:
            reader.feed_eof()

    await serve(actions, reader, tell)
    return answers


@pytest.mark.anyio
async def test_it_says_that_it_is_ready_before_it_is_asked() -> None:
    assert await answers_of({}, number=1) == [{"number": 0, "output": "ready"}]


@pytest.mark.anyio
async def test_a_request_does_not_wait_for_the_one_before() -> None:
    # Given an action that ends only when another one has run,
    begun = asyncio.Event()

    async def first(value: int) -> int:
        await begun.wait()
        return value

    async def second(value: int) -> int:
        begun.set()
        return value

    answers = await answers_of(
        {"first": first, "second": second},
        {"number": 1, "do": "first", "value": 10},
        {"number": 2, "do": "second", "value": 20},
        number=3,
    )
    # then both are answered, each under its number.
    assert sorted((answer["number"], answer["output"]) for answer in answers[1:]) == [(1, 10), (2, 20)]


@pytest.mark.anyio
async def test_an_action_that_fails_is_answered_with_its_error() -> None:
    async def fail() -> None:
        raise ValueError("no such workflow")

    (_, answer) = await answers_of({"fail": fail}, {"number": 1, "do": "fail"}, number=2)
    assert answer == {"number": 1, "error": "ValueError('no such workflow')"}


def test_without_dbos_the_script_says_what_is_missing() -> None:
    script = Path(dbos_worker.__file__)
    found = subprocess.run(
        [sys.executable, "-I", "-S", script, "url", "1"], capture_output=True, text=True, check=False
    )
    assert found.returncode != 0
    assert "No module named 'dbos'" in found.stderr
