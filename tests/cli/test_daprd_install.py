"""An executable named daprd is written to the place of Dapr's command line, with the files that belong beside it."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from perdure.cli.daprd import daprd
from perdure.cli.daprd_install import install_into, script, write_dapr_home

from ..support.cli.daprd_command import environment, parse


def test_an_executable_named_daprd_is_written(tmp_path: Path) -> None:
    result = CliRunner().invoke(daprd, ["--install", str(tmp_path / "bin")])
    assert result.exit_code == 0
    assert result.output == f"Wrote {tmp_path / 'bin' / 'daprd'}.\n"
    assert os.access(tmp_path / "bin" / "daprd", os.X_OK)
    assert [path.name for path in (tmp_path / "bin").iterdir()] == ["daprd"]


def test_in_daprs_own_folder_it_finds_what_dapr_run_takes_for_granted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a folder without `dapr init`, named by a relative path,
    home = tmp_path / ".dapr"
    home.mkdir()
    monkeypatch.chdir(home)
    # when it is installed there,
    result = CliRunner().invoke(daprd, ["--install", "bin"])
    # then the folder that `dapr run` checks and the file that it passes on are there, and the sidecar takes both.
    assert result.output.splitlines() == [
        "Wrote bin/daprd.",
        f"Wrote {home / 'components'}.",
        f"Wrote {home / 'components' / 'statestore.yaml'}.",
        f"Wrote {home / 'config.yaml'}.",
    ]
    parsed = parse("--app-id=x", f"--config={home / 'config.yaml'}", f"--components-path={home / 'components'}")
    assert not [note for note in parsed.notes if "configuration" in note]


def test_a_tool_that_looks_for_a_state_store_finds_one_and_a_second_installation_writes_nothing(tmp_path: Path) -> None:
    home = tmp_path / ".dapr"
    (home / "bin").mkdir(parents=True)
    write_dapr_home(home / "bin")
    store = yaml.safe_load((home / "components" / "statestore.yaml").read_text())
    # As Diagrid's dashboard finds it (dev-dashboard, `pkg/statestore/detect.go`).
    assert (store["kind"], store["metadata"]["name"], store["spec"]["type"]) == (
        "Component", "statestore", "state.in-memory",
    )  # fmt: skip
    assert {"name": "actorStateStore", "value": "true"} in store["spec"]["metadata"]
    assert write_dapr_home(home / "bin") == []


def test_what_dapr_init_has_made_stays_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / ".dapr"
    (home / "components").mkdir(parents=True)
    (home / "components" / "statestore.yaml").write_text("kind: Component")
    (home / "config.yaml").write_text("kind: Configuration")
    assert write_dapr_home(home / "bin") == []
    assert (home / "config.yaml").read_text() == "kind: Configuration"
    assert (home / "components" / "statestore.yaml").read_text() == "kind: Component"


@pytest.mark.parametrize("folder", ["bin", ".dapr/tools"])
def test_beside_another_folder_nothing_is_made(tmp_path: Path, folder: str) -> None:
    install_into(tmp_path / folder)
    assert write_dapr_home(tmp_path / folder) == []
    assert [path.name for path in (tmp_path / folder).parent.iterdir()] == [Path(folder).name]


def test_daprs_folder_that_cannot_be_furnished_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".dapr").write_text("")
    with pytest.raises(click.ClickException, match=r"components cannot be written"):
        write_dapr_home(tmp_path / ".dapr" / "bin")


def test_our_own_executable_is_replaced_and_daprs_is_not(tmp_path: Path) -> None:
    install_into(tmp_path)
    install_into(tmp_path)
    (tmp_path / "daprd").write_bytes(b"\x7fELF and so on")
    with pytest.raises(click.ClickException, match="another daprd"):
        install_into(tmp_path)
    assert (tmp_path / "daprd").read_bytes() == b"\x7fELF and so on"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(click.ClickException, match="cannot be written"):
        install_into(tmp_path / "file")


def test_the_interpreter_is_named_in_the_first_line_unless_the_kernel_would_cut_it() -> None:
    assert script("/usr/bin/python3").startswith("#!/usr/bin/python3\n# Perdure")
    for path in ("/opt/my python/bin/python3", f"/{'long/' * 40}python3"):
        text = script(path)
        assert text.startswith("#!/bin/sh\n")
        compile(text, "daprd", "exec")  # to Python, the shell's line is a string


def test_a_shell_starts_an_interpreter_whose_path_has_a_space(tmp_path: Path) -> None:
    (tmp_path / "my python").symlink_to(sys.executable)
    path = tmp_path / "daprd"
    path.write_text(script(str(tmp_path / "my python")))
    path.chmod(0o755)
    result = subprocess.run([path, "--version"], capture_output=True, text=True, env=environment(), check=False)
    # A bare link to an interpreter may have no packages of its own; it has those of this test.
    assert result.returncode == 0, result.stderr
