"""Weather: the faults of a machine at any time, between two steps of its host.

The rule: it draws its choices at moments that do not depend on the host.

    kill.between   the host is killed
    host.pause     the host stands still, as by SIGSTOP
    clock.step     the date is set
    deploy.now     the host is stopped in order, and started with another app
"""

from typing import Protocol

from .choices import INTENSITIES, Choices
from .deploys import Deploys
from .loop import SimHandle, SimLoop
from .machines.clock import MachineClock

# When the weather may change: often at first, when most happens, and then ever more seldom, by a share of the time that
# has passed.
WEATHER_S, WEATHER_SHARE, WEATHER_S_MAX = 0.01, 0.05, 3_600.0
PAUSES_S = (0.0, 0.1, 3.0, 30.0)
CLOCK_STEPS_S = (0.0, 5.0, -5.0, 3_600.0, -3_600.0)


class UnderTheSky(Protocol):
    """A host that has weather."""

    loop: SimLoop
    choices: Choices
    clock: MachineClock
    deploys: Deploys

    def kill(self, why: str = ...) -> None:
        """End the host as SIGKILL does; it is started again."""
        ...

    def pause(self, seconds: float) -> None:
        """Stop the host for `seconds`, as SIGSTOP does."""
        ...

    def set_clock(self, seconds: float) -> None:
        """Move the wall clock by `seconds`."""
        ...

    async def restart(self) -> None:
        """Stop the host in order, and start it again."""
        ...


class Weather:
    """Causes faults until the faults of the world are over, or until `end`."""

    def __init__(self, world: UnderTheSky) -> None:
        self._world = world
        self._passed_s = 0.0
        self._next: SimHandle | None = None

    def begin(self) -> None:
        """Set the time of the next fault."""
        pause_s = min(max(WEATHER_S, WEATHER_SHARE * self._passed_s), WEATHER_S_MAX)
        self._passed_s += pause_s
        # A timer, as a task would take two steps in place of one, in all calm worlds too.
        self._next = self._world.loop.call_later(pause_s, self._strike, context=self._world.loop.outside)

    def end(self) -> None:
        """Let no further fault happen."""
        if self._next is not None:
            self._next.cancel()

    def _strike(self) -> None:
        world = self._world
        if world.choices.calmed:
            return
        self.begin()
        fault = world.choices.fault
        if fault("kill.between"):
            world.kill("between two steps")
        if pause := fault("host.pause", len(PAUSES_S)):
            world.pause(PAUSES_S[pause])
        if world.clock.may_be_set and (step := fault("clock.step", len(CLOCK_STEPS_S))):
            world.set_clock(CLOCK_STEPS_S[step])
        if world.deploys.choose("deploy.now", rates=INTENSITIES):
            world.loop.create_task(world.restart(), context=world.loop.outside.copy())
