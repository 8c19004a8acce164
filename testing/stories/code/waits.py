"""Waits of code that blocks, for a condition or a socket: they take virtual time, and no other.

The rule: while a thread of a world waits, all others go on. What waits in the event loop stops its host for so long.

`threading.Condition.wait` is below `Event`, `Semaphore`, `Barrier`, `queue.Queue` and the futures of
`concurrent.futures`; `select` is below `asyncio.run` in a thread. A bare `Lock` is the interpreter's own and waits in
real time (`ThreadAway`).
"""

import select
import selectors
import threading
from collections.abc import Callable
from typing import Any

from ...simulation.machines.threads import Bell, current
from .senses import Senses
from .switch import Switch

# How long until the next look at what may come from the machine itself: then ever longer, up to an hour.
LOOK_S, LOOK_S_MAX = 0.001, 3_600.0

SELECTORS = ("SelectSelector", "PollSelector", "EpollSelector", "DevpollSelector", "KqueueSelector")


class BlockingWaits:
    """Waits of the code of a world.

    Args:
        senses: Know which code is of a world.
        wait: Lets code that blocks wait for so many seconds.
        endless: Refuses a wait in the event loop that has no end.
    """

    def __init__(self, senses: Senses, wait: Callable[[float], None], endless: Callable[[], None]) -> None:
        self._senses = senses
        self._wait = wait
        self._endless = endless

    def switches(self) -> list[Switch]:
        """The names to replace, with their substitutes."""
        kinds = [getattr(selectors, name, None) for name in SELECTORS]
        return [
            Switch(threading.Condition, "wait", self._condition_wait(threading.Condition.wait)),
            Switch(select, "select", self._select(select.select)),
            *(Switch(kind, "select", self._select_of(kind.select)) for kind in kinds if kind is not None),
        ]

    def _condition_wait(self, real: Callable[..., bool]) -> Callable[..., bool]:
        def wait(condition: Any, timeout: float | None = None) -> bool:
            if self._senses.here is None:
                return real(condition, timeout)
            if not condition._is_owned():
                raise RuntimeError("cannot wait on un-acquired lock")
            bell = Bell()
            condition._waiters.append(bell)
            state = condition._release_save()
            try:
                self._wait_for(bell, timeout)
            finally:
                self._take_back(condition, state)
                if not bell.rung:
                    condition._waiters.remove(bell)
            return bell.rung

        return wait

    def _wait_for(self, bell: Bell, timeout: float | None) -> None:
        thread = current()
        if thread is not None:
            thread.wait(bell, None if timeout is None else max(0.0, timeout))
        elif timeout is None:
            self._endless()
        else:
            self._wait(timeout)  # no other thread of the world runs meanwhile, so none can ring

    def _take_back(self, condition: Any, state: Any) -> None:
        """Take the lock of a condition again, which a thread that stands still may hold."""
        while current() is not None and not condition.acquire(blocking=False):
            self._wait(LOOK_S)
        if current() is not None:
            condition.release()
        condition._acquire_restore(state)

    def _select(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def select(*given: Any) -> Any:
            if self._senses.here is None or len(given) < 3:
                return real(*given)
            return self._looked(lambda: real(*given[:3], 0), given[3] if len(given) > 3 else None, any)

        return select

    def _select_of(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def select(selector: Any, timeout: float | None = None) -> Any:
            if self._senses.here is None:
                return real(selector, timeout)
            return self._looked(lambda: real(selector, 0), timeout, bool)

        return select

    def _looked(self, look: Callable[[], Any], timeout: float | None, has: Callable[[Any], bool]) -> Any:
        """Look, and let virtual time pass until there is something or the time is over."""
        found, pause_s = look(), LOOK_S
        while not has(found):
            if timeout is not None:
                self._wait(timeout)
                return look()
            if current() is None:
                self._endless()
            self._wait(pause_s)
            pause_s = min(2 * pause_s, LOOK_S_MAX)
            found = look()
        return found
