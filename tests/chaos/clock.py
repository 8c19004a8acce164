"""A clock for one process, which can be set while the process runs. It needs libfaketime."""

import os
from collections.abc import Mapping
from pathlib import Path

HOUR_S = 3600
# From Debian's package `libfaketime`, or from the path in LIBFAKETIME.
LIBRARY = Path(os.environ.get("LIBFAKETIME", "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"))


class OwnClock:
    """The wall clock of processes that are started with `env`. Their monotonic clock does not change."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.set(0)

    @property
    def env(self) -> Mapping[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, ahead_s: int) -> None:
        """Set the clock this number of seconds ahead of the machine's; behind it if the number is negative."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead_s:+d}\n")
        new.replace(self._file)
