"""The script that runs workflows on Restate, as far as it needs no Restate."""

import subprocess
import sys
from pathlib import Path

import pytest

from perdure.benchmarks.peers import restate_worker


@pytest.mark.anyio
async def test_the_activity_adds_one() -> None:
    assert await restate_worker.add_one(41) == 42


def test_without_its_server_the_script_says_what_is_missing() -> None:
    script = Path(restate_worker.__file__)
    found = subprocess.run([sys.executable, "-I", "-S", script, "1", "1"], capture_output=True, text=True, check=False)
    assert found.returncode != 0
    assert "No module named 'hypercorn'" in found.stderr


def test_nothing_beside_the_scripts_has_the_name_of_what_they_import() -> None:
    # Hypercorn looks for the application's modules in the folder of the script.
    beside = {path.stem for path in Path(restate_worker.__file__).parent.glob("*.py")}
    assert not beside & {"restate", "hypercorn", "dbos", "uvloop"}
