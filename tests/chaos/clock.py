"""A clock that a process has for itself, and that can be set while it runs. libfaketime does it, if it is here."""

import os
from collections.abc import Mapping
from pathlib import Path

HOUR_S = 3600
# Debian's package `libfaketime`; or say where it is.
LIBRARY = Path(os.environ.get("LIBFAKETIME", "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"))


class OwnClock:
    """The wall clock of processes that are started with `env`. How time passes for them is not touched."""

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
        """Set it this number of seconds ahead of the machine's clock; behind it if the number is negative."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead_s:+d}\n")
        new.replace(self._file)
