"""Programs whose calls to the disk fail or hang: the nth open, read, write, sync, truncate, unlink, rename."""

import errno
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("io_shim.c")
CALLS = ("open", "read", "write", "sync", "truncate", "unlink", "rename")
CUT = -1  # a write of which only half is done


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One call that fails.

    Args:
        call: One of CALLS.
        nth: 1 is the first of its kind; 0: none fails, and all are counted.
        code: The error's number, or CUT.
        last: All calls after it fail too, as on a disk that is gone.
    """

    call: str
    nth: int
    code: int = errno.EIO
    last: bool = False


class Shim:
    """Runs programs under faults.

    Args:
        folder: Gets the compiled shim.
        path: A part of the paths that count.
    """

    def __init__(self, folder: Path, path: str) -> None:
        self._library = folder / "io_shim.so"
        self._count = folder / "calls"
        self._hang = folder / "hang"
        self._path = path
        command = ["cc", "-shared", "-fPIC", "-w", "-O1", "-o", str(self._library), str(SOURCE), "-ldl", "-lpthread"]
        subprocess.run(command, check=True)

    def run(self, command: list[str], fault: Fault, *, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "LD_PRELOAD": str(self._library),
            "PERDURE_SHIM_PATH": self._path,
            "PERDURE_SHIM_CALL": fault.call,
            "PERDURE_SHIM_NTH": str(fault.nth),
            "PERDURE_SHIM_ERRNO": str(fault.code),
            "PERDURE_SHIM_LAST": str(int(fault.last)),
            "PERDURE_SHIM_COUNT": str(self._count),
        }
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=timeout_s)

    def hanging(self, call: str) -> dict[str, str]:
        """The environment of a program whose calls of a kind hang between `hang` and `go_on`."""
        return {
            "LD_PRELOAD": str(self._library),
            "PERDURE_SHIM_PATH": self._path,
            "PERDURE_SHIM_CALL": call,
            "PERDURE_SHIM_HANG": str(self._hang),
        }

    def hang(self) -> None:
        self._hang.touch()

    def go_on(self) -> None:
        self._hang.unlink(missing_ok=True)

    def calls(self, command: list[str], call: str) -> int:
        """Count the calls of a kind that a program makes when none fails."""
        self._count.unlink(missing_ok=True)
        ran = self.run(command, Fault(call=call, nth=0))
        assert ran.returncode == 0, ran.stderr
        return int(self._count.read_text())


def can_be_built() -> bool:
    """Whether there are a C compiler and a loader that preloads."""
    return shutil.which("cc") is not None and os.path.exists("/proc/self/fd")
