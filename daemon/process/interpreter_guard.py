"""Settings of the interpreter that the daemon lives by, kept in place while code of the app runs.

The rule: what is as it was when the daemon began to serve stays so: the collector of garbage runs, calls may be nested
as deep, and threads are switched as often. An app that sets them while it is imported has its way.
`daemon/daemon.py` starts it.
"""

import gc
import logging
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import anyio

logger = logging.getLogger(__name__)

LOOK_S = 0.5


class GuardedSetting(NamedTuple):
    """One setting, and how it is read and written."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]
    worse: Callable[[Any, Any], bool]  # whether a value is worse for the daemon than the one it had


SETTINGS = (
    GuardedSetting(
        "gc.isenabled()", gc.isenabled, lambda on: gc.enable() if on else gc.disable(), lambda now, was: was > now
    ),
    GuardedSetting("sys.getrecursionlimit()", sys.getrecursionlimit, sys.setrecursionlimit, lambda now, was: now < was),
    GuardedSetting("sys.getswitchinterval()", sys.getswitchinterval, sys.setswitchinterval, lambda now, was: now > was),
)


async def guard_interpreter(*, interval_s: float = LOOK_S) -> None:
    """Put the settings back that have become worse, until cancelled."""
    before = [setting.read() for setting in SETTINGS]
    while True:
        await anyio.sleep(interval_s)
        for setting, was in zip(SETTINGS, before, strict=True):
            now = setting.read()
            if setting.worse(now, was):
                setting.write(was)
                logger.warning(
                    "code of the app had changed %s from %s to %s for the whole process; it is %s again",
                    setting.name,
                    was,
                    now,
                    was,
                )
