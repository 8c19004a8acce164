"""The senses of a world's code: its time and its chance are the world's, and not the machine's.

The rule: only code of the world gets these. Another thread, of the test runner for example, gets the time and the
chance of the machine.

`time`, `time.sleep`, `random`, `uuid`, `os.urandom` and `secrets` follow the world, wherever they are called from. In
the user's own modules `datetime.now` does too, and so do functions imported by name (`from time import sleep`).
"""

import asyncio
import os
import random
import time
import uuid
from collections.abc import Callable, Iterable
from hashlib import blake2b
from itertools import count
from typing import Any, Protocol

from ...simulation.loop import HOST, SimLoop
from ...simulation.machines.clock import MachineClock
from .dates import dated
from .switch import Switch

# Seeds the world's `random`. Its numbers are no choices: other numbers would find nothing more.
SEED = "perdure"
# A machine has no network card here that ids could be made of.
NODE = 0x0242_AC11_0002


class Sensed(Protocol):
    """The world that is sensed."""

    loop: SimLoop
    clock: MachineClock


class Senses:
    """The senses of the code of one world at a time.

    Args:
        wait: Lets code that blocks wait for a number of seconds.

    Attributes:
        world: The world that runs now; None: no world runs, and all calls go to the machine.
    """

    def __init__(self, wait: Callable[[float], None]) -> None:
        self.world: Sensed | None = None
        self._wait = wait
        self._drawn = count()
        self._functions = self._made()

    def begin(self, world: Sensed) -> None:
        """Serve a world."""
        self.world = world
        self._drawn = count()

    @property
    def here(self) -> Sensed | None:
        """The world, if the calling code is of it."""
        world = self.world
        if world is None or HOST.get() or asyncio._get_running_loop() is world.loop:
            return world
        # Steps of dead code on its way out, at the end of the world, do not reach the machine either.
        return world if world.loop.is_closed() else None

    def switches(self, scopes: Iterable[dict[str, Any]]) -> list[Switch]:
        """The names to replace, with their substitutes.

        Args:
            scopes: The globals of the user's own modules.
        """
        found = [Switch(where, name, function) for (where, name), function in self._functions.items()]
        found += [Switch(random, "_urandom", self._functions[os, "urandom"])]
        found += [Switch(uuid, "_generate_time_safe", None), Switch(uuid, "_node", NODE)]
        found += [Switch(uuid, "_last_timestamp", None)]
        by_original = {id(getattr(where, name)): function for (where, name), function in self._functions.items()}
        dates = dated(self._date_s)
        for scope in scopes:
            for name, value in list(scope.items()):
                other = by_original.get(id(value)) or dates.get(id(value))
                if other is not None:
                    found.append(Switch(scope, name, other))
        return found

    def _date_s(self) -> float | None:
        world = self.here
        return world.clock.now_us() / 1e6 if world is not None else None

    def _made(self) -> dict[tuple[Any, str], Any]:
        """The functions, each with its place."""
        made: dict[tuple[Any, str], Any] = {
            (time, "time"): self._time(time.time, lambda world: world.clock.now_us() / 1e6),
            (time, "time_ns"): self._time(time.time_ns, lambda world: world.clock.now_us() * 1000),
            (time, "sleep"): self._sleep(time.sleep),
            (os, "urandom"): self._urandom(os.urandom),
        }
        for name in ("monotonic", "perf_counter"):
            made[time, name] = self._time(getattr(time, name), lambda world: world.loop.time())
            made[time, f"{name}_ns"] = self._time(
                getattr(time, f"{name}_ns"), lambda world: round(world.loop.time() * 1e9)
            )
        for name in ("localtime", "gmtime", "ctime"):
            made[time, name] = self._of_date(getattr(time, name))
        return made

    def _time(self, real: Callable[[], Any], simulated: Callable[[Sensed], Any]) -> Callable[[], Any]:
        def read() -> Any:
            world = self.here
            return simulated(world) if world is not None else real()

        return read

    def _of_date(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def read(seconds: float | None = None, /) -> Any:
            return real(self._date_s() if seconds is None else seconds)

        return read

    def _sleep(self, real: Callable[[float], None]) -> Callable[[float], None]:
        def sleep(seconds: float, /) -> None:
            if self.here is None:
                real(seconds)
            else:
                self._wait(seconds)

        return sleep

    def _urandom(self, real: Callable[[int], bytes]) -> Callable[[int], bytes]:
        def urandom(size: int, /) -> bytes:
            if self.here is None:
                return real(size)
            blocks = [self._block() for _ in range(-(-size // blake2b.MAX_DIGEST_SIZE))]
            return b"".join(blocks)[:size]

        return urandom

    def _block(self) -> bytes:
        return blake2b(b"%d" % next(self._drawn)).digest()
