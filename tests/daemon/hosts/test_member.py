"""A host and its supervisor understand each other, and each finds out when the other is gone."""

from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import anyio
import pytest

from perdure.actors.cluster.membership import Membership
from perdure.actors.store.part import Part
from perdure.daemon import logs
from perdure.daemon.config import Config
from perdure.daemon.hosts import member
from perdure.daemon.supervision import Failed, Member, Ready, ShutdownAsked, Stop

from ...support.processes.host_config import host_config


class Pair:
    """Both ends of a pipe."""

    def __init__(self, directory: str) -> None:
        self.parent, child = Pipe()
        self.member = Member(membership=Membership(part=Part(1, 2), directory=directory), pipe=child)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(str(tmp_path / "sockets"))
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


def test_a_host_says_nothing_to_nobody(pair: Pair) -> None:
    pair.parent.close()
    pair.member.say(Ready("here"))


def test_a_host_waits_for_a_word_and_for_the_end_of_all_words(pair: Pair) -> None:
    heard: list[Stop | None] = []

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


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the signals and the log of the tests alone."""
    monkeypatch.setattr(member, "leave_signals_to_the_supervisor", lambda: None)
    monkeypatch.setattr(logs, "configure_logging", lambda *_, **__: None)


@pytest.mark.usefixtures("in_this_process")
def test_an_app_that_is_not_there_is_said_in_a_sentence(pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="1"):
        member.main(host_config(str(tmp_path / "nowhere.py")), pair.member)
    assert pair.parent.recv() == Failed(f"there is no file {tmp_path / 'nowhere.py'}.")


@pytest.mark.usefixtures("in_this_process")
def test_an_app_that_cannot_be_imported_is_said_with_its_traceback(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "broken_app_of_a_member.py").write_text("1 / 0\n")
    with pytest.raises(SystemExit, match="1"):
        member.main(host_config(str(tmp_path / "broken_app_of_a_member.py")), pair.member)
    failed = pair.parent.recv()
    assert failed.is_traceback
    assert failed.why.endswith("ZeroDivisionError: division by zero")


@pytest.mark.usefixtures("in_this_process")
def test_an_orphan_clears_up_after_its_supervisor(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a host that serves until its supervisor is killed,
    def serve_app(config: Config, announce: Any, member: Member) -> None:
        announce("here")
        pair.parent.recv()
        pair.parent.close()

    monkeypatch.setattr("perdure.daemon.serve.serve_app", serve_app)
    directory = Path(pair.member.membership.directory)
    directory.mkdir()
    # when it ends, then the folder that the supervisor had made is gone.
    member.main(host_config("shop.py"), pair.member)
    assert not directory.exists()
