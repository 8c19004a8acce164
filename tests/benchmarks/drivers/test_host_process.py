"""One of several hosts: it goes on when it is told to, and ends when nobody is there to tell it."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import msgspec
import pytest

from perdure.benchmarks.drivers import host_process
from perdure.benchmarks.drivers.host_process import Connected, Over, Share, Summed, be_host, hearing
from perdure.benchmarks.drivers.load import WrongResult
from perdure.benchmarks.run_process import ProgressMessage, first_of
from perdure.benchmarks.workloads.table import BY_NAME

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Pipe:
    """What the host hears, and is to hear."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()

    def say(self, words: bytes) -> None:
        os.write(self.writing, words)

    def end(self) -> None:
        os.close(self.writing)
        self.writing = -1

    def close(self) -> None:
        for end in (self.reading, self.writing):
            if end >= 0:
                os.close(end)


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    pipe = Pipe()
    monkeypatch.setattr(host_process, "STDIN", pipe.reading)
    yield pipe
    pipe.close()


class Said:
    """What the host says; each thing is answered with a word, and the last with the end of all words."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.messages: list[msgspec.Struct] = []

    def write(self, message: msgspec.Struct) -> None:
        self.messages.append(message)
        if isinstance(message, Summed):
            self.pipe.end()
        else:
            self.pipe.say(b"!")


def share(folder: Path, index: int = 0, of: int = 1) -> Share:
    return Share(
        index=index,
        of=of,
        folder=str(folder),
        sockets=str(folder),
        durability="full",
        always_replay=False,
        workload="W1",
        in_flight=3,
        seconds=1.0,
        instances=5,
    )


async def test_a_word_said_early_is_kept_and_each_lets_go_on_once(pipe: Pipe) -> None:
    pipe.say(b"!!")
    with anyio.fail_after(5):
        async with hearing() as word:
            await word.next()
            await word.next()
            third = anyio.Event()

            async def wait() -> None:
                await word.next()
                third.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                assert not third.is_set()
                pipe.say(b"!")
                await third.wait()


async def test_when_there_are_no_more_words_the_block_ends(pipe: Pipe) -> None:
    gone_on = False
    with anyio.fail_after(5):
        async with hearing() as word:
            pipe.end()
            await word.next()
            gone_on = True
    assert not gone_on


async def test_a_host_says_when_it_is_connected_when_its_load_is_over_and_what_it_came_to(
    pipe: Pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Said(pipe)
    monkeypatch.setattr(host_process, "write", said.write)
    with anyio.fail_after(20):
        await be_host(share(tmp_path))
    connected, over, summed = (message for message in said.messages if not isinstance(message, ProgressMessage))
    assert isinstance(connected, Connected)
    assert isinstance(over, Over)
    assert isinstance(summed, Summed)
    assert len(summed.tally.spans) == 5
    assert summed.tally.counts is not None
    assert summed.tally.counts.turns >= 5 * 6, "a start and five results each"


async def test_a_wrong_result_ends_a_host(pipe: Pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = replace(BY_NAME["W1"], output=6)
    monkeypatch.setattr(host_process, "BY_NAME", {"W1": wrong})
    monkeypatch.setattr(host_process, "write", Said(pipe).write)
    with anyio.fail_after(20), pytest.raises(ExceptionGroup) as caught:
        await be_host(share(tmp_path))
    assert isinstance(first_of(caught.value), WrongResult)


def test_a_host_has_a_file_of_its_own(tmp_path: Path) -> None:
    files = [share(tmp_path, index, of=2).setup().file.name for index in range(2)]
    assert files == ["perdure.db", "perdure.db.1"]
