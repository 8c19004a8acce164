"""Settings of the interpreter that the daemon lives by, kept in place while code of the app runs.

The rule: the interpreter's settings stay as they were when the daemon began to serve: the collector of garbage runs,
calls may be nested as deep, threads are switched as often and can be begun, and the system gives as many files and as
much memory. An app that sets them while it is imported has its way. `daemon/daemon.py` starts it.
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

# Of the process. Beyond that of CPU time, or of stacks, it is sent a signal that ends it.
LIMITS = (
    *("RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_NPROC", "RLIMIT_CPU", "RLIMIT_STACK"),
    *("RLIMIT_MEMLOCK", "RLIMIT_SIGPENDING"),
)


class GuardedSetting(NamedTuple):
    """One setting, and how it is read and written."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]
    worse: Callable[[Any, Any], bool]  # whether a value is worse for the daemon than the one it had
    number: int | None = None  # of a limit of the process


def limits_of_the_process() -> Iterator[GuardedSetting]:
    """The limits that the system keeps (setrlimit(2)), where it has such.

    One whose hard limit was lowered too is as low as that for good, unless the process may raise it.
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
    """The functions that are told of errors which nobody catches. Without one Python begins no thread."""
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
    # Of the event loop, in its thread: each asynchronous generator meets them.
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
    """Put the settings back that have become worse, until cancelled.

    Args:
        tracers: As in `ProcessFence`. No code of the app runs while this looks, so they were left behind.
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
                    told[setting.name].append(now)  # for good: it is told once
                logger.warning(
                    "code of the app had changed %s from %s to %s for the whole process; it is %s again",
                    setting.name,
                    was,
                    now,
                    setting.read(),
                )


def _take_off(tracers: Mapping[str, object]) -> None:
    """Take functions off this thread that would be called for each function of the daemon's."""
    for name, present, take_off in (
        ("settrace", sys.gettrace, sys.settrace),
        ("setprofile", sys.getprofile, sys.setprofile),
    ):
        left = present()
        if left is not None and tracers.get(name) is left:
            take_off(None)
            logger.warning("code of the app has left a function of sys.%s() behind; the daemon has taken it off", name)
