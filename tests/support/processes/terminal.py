"""A program at a terminal: the input of a person, and the program's output."""

import os
import pty
import select
import signal
import time
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE_S = 60.0
READ_BYTES = 65_536


class Terminal:
    """Run a program at its own terminal."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self.shown = ""
        self.pid, self._terminal = pty.fork()
        if not self.pid:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)  # noqa: S606  no shell between

    def keys(self, typed: str) -> None:
        os.write(self._terminal, typed.encode())

    def until(self, text: str) -> None:
        """Read until the program has shown a text, and drop the output before it."""
        deadline_s = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            ready, _, _ = select.select([self._terminal], [], [], max(0.0, deadline_s - time.monotonic()))
            assert ready, f"no {text!r} in {self.shown!r}"
            self.shown += os.read(self._terminal, READ_BYTES).decode(errors="replace")
        self.shown = self.shown.partition(text)[2]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._terminal)
