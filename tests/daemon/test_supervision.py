"""A host and its supervisor read each other's messages, and each finds out when the other has ended."""

from collections.abc import Iterator

import anyio
import pytest

from perdure.actors.store.part import Part
from perdure.daemon.supervision import Beat, Failed, Ready, ShutdownAsked, Stop, ToHost

from ..support.processes.pair import Pair


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair(Part(1, 2))
    yield pair
    pair.parent.close()
    pair.member.pipe.close()


def test_a_host_has_the_name_of_its_part(pair: Pair) -> None:
    assert pair.member.name == "host-1"


def test_what_a_host_says_is_heard_in_its_order(pair: Pair) -> None:
    said = [Ready("here"), ShutdownAsked(force=True), Failed("no")]
    for message in said:
        pair.member.say(message)  # type: ignore[arg-type]
    assert [pair.parent.recv() for _ in said] == said


def test_a_word_of_a_host_without_its_supervisor_is_dropped(pair: Pair) -> None:
    pair.parent.close()
    pair.member.say(Ready("here"))


def test_a_host_waits_for_a_word_and_for_the_end_of_all_words(pair: Pair) -> None:
    heard: list[ToHost | None] = []

    async def listen() -> None:
        heard.append(await pair.member.hear())
        heard.append(await pair.member.hear())

    async def main() -> None:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen)
                await anyio.wait_all_tasks_blocked()
                pair.parent.send(Stop(force=True))
                pair.parent.close()

    anyio.run(main)
    assert heard == [Stop(force=True), None]


def test_an_orphan_is_one_whose_supervisor_is_gone_whatever_it_said_last(pair: Pair) -> None:
    assert not pair.member.orphaned
    pair.parent.send(Stop(force=False))
    assert not pair.member.orphaned
    pair.parent.send(Stop(force=False))
    pair.parent.close()
    assert pair.member.orphaned


def test_a_host_beats_until_its_supervisor_reads_no_more(pair: Pair) -> None:
    pair.member.beat(0.5)
    assert pair.parent.recv() == Beat(0.5)
    # Given a supervisor that reads no message, then a beat is lost, and does not wait.
    for _ in range(20_000):
        pair.member.beat(0.0)
    pair.parent.close()
    pair.member.beat(0.0)


def test_a_host_can_be_sent_to_its_process(pair: Pair) -> None:
    made, arguments = pair.member.__reduce__()
    again = made(*arguments)  # type: ignore[operator, misc]
    assert again == pair.member
