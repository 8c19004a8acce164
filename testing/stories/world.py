"""The world of a user's test: the app on its host, systems outside, a client, and what must hold.

The rule: a test says what happens and what must hold; the choices decide which faults there are, and when.

    @simulated(app)
    async def test_an_order_is_charged_once(world: World) -> None:
        bank = world.outside(Bank())
        shop.bank = bank
        await world.client.run(buy, input="order-1", instance_id="order-1")
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeVar, overload

import anyio

from ...client.management_client import ManagementClient
from ...runtime.authoring.app import App
from ...runtime.dates import from_us
from ...runtime.engine import Engine
from ..simulation.loop import Stuck
from ..simulation.machines.outside import BlockingCode, Deed, Outside
from ..simulation.world import SimWorld
from .chance import ChosenRandom
from .code.misuse import (
    NotAwaited,
    require_check,
    require_errors,
    require_fake,
    require_numbers,
    require_stream,
    require_values,
    unclear,
)
from .errors import InvariantFailed, SimulationMisuse
from .faults import RESERVED
from .histories import save_histories
from .network import SimulatedNetwork
from .proxy import OutsideFake
from .rules import Rules
from .settling import settle, unended

T = TypeVar("T")
Check = Callable[[], object]
F = TypeVar("F", bound=Check)


class World:
    """One world of a simulated test.

    Args:
        world: The machine, its host and the choices.
        within: How long the work under way may take to end after the last fault.
        blocking: Waits on behalf of code that blocks.

    Attributes:
        client: Has the methods of `Engine.client`, and repeats a request until it is answered.
        client_once: The same, but a request that is not answered raises ConnectionLost.
        random: A `random.Random` whose numbers are choices of the story.
        met: How often each `sometimes` was met.
    """

    def __init__(self, world: SimWorld, *, within: timedelta, blocking: BlockingCode) -> None:
        self._world = world
        self._within = within
        self._blocking = blocking
        self._outsides: dict[str, Outside] = {}
        self._always: list[tuple[str, Check]] = []
        self._finally: list[tuple[str, Check]] = []
        self._rules = Rules(world)
        app = world.deploys.apps[-1]
        self.network, once = SimulatedNetwork(world), SimulatedNetwork(world, once=True)
        self.client: ManagementClient = self.network.client(app)
        self.client_once: ManagementClient = once.client(app)
        self.random: Random = ChosenRandom(world.choices)
        self.met: Counter[str] = Counter()
        world.on_step.append(self._look)

    # The things of the world.

    def outside(
        self,
        fake: T,
        *,
        name: str | None = None,
        lost: Callable[[str], BaseException] = ConnectionError,
        errors: Sequence[Callable[[str], BaseException]] = (),
    ) -> T:
        """Put a fake behind a network that may lose, delay and double calls from activities. It never dies itself.

        The story and the checks use the fake itself: their calls are made at once and are never lost.

        Args:
            fake: Stands for a system outside. Its methods may be `async def` or plain.
            name: Its name in stories; its class in small letters by default.
            lost: Makes the error of a call whose request or answer was lost, from a text.
            errors: Classes of errors that it may answer with; nothing was done then.

        Raises:
            SimulationMisuse: The name is taken, `fake` is no object with methods of its own, or `errors` has other
                things than errors.
        """
        require_fake(fake)
        if type(fake) is OutsideFake:
            raise SimulationMisuse(f"{fake!r} is behind a network already")
        errors = require_errors(lost, errors)
        name = name if name is not None else type(fake).__name__.lower()
        if name in self._outsides or name in RESERVED or not str(name).isidentifier():
            raise SimulationMisuse(
                f"{name!r} cannot be the name of a fake, or is that of another; give it one with name="
            )
        outside = self._outsides[name] = Outside(
            self._world, fake, name=name, lost=lost, errors=errors, blocking=self._blocking
        )
        proxy: Any = OutsideFake(outside)
        made: T = proxy
        return made

    @property
    def deeds(self) -> Sequence[Deed]:
        """The calls that fakes have carried out for hosts."""
        return [deed for outside in self._outsides.values() for deed in outside.done]

    # Invariants.

    @overload
    def always(self, check: F, name: str | None = None) -> F: ...
    @overload
    def always(self, *, name: str) -> Callable[[F], F]: ...
    def always(self, check: F | None = None, name: str | None = None) -> F | Callable[[F], F]:
        """Check something after each step that touched a system outside, and after each commit.

        Args:
            check: Returns False, or fails with an assert, if it does not hold; True or nothing, if it does.
            name: Its name; the function's own by default.
        """
        return self._noted(self._always, check, name)

    @overload
    def finally_(self, check: F, name: str | None = None) -> F: ...
    @overload
    def finally_(self, *, name: str) -> Callable[[F], F]: ...
    def finally_(self, check: F | None = None, name: str | None = None) -> F | Callable[[F], F]:
        """Check something at the end, when the faults are over and the work under way has ended; as `always`.

        Args:
            check: Returns False, or fails with an assert, if it does not hold; True or nothing, if it does.
            name: Its name; the function's own by default.
        """
        return self._noted(self._finally, check, name)

    def sometimes(self, name: str, happens: object = True) -> NotAwaited:
        """Say that something must happen in some world of the test, or the test proves less than it seems to.

        Args:
            happens: Whether it happens here, now.
        """
        self.met[name] += bool(happens)
        return NotAwaited("sometimes")

    # Chances.

    def pick(self, low: int, high: int, *, name: str | None = None) -> int:
        """Choose a number from `low` to `high`; the calm world has `low`.

        Args:
            name: The name of the choice; by default the name of the calling function.

        Raises:
            SimulationMisuse: There is no such number, or the name is no word.
        """
        require_numbers(low, high)
        name = name or _caller()
        require_stream(name)
        return low + self._world.choices.draw(f"story.{name}", high - low + 1)

    def choose(self, values: Sequence[T], *, name: str | None = None) -> T:
        """Choose one of some values; the calm world has the first.

        Args:
            values: One at least.
            name: The name of the stream of choices; by default the name of the calling function.

        Raises:
            SimulationMisuse: There are no values, or they are in no order; or the name is no word.
        """
        require_values(values)
        name = name or _caller()
        require_stream(name)
        return values[self._world.choices.draw(f"story.{name}", len(values))]

    # Time.

    async def sleep(self, seconds: float | timedelta) -> None:
        """Let virtual time pass.

        Args:
            seconds: Seconds, or a timedelta.
        """
        await anyio.sleep(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)

    def now(self) -> datetime:
        """The date, in UTC. Worlds begin on 1 January 2026."""
        return from_us(self._world.clock.now_us())

    async def settle(self) -> None:
        """End all faults, and let time run until all instances have ended.

        Raises:
            Stuck: Some have not ended within `within`; the error has the waits of each, with their times.
        """
        await self._heal()
        await settle(self._world, self._within, ended=True)

    # By hand, for a test of one case.

    def kill(self) -> NotAwaited:
        """Kill the host, as `kill -9` does. It is started again a moment later."""
        self._world.kill("the story has")
        return NotAwaited("kill")

    async def deploy(self, app: App) -> None:
        """Stop the host in order, and start it with another app.

        Args:
            app: The app from now on, in later lives too.

        Raises:
            SimulationMisuse: It is no app.
        """
        if not isinstance(app, App):
            raise SimulationMisuse(f'deploy takes a perdure.App, as app_at("v1.2", "shop.app:app"), not {app!r}')
        await self._world.deploy(app)

    def set_clock(self, change: float | timedelta) -> NotAwaited:
        """Set the date forward or back.

        Args:
            change: Seconds, or a timedelta; back if it is negative.

        Raises:
            SimulationMisuse: The worlds of this test have clocks that are never set, or that is no change.
        """
        if not isinstance(change, timedelta | int | float):
            raise SimulationMisuse(f"set_clock takes by how much: seconds, or a timedelta; not {change!r}")
        if not self._world.clock.may_be_set:
            raise SimulationMisuse("set_clock needs a clock that may be set: simulated(..., faults=Faults(clock=True))")
        self._world.set_clock(change.total_seconds() if isinstance(change, timedelta) else change)
        return NotAwaited("set_clock")

    def partition(self, *names: str) -> None:
        """Cut hosts off from each other. There is one host in a world, so there is nothing to cut.

        Raises:
            SimulationMisuse: Always, as long as worlds have one host.
        """
        raise SimulationMisuse("partition needs several hosts, and a simulated world has one (hosts=1)")

    async def save_histories(self, path: str | Path) -> int:
        """Write the histories of all instances into a folder, for `perdure.testing.replay`.

        Of histories that differ in nothing but ids, dates and payloads one is kept. So the worlds of a whole test make
        a corpus of a few dozen files.

        Args:
            path: The folder, which is made if need be.

        Returns:
            How many were new.
        """
        return await self._world.ask(lambda engine: _save(engine, Path(path)))

    # For the runner of the test.

    async def live(self, story: Callable[..., Any], given: dict[str, Any]) -> None:
        """Let the story happen, and check what must hold at its end.

        Raises:
            InvariantFailed, Stuck: Something does not hold.
            Exception: The error of the story.
        """
        await self._tell_story(story, given)
        await self._heal()
        await self._rules.check_end(self._within)
        self._look()
        for name, check in self._finally:
            _check(name, check)

    @property
    def replayed(self) -> int:
        """How many histories were run through their code at the end."""
        return self._rules.replayed

    async def _tell_story(self, story: Callable[..., Any], given: dict[str, Any]) -> None:
        """Let the story happen; the faults end after `within`, and the story has to end within the same time again."""
        within_s = self._within.total_seconds()
        task = self._world.loop.create_task(story(self, **given))
        try:
            if not (await asyncio.wait([task], timeout=within_s))[0]:
                await self._heal()
                if not (await asyncio.wait([task], timeout=within_s))[0]:
                    waiting = "; ".join(map(str, await self._world.ask(unended))) or "all instances have ended"
                    raise Stuck(f"the story has not ended {self._within} after the last fault: {waiting}")
            task.result()
        finally:
            task.cancel()

    async def _heal(self) -> None:
        """End all faults. A deployment under way goes to its end; on a way back it may be any version."""
        world = self._world
        if not world.choices.calmed and world.deploys.choose("deploy.last"):
            await world.restart()
        await world.heal()
        versions, now = world.deploys.apps, world.deploys.now
        # An app that the story has deployed by hand is not among the versions, and stays.
        if world.deploys.mode == "forward" and now in versions and now is not versions[-1]:
            await world.deploy(versions[-1])
            await world.heal()

    def _look(self) -> None:
        for name, check in self._always:
            _check(name, check)

    def _noted(self, checks: list[tuple[str, Check]], check: F | None, given: str | None) -> F | Callable[[F], F]:
        def note(check: F) -> F:
            name = given if given is not None else str(getattr(check, "__name__", repr(check)))
            require_check(check)
            checks.append((name, check))
            return check

        return note(check) if check is not None else note


def _check(name: str, check: Check) -> None:
    try:
        holds = check()
    except InvariantFailed:
        raise
    except AssertionError as error:
        raise InvariantFailed(name, str(error) or "it does not hold") from error
    if holds is False:
        raise InvariantFailed(name, "it does not hold")
    if holds is not None and holds is not True:
        raise unclear(name, holds)


async def _save(engine: Engine, path: Path) -> int:
    return await save_histories(engine, path)


def _caller() -> str:
    """The name of the function that makes a choice."""
    return sys._getframe(2).f_code.co_name
