"""A process whose limits are too low for a daemon gets an error that names the limit, before the engine starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from perdure.actors.errors import PerdureError
from perdure.daemon.process.system_limits import ADDRESSES_MIN, FILES_MIN, threads_needed

# In another process, because a lowered limit cannot always be raised again.
LOWERED = """
import resource, sys
from perdure.daemon.process.system_limits import require_room
resource.setrlimit(resource.{name}, ({value}, {value}))
require_room()
print("it goes on")
"""
PATIENCE_S = 60


@pytest.mark.parametrize(
    ("name", "least", "says"),
    [
        ("RLIMIT_NOFILE", FILES_MIN, "may open 63 files, and a daemon needs 64, .*ulimit -n 1024, or LimitNOFILE"),
        ("RLIMIT_AS", ADDRESSES_MIN, "may have 767 MiB of addresses, and a daemon needs 768 MiB.*ulimit -v"),
    ],
)
def test_a_limit_is_told_with_its_size_and_one_that_does_is_not(name: str, least: int, says: str) -> None:
    below, enough = (
        subprocess.run(
            [sys.executable, "-c", LOWERED.format(name=name, value=value)],
            capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )
        for value in (least - 1, least)
    )  # fmt: skip
    assert below.stdout == ""
    with pytest.raises(PerdureError, match=says):
        raise PerdureError(below.stderr)
    assert enough.stdout == "it goes on\n", enough.stderr


@pytest.mark.parametrize("command", [["run"], ["run", "--processes", "2"], ["daprd", "--app-id", "shop"]])
def test_a_daemon_that_may_have_too_little_ends_with_a_sentence(command: list[str], tmp_path: Path) -> None:
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
from perdure.cli.main import main
main({command})
"""
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith("Error: this process may open 32 files")
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_thread_that_the_system_does_not_give_is_told_and_another_error_is_not_touched() -> None:
    with pytest.raises(PerdureError, match=r"no more threads.*ulimit -u.*TasksMax"), threads_needed():
        raise RuntimeError("can't start new thread")
    with pytest.raises(RuntimeError, match="another"), threads_needed():
        raise RuntimeError("another")
