"""DBOS as a peer: the user that runs its PostgreSQL."""

import os
from pathlib import Path

import pytest

from perdure.benchmarks.peers.peer_dbos import as_nobody
from perdure.benchmarks.peers.peer_process import PeerFailed


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
    # then the error says so, and the folder's rights do not change.
    with pytest.raises(PeerFailed, match=f"cannot pass through {closed}"):
        as_nobody(data, data, data)
    assert closed.stat().st_mode & 0o777 == 0o700
