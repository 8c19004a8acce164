"""Keeps the interpreter's settings that the daemon needs, while code of the app runs.

The rule: these settings do not become worse than they were when the daemon began to serve: the garbage collector, the
depth of nested calls, the interval of thread switches, the hooks that threads need, and the limits of files and memory.
An app may change them during its import. `daemon/daemon.py` starts the guard.
"""

import gc
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import anyio

if sys.platform != "win32":
    import resource

logger = logging.getLogger(__name__)

LOOK_S = 0.5

# Limits of the process. Beyond the limit of CPU time or of stacks, a signal ends the process.
LIMITS = (
    *("RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_NPROC", "RLIMIT_CPU", "RLIMIT_STACK"),
    *("RLIMIT_MEMLOCK", "RLIMIT_SIGPENDING"),
)


class GuardedSetting(NamedTuple):
    """A setting, with functions that read and write it."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]
    worse: Callable[[Any, Any], bool]  # whether a new value is worse for the daemon than the old one
    number: int | None = None  # the number of a limit of the process


def limits_of_the_process() -> Iterator[GuardedSetting]:
    """Yield the limits of the process (setrlimit(2)) that the system has.

    If the hard limit of a setting was lowered too, the setting stays as low, unless the process may raise hard limits.
    """
    if sys.platform == "win32":
        return
    for name in LIMITS:
        number = getattr(resource, name, None)
        if number is not None:
            yield GuardedSetting(
                name, partial(resource.getrlimit, number), partial(_set_limit, number), _is_worse, number
            )


def _set_limit(number: int, was: tuple[int, int]) -> None:
    try:
        resource.setrlimit(number, was)
    except (OSError, ValueError):
        hard = resource.getrlimit(number)[1]
        with suppress(OSError, ValueError):
            resource.setrlimit(number, (hard, hard))


def _is_worse(now: tuple[int, int], was: tuple[int, int]) -> bool:
    return _is_lower(now[0], was[0])


def _is_lower(now: int, was: int) -> bool:
    return now not in (was, resource.RLIM_INFINITY) and (was == resource.RLIM_INFINITY or now < was)


def hooks() -> Iterator[GuardedSetting]:
    """Yield the hooks for uncaught errors. If such a hook is missing Python starts no thread."""
    for module, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        read, write = partial(getattr, module, name, None), partial(setattr, module, name)
        yield GuardedSetting(f"{module.__name__}.{name}", read, write, lambda now, was: not callable(now))


SETTINGS = (
    GuardedSetting(
        "gc.isenabled()", gc.isenabled, lambda on: gc.enable() if on else gc.disable(), lambda now, was: was > now
    ),
    GuardedSetting("sys.getrecursionlimit()", sys.getrecursionlimit, sys.setrecursionlimit, lambda now, was: now < was),
    GuardedSetting("sys.getswitchinterval()", sys.getswitchinterval, sys.setswitchinterval, lambda now, was: now > was),
    GuardedSetting(
        "gc.get_threshold()", gc.get_threshold, lambda was: gc.set_threshold(*was), lambda now, was: not now[0]
    ),
    GuardedSetting("gc.get_debug()", gc.get_debug, gc.set_debug, lambda now, was: now & gc.DEBUG_SAVEALL > was),
    GuardedSetting(
        "sys.get_coroutine_origin_tracking_depth()",
        sys.get_coroutine_origin_tracking_depth,
        sys.set_coroutine_origin_tracking_depth,
        lambda now, was: now > was,
    ),
    # The event loop's, in its thread: each asynchronous generator calls them.
    GuardedSetting(
        "sys.get_asyncgen_hooks()",
        sys.get_asyncgen_hooks,
        lambda was: sys.set_asyncgen_hooks(*was),
        lambda now, was: now != was,
    ),
    *limits_of_the_process(),
    *hooks(),
)


async def guard_interpreter(
    tracers: Mapping[str, object] = MappingProxyType({}), *, interval_s: float = LOOK_S
) -> None:
    """Restore the settings that have become worse, until cancelled.

    Args:
        tracers: As in `ProcessFence`. No code of the app runs during a check, so the app has left these functions
            behind.
        interval_s: The time between two checks, in seconds.
    """
    before = [setting.read() for setting in SETTINGS]
    told: dict[str, list[Any]] = {setting.name: [] for setting in SETTINGS}
    while True:
        await anyio.sleep(interval_s)
        _take_off(tracers)
        for setting, was in zip(SETTINGS, before, strict=True):
            now = setting.read()
            if setting.worse(now, was) and now not in told[setting.name]:
                setting.write(was)
                if setting.read() != was:
                    told[setting.name].append(now)  # for good: the log gets one line
                logger.warning(
                    "code of the app had changed %s from %s to %s for the whole process; it is %s again",
                    setting.name,
                    was,
                    now,
                    setting.read(),
                )


def _take_off(tracers: Mapping[str, object]) -> None:
    """Remove trace functions from this thread, which Python would call for each function of the daemon."""
    for name, present, take_off in (
        ("settrace", sys.gettrace, sys.settrace),
        ("setprofile", sys.getprofile, sys.setprofile),
    ):
        left = present()
        if left is not None and tracers.get(name) is left:
            take_off(None)
            logger.warning("code of the app has left a function of sys.%s() behind; the daemon has taken it off", name)
