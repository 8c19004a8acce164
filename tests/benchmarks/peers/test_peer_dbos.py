"""DBOS as a peer: how it is asked, and who may run its PostgreSQL."""

import os
from pathlib import Path
from typing import Any, cast

import pytest

from perdure.benchmarks.peers.peer_dbos import DbosCalls, as_nobody
from perdure.benchmarks.peers.peer_process import Lines, PeerFailed

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Recorder:
    """Stands in for `Lines`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def ask(self, do: str, **fields: Any) -> str:
        self.asked.append((do, fields))
        return f"answer to {do}"


async def test_what_is_asked_is_what_the_script_can_do() -> None:
    recorder = Recorder()
    calls = DbosCalls(cast(Lines, recorder))
    assert await calls.call("chain", "a", 5) == "answer to call"
    await calls.start("signal", "b", None)
    await calls.send("signal", "b", 7)
    assert await calls.wait("signal", "b") == "answer to wait"
    assert recorder.asked == [
        ("call", {"workflow": "chain", "instance_id": "a", "value": 5}),
        ("start", {"workflow": "signal", "instance_id": "b", "value": None}),
        ("send", {"workflow": "signal", "instance_id": "b", "value": 7}),
        ("wait", {"workflow": "signal", "instance_id": "b"}),
    ]


def test_who_is_not_root_runs_postgresql_as_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert as_nobody(tmp_path, tmp_path, tmp_path) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_root_is_told_which_folder_nobody_cannot_pass_through(tmp_path: Path) -> None:
    # Given a run's folders below one that only root may pass through,
    closed = tmp_path / "closed"
    data = closed / "all" / "run" / "postgres"
    data.mkdir(parents=True)
    closed.chmod(0o700)
    # then that is said, and its rights are left alone.
    with pytest.raises(PeerFailed, match=f"cannot pass through {closed}"):
        as_nobody(data, data, data)
    assert closed.stat().st_mode & 0o777 == 0o700
