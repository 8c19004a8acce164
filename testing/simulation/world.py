"""A world: machines that outlive their hosts, hosts that are started and killed, and a story that happens to them.

The one law: the same choices give the same world, step by step and byte by byte, in any process.

    world = SimWorld(app, Choices(seed=7))
    world.run(story)           # story(world) awaits world.ask(...), world.sleep(...)

A host is an engine on the machine's disk. It is killed where the choices say so and started again a moment later. The
story's calls run in the host, as requests do, and die with it: `ask` repeats them until they are answered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from hashlib import blake2b
from itertools import count
from typing import TypeAlias, TypeVar

from ...actors.errors import HostNotRunning, HostStopping, MailboxFull
from ...actors.instruments import Instruments
from ...actors.store.contract import Write
from ...actors.store.errors import StoreError
from ...actors.store.memory import MemoryStore
from ...runtime.authoring.app import App
from ...runtime.engine import Engine
from ...runtime.settings import Opening, Settings
from .calls import ConnectionLost, Request, StoryCalls
from .choices import Choices
from .deploys import DeployMode, Deploys
from .knobs import Knobs
from .life import Life, LifeStore, WorldMachine
from .loop import SimHandle, SimLoop, Stuck, never
from .machines.clock import MachineClock
from .machines.disk import SimDisk
from .machines.stopwatch import SimStopwatch
from .machines.workshop import SimWorkshop
from .orders import put_in_order
from .patches import patched
from .trace import WorldTrace
from .wall import walled
from .weather import Weather

T = TypeVar("T")

# Gives the store that a life opens, with the instruments of that life. What is in it outlives the life.
StoreOf: TypeAlias = Callable[["SimWorld", Instruments], LifeStore]

# How long until a host that has ended is started again, in virtual seconds; the first is the usual one.
RESTARTS_S = (0.05, 0.0, 1.0, 30.0)
# A host that has ended with an error of its own comes back after a pause that doubles from the first up to the second,
# as under a supervisor: one that cannot begin at all would have a thousand lives a minute.
FAILED_RESTARTS_S = (0.1, 5.0)
# How long after its beginning a recovery, or a stop, is cut off by a kill.
CUT_OFF_S = (0.0, 0.0, 0.000_1, 0.002)  # the first is no choice of it
# How many shards a store in memory has; the first is its usual number.
SHARDS = (64, 1, 7)
# What the story's call waits before it is repeated.
REPEAT_S = 0.2
# So many steps without a pause are a fault: a world of ten thousand instances at once takes a few hundred thousand.
BUSY_STEPS_MAX = 500_000


class SimWorld:
    """One machine, and a story.

    Args:
        apps: The app of its hosts; or several, in the order of their making, of which the first life has the first.
        choices: All that is up to chance.
        deploy: Which of several apps may follow which.
        settings: Those of its hosts; or knobs, which are drawn sizes and have settings.
        clock_is_set: Whether the date is set back and forward (stream `clock.step`).
        lossy: Whether the network between the story and the host has faults (`testing/simulation/calls.py`).
        store: Gives the store of each life; one in memory by default.
        trace: Where the world is written down; a new one by default.

    Attributes:
        life: The life that is to answer; None: the story has stopped the host.
        machines: Told of the end of each life.
        on_commit: Called with the writes of each commit, once they are on the disk.
        on_step: Called after each step that has ended a commit or called `touched`. An error that one of them raises
            ends the world.
    """

    def __init__(
        self,
        apps: App | Sequence[App],
        choices: Choices | None = None,
        *,
        deploy: DeployMode = "forward",
        settings: Settings | Knobs | None = None,
        clock_is_set: bool = False,
        lossy: bool = False,
        store: StoreOf | None = None,
        trace: WorldTrace | None = None,
    ) -> None:
        self.choices = choices or Choices()
        self.deploys = Deploys([apps] if isinstance(apps, App) else apps, deploy, self.choices)
        self.knobs = settings if isinstance(settings, Knobs) else None
        self.settings = settings.settings if isinstance(settings, Knobs) else settings or Settings(stop_grace_s=1.0)
        self.trace = trace or WorldTrace()
        self.loop = loop = SimLoop()  # type: ignore[abstract]  # without sockets, signals and processes
        self.loop.busy_steps_max = BUSY_STEPS_MAX
        put_in_order(self.loop, self.choices)
        self.trace.fingerprint = lambda: loop.fingerprint
        if self.trace.steps is not None:
            self.loop.on_step = self._keep_step
        self.clock = MachineClock(self.loop, may_be_set=clock_is_set)
        self.machines: list[WorldMachine] = []
        self.on_commit: list[Callable[[Sequence[Write]], None]] = []
        self.on_step: list[Callable[[], None]] = []
        self._store_of = store or _in_memory(SHARDS[self.choices.draw("world.shards", len(SHARDS))])
        self.disk = SimDisk(self.choices, self.trace, kill=self.kill, committed=self._committed)
        self.workshop = SimWorkshop(self.choices)
        self._calls = StoryCalls(self.loop, self.choices, self.trace, lossy=lossy)
        self._stopwatch = SimStopwatch(self.loop, self.choices)
        self.kills = 0
        self._failures = 0  # lives in a row that have ended with an error of their own
        self._lives = count(1)
        self.life: Life | None = None
        self._stopping: Life | None = None  # it was told to
        self._restart: SimHandle | None = None
        self._steering = asyncio.Lock()  # a stop and a restart at once would have two hosts on one disk
        self._arrived: list[asyncio.Future[None]] = []  # of callers that wait for a host

    # Whoever has the world.

    @property
    def contents(self) -> LifeStore:
        """The store of the present life, or of the last one."""
        return self.disk.inner

    def run(self, story: Callable[["SimWorld"], Awaitable[T]], *, cpu_s: float | None = None) -> T:
        """Start a host, let the story happen, stop the host, and return the story's result.

        Args:
            cpu_s: How much of the processor's time it may take, in seconds; None: as much as it takes.

        Raises:
            Stuck: Nothing is left that could happen, and the story waits; or more and more happens, and no time passes.
            WorldTooLong: It takes too much of the processor's time.
            BaseException: What the story, or a function of `on_step`, has raised.
        """
        with patched():
            try:
                with walled(self.loop, cpu_s):
                    return self.loop.run(self._run(story))
            finally:
                # Engines are large, and a world may be kept.
                self.life = self._stopping = None
                self.workshop.bury()
                self.loop.close()

    async def _run(self, story: Callable[["SimWorld"], Awaitable[T]]) -> T:
        self._start()
        weather = Weather(self)
        weather.begin()
        result = await story(self)
        weather.end()
        await self.stop()
        return result

    def touched(self) -> None:
        """Learn that the present step has touched what `on_step` looks at."""
        if self.on_step:
            self.loop.after_step = self._look

    # The story asks.

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)

    async def call(self, request: Request[T]) -> T:
        """Have a request answered by the host that is up, or the next one that is.

        Raises:
            ConnectionLost: The host ended meanwhile, or the network lost the request or its answer.
            Exception: What the host has answered with.
        """
        return await self._calls.call(await self._up(), request)

    async def ask(self, request: Request[T]) -> T:
        """Repeat a request until it is answered, as clients behind load balancers do.

        A host that has ended, is stopping, has too much to do, or has a store that fails does not answer.
        """
        while True:
            try:
                return await self.call(request)
            except (ConnectionLost, HostStopping, HostNotRunning, MailboxFull, StoreError):
                await self.sleep(REPEAT_S)

    def kill(self, why: str = "the story has") -> None:
        """End the host as `kill -9` does. It is started again a moment later. Does nothing if none is alive."""
        life = self.life or self._stopping
        if life is None or life.over:
            return
        self.kills += 1
        self._failures = 0
        self.loop.dead.add(life.number)
        self.trace.tell(self.loop.time(), f"host {life.number}", f"killed: {why}", fault=True)
        self._ended(life)

    async def stop(self) -> None:
        """Stop the host in order, and start none."""
        async with self._steering:
            await self._stop()

    async def restart(self) -> None:
        """Stop the host in order, and start the next."""
        async with self._steering:
            await self._stop()
            self._start()

    async def deploy(self, app: App) -> None:
        """Stop the host in order, and start the next with another app."""
        self.deploys.now = app
        await self.restart()

    async def mortal(self, stream: str, why: str) -> None:
        """A place in the code of an app at which its host may be killed, by a stream of choices of its own."""
        if self.choices.fault(stream):
            self.kill(why)
            await never()

    def pause(self, seconds: float) -> None:
        """Stop the host for a while, as SIGSTOP does: then all that was due is due at once.

        A loop that is blocked for so long is the same: an engine has no code beside its loop.
        """
        life = self.life
        if life is None or life.over:
            return
        self.trace.tell(self.loop.time(), f"host {life.number}", f"stands still for {seconds} s", fault=True)
        self.loop.hold(life.number)
        life.stands_until_s = max(life.stands_until_s, self.loop.time() + seconds)
        self.loop.call_later(seconds, self._go_on, life, context=self.loop.outside)

    def set_clock(self, seconds: float) -> None:
        """Set the date forward; back, if `seconds` is negative."""
        self.trace.tell(self.loop.time(), "clock", f"is set by {seconds} s", fault=True)
        self.clock.step(seconds)

    async def heal(self) -> None:
        """End all faults, and see that a host is up."""
        self.choices.calmed = True
        await self._up()

    # Inside.

    def _start(self) -> None:
        if self._restart is not None:
            self._restart.cancel()
            self._restart = None
        number = next(self._lives)
        if number > 1:
            self.deploys.choose("deploy")
        life = self.life = Life(number, self.deploys.now, self.loop.create_future())
        instruments = Instruments(self._stopwatch, partial(_chance, number, count()), self.clock.time_ns)
        self.disk.inner = self._store_of(self, instruments)
        engine = Engine(
            life.app,
            data=self.disk,
            settings=self.settings,
            clock=self.clock,
            opening=Opening(instruments=instruments, workshop=self.workshop),
        )
        if self.knobs is not None:
            self.knobs.turn(engine)
        task = self.loop.create_task(self._live(life, engine), context=self.loop.in_life(number))
        task.add_done_callback(partial(self._left, life), context=self.loop.outside)

    async def _live(self, life: Life, engine: Engine) -> None:
        async with engine:
            life.engine = engine
            self._tell_up(life)
            if life.number > 1:
                self._cut_off("kill.recovering", "it recovers")
            await life.told
            self._cut_off("kill.stopping", "it stops")

    def _tell_up(self, life: Life) -> None:
        version = f" with app {self.deploys.apps.index(life.app) + 1}" if life.app in self.deploys.apps[1:] else ""
        self.trace.tell(self.loop.time(), f"host {life.number}", f"is up{version}")
        arrived, self._arrived = self._arrived, []
        for waiting in arrived:
            if not waiting.done():
                waiting.set_result(None)

    def _cut_off(self, stream: str, why: str) -> None:
        """Let a stream choose a kill of this life in a moment."""
        if at := self.choices.fault(stream, len(CUT_OFF_S)):
            life = self.life or self._stopping
            self.loop.call_later(CUT_OFF_S[at], self._kill_one, life, why, context=self.loop.outside)

    def _kill_one(self, life: Life, why: str) -> None:
        if life is (self.life or self._stopping):
            self.kill(why)

    def _go_on(self, life: Life) -> None:
        if self.loop.time() >= life.stands_until_s:  # else a longer pause began meanwhile
            self.loop.go_on(life.number)

    def _left(self, life: Life, task: "asyncio.Task[None]") -> None:
        """A host has ended by itself: it was stopped, or its store did not open."""
        if life.over:
            return
        error = task.exception() if not task.cancelled() else None
        if error is not None:
            if not isinstance(error, StoreError):
                self._failures += 1
                self.loop.call_exception_handler({"message": f"host {life.number} has ended", "exception": error})
            self.trace.tell(self.loop.time(), f"host {life.number}", f"has ended: {error}", fault=True)
        self._ended(life)

    def _ended(self, life: Life) -> None:
        life.over = True
        self.contents.abandon()
        for machine in self.machines:
            machine.life_ended(life.number)
        self._calls.cut(life)
        if self.life is life:  # nobody has asked for its end
            pause_s = RESTARTS_S[self.choices.fault("host.restart", len(RESTARTS_S))]
            if self._failures:
                first_s, last_s = FAILED_RESTARTS_S
                pause_s += min(first_s * 2 ** min(self._failures - 1, 10), last_s)
            self._restart = self.loop.call_later(pause_s, self._start, context=self.loop.outside)

    async def _stop(self) -> None:
        life = self.life or self._stopping
        self.life, self._stopping = None, life
        if self._restart is not None:
            self._restart.cancel()
            self._restart = None
        if life is None:
            return
        if not life.told.done():
            life.told.set_result(None)
        while not life.over:
            await self.sleep(0.01)

    def _keep_step(self, handle: SimHandle, ready: int, at: int, now_s: float) -> None:
        self.trace.step(handle.number, ready, at, now_s, handle.where)

    def _committed(self, writes: Sequence[Write]) -> None:
        for tell in self.on_commit:
            tell(writes)
        self.touched()

    def _look(self) -> None:
        for look in self.on_step:
            look()

    async def _up(self) -> Life:
        """The host that is up, or the next one that is."""
        while True:
            life = self.life
            if life is None and not self._steering.locked():
                raise Stuck
            if life is not None and life.up:
                return life
            waiting: asyncio.Future[None] = self.loop.create_future()
            self._arrived.append(waiting)
            await waiting


def _in_memory(shards: int) -> StoreOf:
    """One store in memory for all lives."""
    store = MemoryStore(shards=shards)
    return lambda world, instruments: store


def _chance(life: int, draws: "count[int]", size: int) -> bytes:
    """Bytes that are the same in each run: of this life, and of which of its draws this is.

    They are no choices: nothing is found by other ids, and a schedule need not hold them.
    """
    assert size <= blake2b.MAX_DIGEST_SIZE
    return blake2b(b"%d/%d" % (life, next(draws)), digest_size=size).digest()
