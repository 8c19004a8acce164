"""The parts that all worlds have in common: a loop, a clock, a trace, machines that outlive hosts, and a story that
happens.

The rule: the same choices give the same world, step by step and byte by byte, in any process.

`world.py` has the world of one host at a time, `hosts/` that of several on one database.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from hashlib import blake2b
from itertools import count
from typing import Any, Self, TypeVar

from ...actors.errors import HostLost, HostNotRunning, HostSilent, HostStopping, HostUnreachable, MailboxFull
from ...actors.instruments import Instruments
from ...actors.store.contract import Write
from ...actors.store.errors import StoreError
from ...runtime.authoring.app import App
from ...runtime.settings import OtherApp, Settings
from .calls import ConnectionLost, Request, StoryCalls
from .choices import Choices
from .deploys import DeployMode, Deploys
from .knobs import Knobs
from .life import Life, WorldMachine
from .loop import SimHandle, SimLoop, never
from .machines.clock import MachineClock
from .machines.stopwatch import SimStopwatch
from .machines.workshop import SimWorkshop
from .orders import put_in_order
from .patches import patched, tasks_kept_by
from .trace import WorldTrace
from .wall import walled

T = TypeVar("T")

# How long until a host that has ended is started again, in virtual seconds; the first is the usual one.
RESTARTS_S = (0.05, 0.0, 1.0, 30.0)
# A host that has ended with an error of its own comes back after a pause that doubles from the first up to the second,
# as under a supervisor: one that cannot begin at all would have a thousand lives a minute.
FAILED_RESTARTS_S = (0.1, 5.0)
# How long after its beginning a recovery, or a stop, is cut off by a kill.
CUT_OFF_S = (0.0, 0.0, 0.000_1, 0.002)  # the first is never used: 0 is no kill
# The pause before the story's call is repeated.
REPEAT_S = 0.2
# This number of steps without a pause is a fault: a world of ten thousand instances at once takes a few hundred
# thousand.
BUSY_STEPS_MAX = 500_000
# The errors of a host that has ended, is stopping, has too much to do, cannot reach another one, or whose store fails.
UNANSWERED = (
    ConnectionLost, HostStopping, HostNotRunning, HostLost, HostSilent, HostUnreachable, MailboxFull, StoreError,
)  # fmt: skip


class BaseWorld(ABC):
    """A world.

    Args:
        apps: The app of its hosts; or several, in the order of their making. The first life has the first.
        choices: All that is up to chance.
        deploy: Which of several apps may follow which.
        settings: The settings of its hosts; or knobs, which have settings with drawn sizes.
        clock_is_set: Whether the date is set back and forward (stream `clock.step`).
        lossy: Whether the network between the story and the hosts has faults (`testing/simulation/calls.py`).
        trace: The record of the world; a new one by default.

    Attributes:
        lateness: The lateness of its hosts' timers.
        machines: Notified of the end of each life.
        hosted: Returns the apps of a life, from the number of its host and the app that `deploys` has chosen; the first
            app is that of the engine. By default it returns the chosen app alone.
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
        trace: WorldTrace | None = None,
    ) -> None:
        self.choices = choices or Choices()
        self.deploys = Deploys([apps] if isinstance(apps, App) else apps, deploy, self.choices)
        self.knobs = settings if isinstance(settings, Knobs) else None
        self.settings = settings.settings if isinstance(settings, Knobs) else settings or Settings(stop_grace_s=1.0)
        self.trace = trace or WorldTrace()
        self.loop = loop = SimLoop()  # type: ignore[abstract]  # without sockets, signals and processes
        self.loop.busy_steps_max = BUSY_STEPS_MAX
        self.lateness = put_in_order(self.loop, self.choices)
        self.trace.fingerprint = lambda: loop.fingerprint
        if self.trace.steps is not None:
            self.loop.on_step = self._keep_step
        self.clock = MachineClock(self.loop, may_be_set=clock_is_set)
        self.machines: list[WorldMachine] = []
        self.hosted: Callable[[int, App], Sequence[App]] = lambda host, app: (app,)
        self.on_commit: list[Callable[[Sequence[Write]], None]] = []
        self.on_step: list[Callable[[], None]] = []
        self.workshop = SimWorkshop(self.choices)
        self.kills = 0
        self._calls = StoryCalls(self.loop, self.choices, self.trace, lossy=lossy)
        self._stopwatch = SimStopwatch(self.loop, self.choices)
        self._lives = count(1)
        self._arrived: list[asyncio.Future[None]] = []  # of callers that wait for a host

    # For the owner of the world.

    def run(self, story: Callable[[Self], Awaitable[T]], *, cpu_s: float | None = None) -> T:
        """Start the hosts, let the story happen, stop all in order, and return the story's result.

        Args:
            cpu_s: The processor's time that it may take, in seconds; None: no limit.

        Raises:
            Stuck: Nothing is left that could happen, and the story waits; or steps go on without end, and no time
                passes.
            WorldTooLong: It takes too much of the processor's time.
            BaseException: The error of the story, or of a function of `on_step`.
        """
        with patched(), tasks_kept_by(self.loop):
            try:
                with walled(self.loop, cpu_s):
                    return self.loop.run(self._run(story))
            finally:
                self._forget_engines()  # they are large, and a world may be kept
                with self.workshop.buried():
                    self.loop.close()

    @abstractmethod
    async def _run(self, story: Callable[[Self], Awaitable[T]]) -> T: ...

    @abstractmethod
    def _forget_engines(self) -> None: ...

    def touched(self) -> None:
        """Note that the present step has touched things that `on_step` checks."""
        if self.on_step:
            self.loop.after_step = self._look

    # For the checks.

    several = False  # whether more than one host may be up

    @property
    @abstractmethod
    def writer(self) -> int:
        """The number of the life whose commit is reported now; at other times that of the present or the last life."""

    @abstractmethod
    def is_over(self, life: int) -> bool:
        """Whether a life is over, so that no event reaches it any more."""

    @property
    @abstractmethod
    def failed(self) -> int:
        """How often a store has refused a call."""

    # The story asks.

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)

    async def call(self, request: Request[T]) -> T:
        """Have a request answered by a host that is up, or by the next one that comes up.

        Raises:
            ConnectionLost: The host ended meanwhile, or the network lost the request or its answer.
            Exception: The error with which the host has answered.
        """
        return await self._calls.call(await self._up(), request)

    async def ask(self, request: Request[T]) -> T:
        """Repeat a request until it is answered, as clients behind load balancers do."""
        while True:
            try:
                return await self.call(request)
            except UNANSWERED:
                await self.sleep(REPEAT_S)

    @abstractmethod
    def kill(self, why: str = "the story has") -> None:
        """End the host whose code runs as `kill -9` does; in a world of one host at a time, its host."""

    @abstractmethod
    async def heal(self) -> None:
        """End all faults, and bring all hosts up."""

    async def mortal(self, stream: str, why: str) -> None:
        """A place in the code of an app at which its host may be killed, by a stream of choices of its own."""
        if self.choices.fault(stream):
            self.kill(why)
            await never()

    def set_clock(self, seconds: float) -> None:
        """Set the date forward; back, if `seconds` is negative."""
        self.trace.tell(self.loop.time(), "clock", f"is set by {seconds} s", fault=True)
        self.clock.step(seconds)

    # Hosts begin, stand still and end.

    def new_life(self) -> tuple[Life, Instruments]:
        """Begin a life, and make its readings of the machine."""
        number = next(self._lives)
        if number > 1:
            self.deploys.choose("deploy")
        life = Life(number, self.deploys.now, self.loop.create_future())
        return life, Instruments(self._stopwatch, partial(_chance, number, count()), self.clock.time_ns)

    def apps_of(self, host: int, life: Life) -> tuple[App, Sequence[OtherApp]]:
        """The first app of a life, and those beside it.

        Args:
            host: The number of its host; 1 is the first.
        """
        first, *others = self.hosted(host, life.app)
        return first, [OtherApp(app.name, app) for app in others]

    @abstractmethod
    async def _up(self) -> Life:
        """A host that is up, or the next one that comes up."""

    async def _next_arrival(self) -> None:
        """Wait until a host has come up."""
        waiting: asyncio.Future[None] = self.loop.create_future()
        self._arrived.append(waiting)
        await waiting

    def tell_up(self, life: Life, who: str) -> None:
        """Take note that a host takes requests."""
        version = f" with app {self.deploys.apps.index(life.app) + 1}" if life.app in self.deploys.apps[1:] else ""
        self.trace.tell(self.loop.time(), who, f"is up{version}")
        arrived, self._arrived = self._arrived, []
        for waiting in arrived:
            if not waiting.done():
                waiting.set_result(None)

    def hold(self, life: Life, seconds: float, who: str) -> None:
        """Stop a life for a while, as SIGSTOP does. After that, all delayed steps are due at once."""
        self.trace.tell(self.loop.time(), who, f"stands still for {seconds} s", fault=True)
        self.loop.hold(life.number)
        life.stands_until_s = max(life.stands_until_s, self.loop.time() + seconds)
        self.loop.call_later(seconds, self._go_on, life, context=self.loop.outside)

    def _go_on(self, life: Life) -> None:
        if self.loop.time() >= life.stands_until_s:  # else a longer pause began meanwhile
            self.loop.go_on(life.number)

    def tell_end(self, life: Life, who: str, task: "asyncio.Task[None]") -> bool:
        """Take note that a host has ended by itself: it was stopped, or its store did not open.

        Returns:
            Whether it has ended with an error of its own.
        """
        error: Any = task.exception() if not task.cancelled() else None
        if error is not None:
            if not isinstance(error, StoreError):
                self.loop.call_exception_handler({"message": f"{who} has ended", "exception": error})
            self.trace.tell(self.loop.time(), who, f"has ended: {error}", fault=True)
        return error is not None and not isinstance(error, StoreError)

    def restart_pause_s(self, failures: int) -> float:
        """Choose how long it takes until a host that has ended is started again.

        Args:
            failures: How many of its lives in a row have ended with an error of their own.
        """
        pause_s = RESTARTS_S[self.choices.fault("host.restart", len(RESTARTS_S))]
        if failures:
            first_s, last_s = FAILED_RESTARTS_S
            pause_s += min(first_s * 2 ** min(failures - 1, 10), last_s)
        return pause_s

    def cut_calls(self, life: Life) -> None:
        """Report to all callers of a life that it has ended."""
        self._calls.cut(life)

    # Inside.

    def _keep_step(self, handle: SimHandle, ready: int, at: int, now_s: float) -> None:
        self.trace.step(handle.number, ready, at, now_s, handle.where)

    def _committed(self, writes: Sequence[Write]) -> None:
        for tell in self.on_commit:
            tell(writes)
        self.touched()

    def _look(self) -> None:
        for look in self.on_step:
            look()


def _chance(life: int, draws: "count[int]", size: int) -> bytes:
    """Bytes that are the same in each run, made from the life and the number of the draw.

    They are no choices: other bytes would find nothing more, and a schedule need not hold them.
    """
    assert size <= blake2b.MAX_DIGEST_SIZE
    return blake2b(b"%d/%d" % (life, next(draws)), digest_size=size).digest()
