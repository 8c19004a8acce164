"""An instance whose caller begins it again, and sends its events again, each time that the server has lost commits.

Callers have to do that after such a failover: only they can know which changes are lost. Until the faults end the
instance also runs again each time that it has ended, so that there is always something to lose.
"""

import asyncio
from contextlib import suppress

from perdure.runtime.errors import RequestRefused
from perdure.testing.simulation.hosts.world import HostsWorld

from ..checks.answers import STALE_S
from ..story.fates import Living

LOOK_S = 0.5


class LivingAgain(Living):
    """Has an instance run repeatedly until the faults end, and then end with its result."""

    _world: HostsWorld
    _rounds = 0

    async def live(self) -> None:
        """Live through the fate.

        Raises:
            Broken: E1, E8, E13.
        """
        world, database = self._world, self._world.database
        await world.sleep(world.choices.draw("story.begins", 4) * 0.03)
        async with asyncio.TaskGroup() as tasks:
            while True:
                losses = database.losses
                await self._start()
                await self._send()
                waiting = tasks.create_task(self.caller.wait())
                while database.losses == losses and not world.choices.calmed:
                    await self.caller.get()
                    if waiting.done():
                        await self._start_anew()
                        waiting = tasks.create_task(self.caller.wait())
                    await world.sleep(LOOK_S)
                if database.losses == losses:
                    break
                # Until that time a host may answer that does not know of it yet.
                await world.sleep(2 * STALE_S)
            await self._expect_result()

    async def _start_anew(self) -> None:
        self._rounds += 1
        # The running instance is one that a failover has brought back.
        with suppress(RequestRefused):
            await self._start(if_exists="restart", idempotency_key=f"{self.fate.id}.{self._rounds}")
        await self._send()
