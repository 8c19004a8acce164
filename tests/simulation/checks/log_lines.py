"""E16: no line of the log at ERROR that no fault explains."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from .broken import Broken

# Lines at ERROR for a disk that fails, by their beginnings.
OF_A_FAILING_DISK = ("a commit failed", "reminders cannot be read", "the engine has ended", "the engine did not stop")

# Lines for a database that was replaced by a copy, or that another host has taken over.
OF_ANOTHER_DATABASE = ("the server is another one", "another host has taken the store over")

# Lines for workflows that fail because their program says so.
TOLD_TO_FAIL = "failed: ValueError: as it was told to"


class LogLines(logging.Handler):
    """Keeps the lines at ERROR that are written while a world runs.

    Attributes:
        explained: Texts of further lines that the faults of the world explain.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []
        self.explained = list(OF_ANOTHER_DATABASE)

    def emit(self, record: logging.LogRecord) -> None:
        if asyncio._get_running_loop() is not None:  # lines of dead hosts that are put away are of no world
            self.lines.append(record.getMessage())

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep lines until the block ends, away from all other handlers."""
        logger = logging.getLogger("perdure")
        before = logger.level, logger.propagate, logger.disabled
        logger.addHandler(self)
        logger.setLevel(logging.ERROR)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.level, logger.propagate, logger.disabled = before

    def check(self, *, disk_failed: bool) -> None:
        """Check the written lines.

        Args:
            disk_failed: Whether the disk has refused a call.

        Raises:
            Broken: E16.
        """
        for line in self.lines:
            if line.endswith(TOLD_TO_FAIL) or any(each in line for each in self.explained):
                continue
            if not (disk_failed and (line.startswith(OF_A_FAILING_DISK) or "cannot be read yet" in line)):
                raise Broken("E16", f"the log says at ERROR: {line}")
