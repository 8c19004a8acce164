"""The output of a process, for tests that wait for a line of it."""

import queue
import subprocess
import threading
import time
from typing import IO

PATIENCE_S = 30.0


class Lines:
    """The output of a process on one of its streams, line by line, as it comes."""

    def __init__(self, stream: IO[str]) -> None:
        self.said: list[str] = []
        self._stream = stream
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            for line in self._stream:
                self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def hear(self, words: str, elsewhere: "Lines | None" = None) -> str:
        """Wait for a line that has these words."""
        deadline = time.monotonic() + PATIENCE_S
        while (line := self._queue.get(timeout=max(0.0, deadline - time.monotonic()))) is not None:
            self.said.append(line)
            if words in line:
                return line
        if elsewhere is not None:
            elsewhere.read_to_end()
        raise AssertionError(f"never said {words!r}, but {self.said}, and {elsewhere and elsewhere.said}")

    def read_to_end(self) -> None:
        while (line := self._queue.get(timeout=PATIENCE_S)) is not None:
            self.said.append(line)


def ended(process: subprocess.Popen[str], *streams: Lines) -> int:
    """Wait for the end of a process, and of all processes that hold its streams; return the exit code."""
    code = process.wait(PATIENCE_S)
    for stream in streams:
        stream.read_to_end()
    return code
