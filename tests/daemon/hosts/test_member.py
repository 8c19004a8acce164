"""A host that cannot start tells its supervisor the reason, and one that has lost its supervisor removes the folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perdure.actors.store.part import Part
from perdure.api.ports import CannotListen, Door
from perdure.daemon.config import Config
from perdure.daemon.hosts import member
from perdure.daemon.supervision import Failed, Member

from ...support.processes.host_config import host_config
from ...support.processes.pair import Pair


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(Part(1, 2), directory=str(tmp_path / "sockets"))
    yield pair
    pair.parent.close()
    pair.member.pipe.close()


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the signals and the log of the tests alone."""
    monkeypatch.setattr(member, "leave_signals_to_the_supervisor", lambda: None)
    monkeypatch.setattr(member, "configure_logging", lambda *_, **__: None)


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
def test_an_address_that_cannot_be_taken_is_said_with_its_flag(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve_app(config: Config, announce: Any, member: Member) -> None:
        raise CannotListen("192.0.2.1", 3500, OSError(99, "Cannot assign requested address"), Door.HTTP)

    monkeypatch.setattr(member, "serve_app", serve_app)
    with pytest.raises(SystemExit, match="1"):
        member.main(host_config("shop.py"), pair.member)
    assert pair.parent.recv() == Failed(
        "cannot listen on 192.0.2.1:3500: Cannot assign requested address. "
        "Choose an address of this machine with --host."
    )


@pytest.mark.usefixtures("in_this_process")
def test_an_orphan_clears_up_after_its_supervisor(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a host that serves until its supervisor is killed,
    def serve_app(config: Config, announce: Any, member: Member) -> None:
        announce("here")
        pair.parent.recv()
        pair.parent.close()

    monkeypatch.setattr(member, "serve_app", serve_app)
    directory = Path(pair.member.membership.directory)
    directory.mkdir()
    # when the host ends, then the folder that the supervisor had made is gone.
    member.main(host_config("shop.py"), pair.member)
    assert not directory.exists()
