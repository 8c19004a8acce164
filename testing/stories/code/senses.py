"""The senses of a world's code: its time and its chance are the world's, and not the machine's.

The rule: only code of the world gets these. Another thread, of the test runner for example, gets the time and the
chance of the machine.

`time`, `time.sleep`, `random`, `uuid`, `os.urandom` and `secrets` follow the world, wherever they are called from. In
the user's own modules `datetime.now` does too, and so do functions imported by name (`from time import sleep`). A
module that is imported in a world gets the machine's: it is there in all later worlds, and may be there before the
first.
"""

import asyncio
import os
import queue
import random
import sched
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from itertools import count
from typing import Any, Protocol

from ...simulation.loop import HOST, SimLoop
from ...simulation.machines.clock import MachineClock
from ...simulation.machines.threads import current
from .dates import dated
from .switch import Switch

# Modules of the standard library that have imported the time by name, and wait by it.
NAMING = (threading, queue, sched)
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
        dates: The substitutes for the module `datetime` and its classes, by the id of the real one.
    """

    def __init__(self, wait: Callable[[float], None]) -> None:
        self.world: Sensed | None = None
        self._wait = wait
        self._drawn = count()
        self._outside: dict[int, int] = {}  # thread -> how many blocks of `outside` it is in
        self.dates = dated(self._date_s)
        self._functions = self._made()

    def begin(self, world: Sensed) -> None:
        """Serve a world."""
        self.world = world
        self._drawn = count()

    @property
    def here(self) -> Sensed | None:
        """The world, if the calling code is of it."""
        world = self.world
        if world is None or (self._outside and threading.get_ident() in self._outside):
            return None
        if HOST.get() or asyncio._get_running_loop() is world.loop or current() is not None:
            return world
        # Steps of dead code on its way out, at the end of the world, do not reach the machine either.
        return world if world.loop.is_closed() else None

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Have this thread do the machine's work until the block ends: with its time, its chance and its network."""
        thread = threading.get_ident()
        self._outside[thread] = self._outside.get(thread, 0) + 1
        try:
            yield
        finally:
            self._outside[thread] -= 1
            if not self._outside[thread]:
                del self._outside[thread]

    def switches(self, scopes: Iterable[dict[str, Any]]) -> list[Switch]:
        """The names to replace, with their substitutes.

        Args:
            scopes: The globals of the user's own modules.
        """
        found = [Switch(where, name, function) for (where, name), function in self._functions.items()]
        found += [Switch(random, "_urandom", self._functions[os, "urandom"])]
        found += [Switch(uuid, "_generate_time_safe", None), Switch(uuid, "_node", NODE)]
        found += [Switch(uuid, "_last_timestamp", None), Switch(tempfile, "_name_sequence", None)]
        by_original = {id(getattr(where, name)): function for (where, name), function in self._functions.items()}
        for scope in (*scopes, *map(vars, NAMING)):
            for name, value in list(scope.items()):
                other = by_original.get(id(value)) or self.dates.get(id(value))
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
            (time, "strftime"): self._formatted(time.strftime),
            (random.Random, "seed"): self._seed(random.Random.seed),
            (random, "seed"): _seed_of_module,
        }
        if hasattr(os, "getrandom"):
            made[os, "getrandom"] = self._urandom(os.getrandom)
        for name in ("clock_gettime", "clock_gettime_ns"):
            if hasattr(time, name):
                made[time, name] = self._clock(getattr(time, name), 1 if name.endswith("_ns") else 1e-9)
        # How long the code took the processor is up to the machine: in a world, as long as it took.
        for name in filter(partial(hasattr, time), ("monotonic", "perf_counter", "process_time", "thread_time")):
            made[time, name] = self._time(getattr(time, name), lambda world: world.loop.time())
            made[time, f"{name}_ns"] = self._time(
                getattr(time, f"{name}_ns"), lambda world: round(world.loop.time() * 1e9)
            )
        for name in ("localtime", "gmtime", "ctime"):
            made[time, name] = self._of_date(getattr(time, name))
        made[time, "asctime"] = self._dated_by_default(time.asctime)
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

    def _formatted(self, real: Callable[..., str]) -> Callable[..., str]:
        def formatted(form: str, at: Any = None, /) -> str:
            return real(form, time.localtime() if at is None else at)

        return formatted

    def _dated_by_default(self, real: Callable[[Any], str]) -> Callable[..., str]:
        def told(at: Any = None, /) -> str:
            return real(time.localtime() if at is None else at)

        return told

    def _clock(self, real: Callable[[int], Any], unit_ns: float) -> Callable[[int], Any]:
        def read(which: int, /) -> Any:
            world = self.here
            if world is None:
                return real(which)
            is_date = which == time.CLOCK_REALTIME
            return (world.clock.now_us() * 1000 if is_date else round(world.loop.time() * 1e9)) * unit_ns

        return read

    def _seed(self, real: Callable[..., None]) -> Callable[..., None]:
        def seed(generator: random.Random, a: Any = None, version: int = 2) -> None:
            if a is None and self.here is not None:
                a = int.from_bytes(os.urandom(32))
            real(generator, a, version)

        return seed

    def _sleep(self, real: Callable[[float], None]) -> Callable[[float], None]:
        def sleep(seconds: float, /) -> None:
            if self.here is None or not seconds >= 0:  # the real one refuses a wrong time
                real(seconds)
            else:
                self._wait(seconds)

        return sleep

    def _urandom(self, real: Callable[..., bytes]) -> Callable[..., bytes]:
        def urandom(size: int, /, *flags: int, **named: int) -> bytes:
            if self.here is None or size < 0:
                return real(size, *flags, **named)
            blocks = [self._block() for _ in range(-(-size // blake2b.MAX_DIGEST_SIZE))]
            return b"".join(blocks)[:size]

        return urandom

    def _block(self) -> bytes:
        return blake2b(b"%d" % next(self._drawn)).digest()


def _seed_of_module(a: Any = None, version: int = 2) -> None:
    """`random.seed`, which is a method of the module's generator, and was bound before its class was changed."""
    hidden: Any = random
    hidden._inst.seed(a, version)
