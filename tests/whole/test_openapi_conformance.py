"""A running daemon conforms to its own descriptions for all requests: schemathesis finds no fault.

`/openapi.json` describes Dapr's routes, `/api/v1/openapi.json` those of the management API. Of the latter the streams,
which do not end, and the login, which is slowed down, are left out.

Of Dapr's are left out on purpose: 405 and `Allow` (Dapr answers 404 to a wrong method), and
the route that would end the daemon. A 500 is allowed, since the contract names
several; each 500's schema admits only the codes of its own operation, and an
internal error has none.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..support.paths import ROOT
from ..support.processes.daemon import Daemon

EXAMPLE = ROOT / "examples" / "order_processing.py"


@pytest.mark.parametrize("examples", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_schemathesis_finds_nothing_against_a_running_daemon(tmp_path: Path, examples: int) -> None:
    shutil.copy(Path(__file__).with_name("schemathesis.toml"), tmp_path)
    with Daemon(EXAMPLE, tmp_path / "p.db", env={"ORDER_BOOKS": str(tmp_path / "books")}) as daemon:
        command = [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{daemon.url}/openapi.json"),
            *("--checks", "all", "--exclude-checks", "unsupported_method,allow_header_conformance"),
            *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", str(examples), "--seed", "1"),
            *("--exclude-path", "/v1.0/shutdown", "--continue-on-failure", "--no-color"),
        ]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
        assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-1000:]
        assert daemon.stop() == 0


@pytest.mark.slow
def test_schemathesis_finds_nothing_in_the_management_api(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("schemathesis_management.toml"), tmp_path / "schemathesis.toml")
    with Daemon(EXAMPLE, tmp_path / "p.db", env={"ORDER_BOOKS": str(tmp_path / "books")}) as daemon:
        command = [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{daemon.url}/api/v1/openapi.json"),
            *("--checks", "all", "--phases", "coverage,fuzzing,stateful", "--max-examples", "30", "--seed", "1"),
            *("--exclude-path-regex", "events$", "--exclude-path", "/api/v1/session"),
            *("--continue-on-failure", "--no-color"),
        ]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
        assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-1000:]
        assert daemon.stop() == 0
