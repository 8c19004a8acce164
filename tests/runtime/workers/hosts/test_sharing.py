"""A worker at any host works for all hosts, and no job is lost or done twice without need."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from perdure import Settings
from perdure.actors.errors import PerdureError
from perdure.runtime.errors import InstanceExists
from perdure.runtime.history.event import TaskCompleted
from perdure.runtime.history.instance_state import InstanceState
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
        """A worker of one engine; None: of any living engine."""

        def engine_of(one: SharedEngine | None) -> Callable[[], object]:
            return lambda: (one if one is not None and one.running else self.engines.running[0]).engine

        worker = SdkWorker(self.writer, engine_of(at), answers_at=engine_of(answers_at or at), **options)  # type: ignore[arg-type]
        self.workers.append(worker)
        self._tasks.start_soon(worker.run)
        return worker

    async def begin(self, instance_id: str, activities: int) -> None:
        """Begin an instance through any engine that takes it."""
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
        """Wait for the ends of all, and check that each result was accepted once."""
        for instance_id, activities in self.expected.items():
            state = await self._end_of(instance_id)
            assert (state.status, state.output) == (Status.COMPLETED, str(activities)), (instance_id, state)
            rows = await self.engines.running[0].engine.facade.history(instance_id)
            assert rows is not None
            arrivals = (event for row in rows for event in (*(row.turn or ()), *row.held))
            done = [event.task_id for event in arrivals if isinstance(event, TaskCompleted)]
            assert sorted(done) == list(range(1, activities + 1))

    async def _end_of(self, instance_id: str) -> InstanceState:
        while True:
            try:
                return await self.engines.running[0].engine.facade.wait(instance_id)
            except PerdureError:
                await anyio.sleep(0.1)

    def performed(self) -> dict[tuple[str, int], int]:
        """How often each activity was performed."""
        counts: dict[tuple[str, int], int] = {}
        for worker in self.workers:
            for key, count in worker.performed.items():
                counts[key] = counts.get(key, 0) + count
        return counts


def story(tell: Callable[[Scene], Awaitable[None]], count: int = 2, *, seed: int = 0) -> None:
    """Run a test of engines and workers, in virtual time."""

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


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stateful", [False, True])
def test_a_gate_that_dies_takes_its_workers_along_and_others_do_their_work(seed: int, stateful: bool) -> None:
    async def tell(scene: Scene) -> None:
        # Given three hosts with a worker each,
        victim = scene.engines.engines[1]
        for each in scene.engines.engines:
            scene.worker(each, stateful=stateful, takes_s=0.3)
        # when one of the hosts is killed in the middle of the work, and its worker finds another host,
        for n in range(30):
            await scene.begin(f"i-{n}", 3)
        await anyio.sleep(scene.engines.chance.uniform(0.01, 0.6))
        victim.kill()
        # then all instances end, and each result was accepted once.
        await scene.ends()

    story(tell, 3, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_owner_that_dies_is_followed_by_one_that_gives_its_work_out_anew(seed: int) -> None:
    async def tell(scene: Scene) -> None:
        # Given a worker at one host, which works for two others,
        gate, *owners = scene.engines.engines
        worker = scene.worker(gate, takes_s=0.3)
        for n in range(30):
            await scene.begin(f"i-{n}", 3)
        await anyio.sleep(scene.engines.chance.uniform(0.01, 0.6))
        # when one of those dies with work at the worker,
        owners[0].kill()
        # then all instances end, and the worker gets no error for its work for the dead host.
        await scene.ends()
        assert worker.refused == []

    story(tell, 3, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_shards_move_between_hosts_while_workers_work(seed: int) -> None:
    async def tell(scene: Scene) -> None:
        gate = scene.engines.engines[0]
        scene.worker(gate, takes_s=0.3)
        scene.worker(None, takes_s=0.3)
        for n in range(20):
            await scene.begin(f"i-{n}", 3)
        # when a host joins, which is given shards, and another leaves,
        await scene.engines.add()
        for n in range(20, 40):
            await scene.begin(f"i-{n}", 3)
            await anyio.sleep(0.05)
        await scene.engines.engines[1].stop()
        # then all instances end, no activity was performed twice for a move, and no answer was refused.
        await scene.ends()
        assert [key for key, times in scene.performed().items() if times != 1] == []
        assert [worker.refused for worker in scene.workers] == [[], []]

    story(tell, 2, seed=seed)


@pytest.mark.untraced
@pytest.mark.parametrize("one_way", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_link_that_is_cut_for_a_while_loses_no_job(seed: int, one_way: bool) -> None:
    async def tell(scene: Scene) -> None:
        one, two, _ = scene.engines.engines
        scene.worker(one, takes_s=0.2)
        for n in range(20):
            await scene.begin(f"i-{n}", 3)
        scene.engines.network.cut(one.address, two.address, one_way=one_way)
        await anyio.sleep(scene.engines.chance.choice((0.5, 2.5, 8)))
        scene.engines.network.heal(one.address, two.address)
        for n in range(20, 30):
            await scene.begin(f"i-{n}", 3)
        await scene.ends()

    story(tell, 3, seed=seed)


def test_a_connection_that_breaks_and_comes_back_gives_no_job_out_twice() -> None:
    async def tell(scene: Scene) -> None:
        # Given a worker that works for the other host too,
        one, two = scene.engines.engines
        worker = scene.worker(one, takes_s=1.0)
        ids = [scene.engines.id_at(two, f"i{n}") for n in range(10)]
        for each in ids:
            await scene.begin(each, 3)
        await anyio.sleep(0.5)
        # when the connections between the two are lost, and made again at once,
        scene.engines.network.close(one.address, two.address)
        scene.engines.network.close(two.address, one.address)
        await scene.ends()
        # then no activity was performed twice.
        assert worker.passed >= 30
        assert set(scene.performed().values()) == {1}

    story(tell)


def test_work_goes_to_the_workers_of_its_own_host_unless_they_have_much_to_do() -> None:
    async def tell(scene: Scene) -> None:
        # Given a worker at each of two hosts,
        one, two = scene.engines.engines
        near, far = scene.worker(one), scene.worker(two)
        # a few activities of an instance of one of them go to its own worker;
        await scene.begin(scene.engines.id_at(one, "few"), 3)
        await scene.ends()
        assert (sum(near.performed.values()), sum(far.performed.values())) == (3, 0)
        # of many, some go to the other.
        await scene.begin(scene.engines.id_at(one, "many"), 60)
        await scene.ends()
        assert far.passed > 10
        assert set(scene.performed().values()) == {1}

    story(tell)


@pytest.mark.untraced
@pytest.mark.parametrize("count", [1, 2, 4])
def test_no_worker_has_more_than_its_window_whatever_the_number_of_hosts(count: int) -> None:
    async def tell(scene: Scene) -> None:
        worker = scene.worker(scene.engines.engines[0], takes_s=5.0)
        for n in range(12):
            await scene.begin(f"i-{n}", 50)
        await anyio.sleep(4)
        assert 60 <= worker.under_way <= 80
        await scene.ends()
        assert worker.most_under_way <= 100
        assert set(scene.performed().values()) == {1}

    story(tell, count)


def test_any_host_tells_of_all_workers_and_of_what_they_have_of_all_hosts() -> None:
    async def tell(scene: Scene) -> None:
        # Given a worker at one host, with activities of both in hand,
        one, two = scene.engines.engines
        scene.worker(one, takes_s=5.0)
        await scene.begin(scene.engines.id_at(one, "here"), 3)
        await scene.begin(scene.engines.id_at(two, "there"), 4)
        await anyio.sleep(2)
        # when either host is asked, then there is one worker, which has all seven,
        for each in (one, two):
            reports = (await each.engine.management.reports.all()).values()
            [worker] = [worker for report in reports if report is not None for worker in report.workers]
            assert (worker.host, worker.activities, worker.turns) == (one.membership.me, 7, 0)
            # and four of those are jobs that the other host has passed on.
            passed_on = {
                report.name: sum(part.activities for part in report.elsewhere.values()) for report in reports if report
            }
            assert passed_on == {one.membership.me: 0, two.membership.me: 4}
        await scene.ends()

    story(tell)


def test_a_host_that_leaves_gives_its_workers_nothing_more_and_what_they_have_is_answered() -> None:
    async def tell(scene: Scene) -> None:
        # Given a worker at a host that is about to leave, and one at another,
        one, two = scene.engines.engines
        leaves, stays = scene.worker(one, takes_s=0.5), scene.worker(two, takes_s=0.5)
        for n in range(6):
            await scene.begin(f"i-{n}", 4)
        await anyio.sleep(0.3)
        had = sum(leaves.performed.values())
        assert had > 0
        # when it leaves with work at its worker,
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.engine.leave)
            for n in range(6, 12):
                await scene.begin(f"i-{n}", 4)
            await scene.ends()
        # then that worker was given nothing more, and nothing was performed twice.
        assert sum(leaves.performed.values()) == had
        assert [key for key, times in scene.performed().items() if times != 1] == []
        assert (leaves.refused, stays.refused) == ([], [])

    story(tell)


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_that_answer_without_tokens_work_for_hosts_that_die(seed: int) -> None:
    async def tell(scene: Scene) -> None:
        # Given workers that name the instance and no token,
        gate, other, victim = scene.engines.engines
        for each in (gate, other):
            scene.worker(each, agent="dapr-js-sdk", takes_s=0.1, turn_s=0.05)
        for n in range(40):
            await scene.begin(f"i-{n}", 4)
        await anyio.sleep(scene.engines.chance.uniform(0.01, 0.4))
        # when an owner dies whose turns they have,
        victim.kill()
        # then no answer to it is taken for that to a turn of the next owner: all instances end.
        await scene.ends()

    story(tell, 3, seed=seed)
