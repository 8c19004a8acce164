"""Workers work for all hosts, whichever they are connected to, and no job is lost or done twice without need."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from perdure import Settings
from perdure.actors.errors import PerdureError
from perdure.runtime.errors import InstanceExists
from perdure.runtime.history.event import TaskCompleted
from perdure.runtime.history.status import Status
from perdure.testing.virtual_time import run_virtually

from ....support.workflows.sdk_workers import KeepingWriter, SdkWorker
from ....support.workflows.shared_engines import SharedEngine, SharedEngines, shared_engines

SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 40))]


class Scene:
    """Engines without code, and workers."""

    def __init__(self, engines: SharedEngines, writer: KeepingWriter, tasks: anyio.abc.TaskGroup) -> None:
        self.engines = engines
        self.writer = writer
        self.workers: list[SdkWorker] = []
        self._tasks = tasks
        self.expected: dict[str, int] = {}

    def worker(self, at: SharedEngine | None, answers_at: SharedEngine | None = None, **options: object) -> SdkWorker:
        """A worker of one engine; None: of any that lives."""

        def engine_of(one: SharedEngine | None) -> Callable[[], object]:
            return lambda: (one if one is not None and one.running else self.engines.running[0]).engine

        worker = SdkWorker(self.writer, engine_of(at), answers_at=engine_of(answers_at or at), **options)  # type: ignore[arg-type]
        self.workers.append(worker)
        self._tasks.start_soon(worker.run)
        return worker

    async def begin(self, instance_id: str, activities: int) -> None:
        """Begin an instance through whichever engine takes it."""
        self.expected[instance_id] = activities
        while True:
            facade = self.engines.chance.choice(self.engines.running).engine.facade
            try:
                await facade.start("w", instance_id=instance_id, input=str(activities))
            except InstanceExists:
                return
            except PerdureError:
                await anyio.sleep(0.1)
            else:
                return

    async def ends(self) -> None:
        """Wait for the ends of all, and look that each result was taken once."""
        for instance_id, activities in self.expected.items():
            while True:
                try:
                    state = await self.engines.running[0].engine.facade.wait(instance_id)
                    break
                except PerdureError:
                    await anyio.sleep(0.1)
            assert (state.status, state.output) == (Status.COMPLETED, str(activities)), (instance_id, state)
            rows = await self.engines.running[0].engine.facade.history(instance_id)
            assert rows is not None
            arrivals = (event for row in rows for event in (*(row.turn or ()), *row.held))
            done = [event.task_id for event in arrivals if isinstance(event, TaskCompleted)]
            assert sorted(done) == list(range(1, activities + 1))

    def performed(self) -> dict[tuple[str, int], int]:
        """How often each activity was performed."""
        counts: dict[tuple[str, int], int] = {}
        for worker in self.workers:
            for key, count in worker.performed.items():
                counts[key] = counts.get(key, 0) + count
        return counts


def story(tell: Callable[[Scene], Awaitable[None]], count: int = 2, *, seed: int = 0) -> None:
    """Tell a story of engines and workers, in virtual time."""

    async def told() -> None:
        writer = KeepingWriter()
        with anyio.fail_after(400):
            async with (
                shared_engines(None, Settings(), count, seed=seed, items=writer) as engines,
                anyio.create_task_group() as tasks,
            ):
                await tell(Scene(engines, writer, tasks))
                tasks.cancel_scope.cancel()

    run_virtually(told)


@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["answers at its gate", "answers at the other host"])
def test_one_worker_works_for_all_hosts(stateful: bool, elsewhere: bool) -> None:
    async def tell(scene: Scene) -> None:
        one, two = scene.engines.engines
        worker = scene.worker(one, two if elsewhere else one, stateful=stateful)
        for n in range(20):
            await scene.begin(f"i-{n}", 3)
        await scene.ends()
        assert worker.passed > 0
        assert set(scene.performed().values()) == {1}
        assert len(scene.performed()) == 60
        assert worker.refused == []

    story(tell)
