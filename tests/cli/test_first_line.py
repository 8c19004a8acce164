"""No file of the store gets the number of a standard stream that the process was started without."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perdure.cli.first_line import is_of_output

from ..support.processes.lines import PATIENCE_S


def files_of(pid: int) -> dict[int, str]:
    """The open files of a process, by their descriptors."""
    folder = Path(f"/proc/{pid}/fd")
    found = {}
    for each in folder.iterdir():
        try:
            found[int(each.name)] = str(each.readlink())
        except FileNotFoundError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs the files of another process")
@pytest.mark.parametrize(
    "closed",
    [pytest.param((0,), marks=pytest.mark.slow), pytest.param((1,), marks=pytest.mark.slow), (2,), (0, 1, 2)],
    ids=str,
)
def test_closed_standard_streams_are_opened_first(tmp_path: Path, closed: tuple[int, ...]) -> None:
    # The shell closes them. This process may have threads of gRPC, which a fork of its own does not always outlive.
    closing = " ".join(f"{descriptor}>&-" for descriptor in closed)
    command = [sys.executable, "-m", "perdure", "run", "--http-port", "0", "--grpc-port", "0"]
    process = subprocess.Popen(
        ["sh", "-c", f'exec "$@" {closing}', "sh", *command],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline_s = time.monotonic() + PATIENCE_S
        files: dict[int, str] = {}
        while "perdure.db" not in str(files):
            files = files_of(process.pid)
            assert time.monotonic() < deadline_s, files
            assert process.poll() is None
            time.sleep(0.02)
        assert {files[descriptor] for descriptor in range(3)} == {os.devnull}
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_an_output_that_is_full_is_one_sentence() -> None:
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "perdure", "--version"], check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (ran.returncode, ran.stderr) == (1, "Error: the output cannot be written: No space left on device\n")


def test_an_error_of_a_file_is_not_taken_for_one_of_the_output() -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011  any
        open("/nowhere/at/all")  # noqa: SIM115
    assert not is_of_output(caught.value)
