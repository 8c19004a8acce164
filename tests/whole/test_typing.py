"""Programs of users are typed: mypy accepts correct ones, and refuses wrong ones.

`make check` looks at the same program with the package's own settings.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from ..support.paths import ROOT


@pytest.mark.slow
def test_results_have_the_type_of_their_workflow(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    program = ROOT / "tests/support/typed_client.py"
    # mypy runs in a folder in which it cannot take the tree for the installed package.
    (tmp_path / "program.py").write_text(program.read_text())
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "program.py"]
    checked = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert checked.returncode == 0, checked.stdout + checked.stderr
