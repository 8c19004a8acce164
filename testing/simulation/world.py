"""A world: machines that outlive their hosts, hosts that are started and killed, and a story that happens to them.

The one law: the same choices give the same world, step by step and byte by byte, in any process.

    world = World(app, Choices(seed=7))
    world.run(story)           # story(world) awaits world.ask(...), world.sleep(...)

A host is an engine on the machine's disk. It is killed where the choices say so and started again a moment later. The
story's calls run in the host, as requests do, and die with it: `ask` repeats them until they are answered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from hashlib import blake2b
from itertools import count
from typing import Any, TypeVar

from ...actors.errors import HostNotRunning, HostStopping
from ...actors.instruments import Instruments
from ...actors.store.contract import Write
from ...actors.store.errors import StoreError
from ...actors.store.memory import MemoryStore
from ...runtime.authoring.app import App
from ...runtime.engine import Engine
from ...runtime.settings import Opening, Settings
from .choices import Choices
from .loop import SimLoop, Stuck, never
from .machines.clock import MachineClock
from .machines.disk import SimDisk
from .patches import patched
from .trace import WorldTrace

T = TypeVar("T")

# How long until a host that has ended is started again, in virtual seconds; the first is the usual one.
RESTARTS_S = (0.05, 0.0, 1.0, 30.0)
# A step takes this long, for each world: with 0 alone, timers and work would never race.
STEP_COSTS_S = (0.000_002, 0.0, 0.000_020, 0.000_050)
# How often a step overtakes others, for each world: never, in one of five, always.
DISORDERS = (0, 5, 1)
# How often the weather of a machine may change: often at first, when most happens, and then ever more seldom.
WEATHER_S, WEATHERS, WEATHER_S_MAX = 0.02, 200, 3_600.0
PAUSES_S = (0.0, 0.1, 3.0, 30.0)
CLOCK_STEPS_S = (0.0, 5.0, -5.0, 3_600.0, -3_600.0)
# What the story's call waits before it is repeated.
REPEAT_S = 0.2


class ConnectionLost(Exception):
    """The host died while it answered: the call may have happened, or not."""

    def __str__(self) -> str:
        return "the host that had the request has ended; it may have been done, or not"


class Life:
    """One life of a host: from its start to its end.

    Args:
        number: Its number in the world; 1 is the first.
    """

    def __init__(self, number: int, up: "asyncio.Future[None]", told: "asyncio.Future[None]") -> None:
        self.number = number
        self.engine: Engine | None = None
        self.up = up  # done once it takes requests
        self.told = told  # done once it is to stop
        self.calls: dict[asyncio.Future[Any], None] = {}
        self.over = False


class World:
    """One machine, and a story.

    Args:
        app: The app of its hosts.
        choices: All that is up to chance.
        settings: Those of its hosts.
        clock_is_set: Whether the date is set back and forward (stream `clock.step`).
        trace: Where the world is written down; a new one by default.

    Attributes:
        on_commit: Called with the writes of each commit, once they are on the disk.
    """

    def __init__(
        self,
        app: App,
        choices: Choices | None = None,
        *,
        settings: Settings | None = None,
        clock_is_set: bool = False,
        trace: WorldTrace | None = None,
    ) -> None:
        self.app = app
        self.choices = choices or Choices()
        self.settings = settings or Settings(stop_grace_s=1.0)
        self.trace = trace or WorldTrace()
        self.loop = SimLoop(self)  # type: ignore[abstract]  # without sockets, signals and processes
        self.clock = MachineClock(self.loop, may_be_set=clock_is_set)
        self.contents = MemoryStore()
        self.on_commit: list[Callable[[Sequence[Write]], None]] = []
        self.disk = SimDisk(self.contents, self.choices, self.trace, kill=self._kill_here, committed=self._committed)
        self.kills = 0
        self._cost_s = STEP_COSTS_S[self.choices.draw("world.step", len(STEP_COSTS_S))]
        self._disorder = DISORDERS[self.choices.draw("world.order", len(DISORDERS))]
        self._lives = count(1)
        self.life: Life | None = None
        self._arrived: list[asyncio.Future[None]] = []  # of callers that wait for a host

    # The loop asks.

    def choose(self, ready: int) -> int:
        disorder = self._disorder
        if not disorder or (disorder > 1 and self.choices.draw("order.whether", disorder) < disorder - 1):
            return 0
        return self.choices.draw("order", ready)

    def cost_s(self) -> float:
        return self._cost_s

    def taken(self, number: int, ready: int, at: int, now_s: float) -> None:
        self.trace.step(number, ready, at, now_s)

    # Whoever has the world.

    def run(self, story: Callable[["World"], Awaitable[T]]) -> T:
        """Start a host, let the story happen, stop the host, and return the story's result.

        Raises:
            Stuck: Nothing is left that could happen, and the story waits.
            BaseException: What the story has raised.
        """
        with patched():
            try:
                return self.loop.run(self._run(story))
            finally:
                self.loop.close()

    async def _run(self, story: Callable[["World"], Awaitable[T]]) -> T:
        self._start()
        weather = self.loop.create_task(self._weather())
        result = await story(self)
        weather.cancel()
        await self.stop()
        return result

    async def _weather(self) -> None:
        """What happens to a machine at any time, between two steps of its host."""
        for number in count():
            await self.sleep(min(WEATHER_S * 1.03 ** max(0, number - WEATHERS), WEATHER_S_MAX))
            if self.choices.calmed:
                return
            if self.choices.fault("kill.between"):
                self.kill("between two steps")
            if pause := self.choices.fault("host.pause", len(PAUSES_S)):
                self.pause(PAUSES_S[pause])
            if self.clock.may_be_set and (step := self.choices.fault("clock.step", len(CLOCK_STEPS_S))):
                self.trace.tell(self.loop.time(), "clock", f"is set by {CLOCK_STEPS_S[step]} s", fault=True)
                self.clock.step(CLOCK_STEPS_S[step])

    # The story asks.

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)

    async def call(self, request: Callable[[Engine], Coroutine[Any, Any, T]]) -> T:
        """Have a request answered by the host that is up, or the next one that is.

        Raises:
            ConnectionLost: The host ended meanwhile.
            Exception: What the host has answered with.
        """
        life = await self._up()
        engine = life.engine
        assert engine is not None
        answer: asyncio.Future[T] = self.loop.create_future()
        life.calls[answer] = None
        task = self.loop.create_task(request(engine), context=self.loop.in_life(life.number))
        task.add_done_callback(partial(_answer, answer))
        try:
            return await answer
        finally:
            life.calls.pop(answer, None)

    async def ask(self, request: Callable[[Engine], Coroutine[Any, Any, T]]) -> T:
        """Repeat a request until it is answered, as clients behind load balancers do.

        A host that has ended, is stopping, or has a store that fails does not answer.
        """
        while True:
            try:
                return await self.call(request)
            except (ConnectionLost, HostStopping, HostNotRunning, StoreError):
                await self.sleep(REPEAT_S)

    def kill(self, why: str = "the story has") -> None:
        """End the host as `kill -9` does. It is started again a moment later. Does nothing if none is up."""
        life = self.life
        if life is None or life.over:
            return
        self.kills += 1
        self.loop.dead.add(life.number)
        self.trace.tell(self.loop.time(), f"host {life.number}", f"killed: {why}", fault=True)
        self._ended(life)

    async def stop(self) -> None:
        """Stop the host in order, and start none."""
        life = self.life
        if life is not None and not life.over:
            self.life = None
            if not life.told.done():
                life.told.set_result(None)
            while not life.over:
                await self.sleep(0.01)

    async def restart(self) -> None:
        """Stop the host in order, and start the next."""
        await self.stop()
        self._start()

    async def mortal(self, stream: str, why: str) -> None:
        """A place in the code of an app at which its host may be killed, by a stream of choices of its own."""
        if self.choices.fault(stream):
            self.kill(why)
            await never()

    def pause(self, seconds: float) -> None:
        """Stop the host for a while, as SIGSTOP does: then all that was due is due at once."""
        life = self.life
        if life is None or life.over:
            return
        self.trace.tell(self.loop.time(), f"host {life.number}", f"stands still for {seconds} s", fault=True)
        self.loop.hold(life.number)
        self.loop.call_later(seconds, self.loop.go_on, life.number)

    async def heal(self) -> None:
        """End all faults, and see that a host is up."""
        self.choices.calmed = True
        await self._up()

    # Inside.

    def _start(self) -> None:
        life = self.life = Life(next(self._lives), self.loop.create_future(), self.loop.create_future())
        chance = partial(_chance, life.number, count())
        instruments = Instruments(self.loop.time, chance, self.clock.time_ns)
        engine = Engine(
            self.app,
            data=self.disk,
            settings=self.settings,
            clock=self.clock,
            opening=Opening(instruments=instruments),
        )
        task = self.loop.create_task(self._live(life, engine), context=self.loop.in_life(life.number))
        task.add_done_callback(partial(self._left, life))

    async def _live(self, life: Life, engine: Engine) -> None:
        async with engine:
            life.engine = engine
            self.trace.tell(self.loop.time(), f"host {life.number}", "is up")
            life.up.set_result(None)
            await life.told

    def _left(self, life: Life, task: "asyncio.Task[None]") -> None:
        """A host has ended by itself: it was stopped, or its store did not open."""
        if life.over:
            return
        error = task.exception() if not task.cancelled() else None
        if error is not None:
            if not isinstance(error, StoreError):
                self.loop.call_exception_handler({"message": f"host {life.number} has ended", "exception": error})
            self.trace.tell(self.loop.time(), f"host {life.number}", f"has ended: {error}", fault=True)
        self._ended(life)

    def _ended(self, life: Life) -> None:
        life.over = True
        self.contents.abandon()
        for answer in life.calls:
            if not answer.done():
                answer.set_exception(ConnectionLost())
        life.calls.clear()
        if not life.up.done():
            life.up.cancel()
        if self.life is life:  # nobody has asked for its end
            pause_s = RESTARTS_S[self.choices.fault("host.restart", len(RESTARTS_S))]
            self.loop.call_later(pause_s, self._start, context=self.loop.in_life(0))

    def _kill_here(self, why: str) -> None:
        self.kill(why)

    def _committed(self, writes: Sequence[Write]) -> None:
        for tell in self.on_commit:
            tell(writes)

    async def _up(self) -> Life:
        """The host that is up, or the next one that is."""
        while True:
            life = self.life
            if life is None:
                raise Stuck
            if not life.over:
                await asyncio.wait({life.up})
                if life.engine is not None and not life.over:
                    return life
            await self.sleep(0.01)


def _answer(answer: "asyncio.Future[T]", task: "asyncio.Task[T]") -> None:
    if answer.done():
        return
    if task.cancelled():
        answer.set_exception(ConnectionLost())
    elif (error := task.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(task.result())


def _chance(life: int, draws: "count[int]", size: int) -> bytes:
    """Bytes that are the same in each run: of this life, and of which of its draws this is.

    They are no choices: nothing is found by other ids, and a schedule need not hold them.
    """
    assert size <= blake2b.MAX_DIGEST_SIZE
    return blake2b(b"%d/%d" % (life, next(draws)), digest_size=size).digest()
