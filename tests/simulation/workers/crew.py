"""The workers of a world: one to three, which share the work."""

from collections import Counter

from perdure import App
from perdure.testing.simulation.world import SimWorld

from .hub import Hub
from .worker import SimWorker

# Between two looks whether the faults are over.
LOOK_S = 0.5


class Crew:
    """Workers that have the code of an app. Its host has none.

    Attributes:
        workers: One for each place.
        broken: An error of a worker's own: its code does not fit a history, for example.
    """

    def __init__(self, world: SimWorld, app: App) -> None:
        self._world = world
        self.hub = Hub(world)
        self.broken: BaseException | None = None
        attempts: dict[str, int] = {}
        self.workers = [
            SimWorker(world, self.hub, app, number, attempts=attempts, broke=self._broke)
            for number in range(1 + world.choices.draw("worker.places", 3))
        ]

    @property
    def sometimes(self) -> Counter[str]:
        """The events that have happened."""
        return Counter(
            {
                "worker died": sum(worker.deaths for worker in self.workers),
                "answered twice": sum(worker.twice for worker in self.workers),
            }
        )

    def start(self) -> None:
        """Begin to work. To be called in the world."""
        for worker in self.workers:
            self._world.loop.create_task(worker.run())
        self._world.loop.create_task(self._heal())

    async def all_connected(self) -> None:
        """Wait until each worker has a stream."""
        while not all(worker.connected for worker in self.workers):
            await self._world.sleep(LOOK_S)

    async def _heal(self) -> None:
        """Once faults are over, have each worker begin anew: nothing else mends items that one has never answered."""
        while not self._world.choices.calmed:
            await self._world.sleep(LOOK_S)
        for worker in self.workers:
            worker.die("the faults are over, and it begins anew")

    def _broke(self, error: BaseException) -> None:
        self.broken = self.broken or error
