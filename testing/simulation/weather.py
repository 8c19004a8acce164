"""Weather: what happens to a machine at any time, between two steps of its host.

The one law: it asks its choices at moments that do not depend on what the host does.

    kill.between   the host is killed
    host.pause     the host stands still, as by SIGSTOP
    clock.step     the date is set
    deploy.now     the host is stopped in order, and started with another app
"""

import asyncio
from itertools import count
from typing import Protocol

from .choices import Choices
from .deploys import Deploys
from .machines.clock import MachineClock

# How often the weather may change: often at first, when most happens, and then ever more seldom.
WEATHER_S, WEATHERS, WEATHER_S_MAX = 0.02, 200, 3_600.0
PAUSES_S = (0.0, 0.1, 3.0, 30.0)
CLOCK_STEPS_S = (0.0, 5.0, -5.0, 3_600.0, -3_600.0)


class UnderTheSky(Protocol):
    """What has weather."""

    choices: Choices
    clock: MachineClock
    deploys: Deploys

    def kill(self, why: str) -> None: ...

    def pause(self, seconds: float) -> None: ...

    def set_clock(self, seconds: float) -> None: ...

    async def restart(self) -> None: ...


async def weather(world: UnderTheSky) -> None:
    """Let it happen until the faults are over."""
    fault = world.choices.fault
    for number in count():
        await asyncio.sleep(min(WEATHER_S * 1.03 ** max(0, number - WEATHERS), WEATHER_S_MAX))
        if world.choices.calmed:
            return
        if fault("kill.between"):
            world.kill("between two steps")
        if pause := fault("host.pause", len(PAUSES_S)):
            world.pause(PAUSES_S[pause])
        if world.clock.may_be_set and (step := fault("clock.step", len(CLOCK_STEPS_S))):
            world.set_clock(CLOCK_STEPS_S[step])
        if world.deploys.choose("deploy.now"):
            await world.restart()
