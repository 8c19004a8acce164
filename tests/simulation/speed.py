"""Worlds whose speed is measured: a large one of the engine, and a small one as users write them; and the share of a
world's time that its invariants take.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import wraps
from random import Random
from typing import Any, NamedTuple

import anyio
import pytest

from perdure import ActivityContext, App, WorkflowContext
from perdure.testing.simulation.choices import Choices, Schedule
from perdure.testing.simulation.world import SimWorld

from .checks.answers import Versions
from .checks.turns import TurnLog
from .invariants import Witness
from .kinds import choices_of, scenario_of

# Of a large world; each has a child, which is an instance too.
WORKFLOWS = 100
# The commits among which its faults strike.
COMMITS = 60
FAILING = 0.03

app = App("speed")


@app.activity
async def work(ctx: ActivityContext, n: int) -> int:
    await anyio.sleep(0.01)
    return n + 1


@app.workflow
async def child(ctx: WorkflowContext, n: int) -> int:
    return await ctx.call_activity(work, input=n)


@app.workflow
async def parent(ctx: WorkflowContext, n: int) -> int:
    """Three activities, a timer, an event, an event that does not come, and a child with an activity."""
    for _ in range(3):
        n = await ctx.call_activity(work, input=n)
    await ctx.create_timer(timedelta(seconds=1))
    await ctx.wait_for_external_event("go")
    with suppress(TimeoutError):
        await ctx.wait_for_external_event("never", timeout=timedelta(seconds=2))
    return await ctx.call_child_workflow(child, input=n)


class Ran(NamedTuple):
    """The counts of a world."""

    instances: int
    steps: int
    kills: int
    failed_commits: int


def large_world(choices: Choices) -> Ran:
    """Run a world of a hundred workflows and their children, with a restart at its end."""
    world = SimWorld(app, choices)
    world.run(_hundred)
    return Ran(2 * WORKFLOWS, world.loop.steps, world.kills, world.disk.failed)


async def _hundred(world: SimWorld) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(WORKFLOWS):
            tasks.create_task(_one(world, f"i{number}"))
    await world.heal()
    await world.restart()
    await world.ask(lambda engine: engine.client.get("nobody"))
    await world.sleep(10)


async def _one(world: SimWorld, id_: str) -> None:
    await world.ask(lambda engine: engine.client.start(parent, input=0, instance_id=id_, if_exists="return"))
    await world.sleep(0.5)
    await world.ask(lambda engine: engine.client.raise_event(id_, "go", data=1))
    assert await world.ask(lambda engine: engine.client.result(id_)) == 4


def with_kills(seed: int) -> Choices:
    """One to three kills around commits, and commits that fail."""
    random = Random(seed)
    schedule: Schedule = {
        (random.choice(("kill.before", "kill.unheard")), random.randrange(COMMITS)): 1
        for _ in range(random.randint(1, 3))
    }
    schedule |= {("store.fail", commit): 1 for commit in range(COMMITS) if random.random() < FAILING}
    return Choices(schedule=schedule)


def small_world(choices: Choices) -> Ran:
    """Run a world of one to six orders, each of which an activity charges."""
    world: SimWorld
    shop = App("shop")
    charged: set[str] = set()

    @shop.activity
    async def charge(ctx: ActivityContext, order: str) -> str:
        charged.add(ctx.task_execution_id)
        await world.mortal("kill.charged", f"{order} is charged, and the host has not heard of it")
        await anyio.sleep(0.05)
        return "charged"

    @shop.workflow
    async def buy(ctx: WorkflowContext, order: str) -> str:
        return await ctx.call_activity(charge, input=order)

    async def order(id_: str) -> None:
        await world.ask(lambda engine: engine.client.start(buy, input=id_, instance_id=id_, if_exists="return"))
        assert await world.ask(lambda engine: engine.client.result(id_)) == "charged"

    async def story(world: SimWorld) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(1 + world.choices.draw("story.orders", 6)):
                tasks.create_task(order(f"order-{number}"))

    world = SimWorld(shop, choices)
    world.run(story)
    return Ran(len(charged), world.loop.steps, world.kills, world.disk.failed)


class Speed(NamedTuple):
    """How fast worlds were, by the processor's time of this process."""

    worlds: int
    ran: Ran  # all of them together
    cpu_s: float

    def __str__(self) -> str:
        ran, cpu_s = self.ran, self.cpu_s
        return (
            f"{self.worlds} worlds, {self.worlds / cpu_s:.0f} a CPU-second; {ran.instances / cpu_s:.0f} instances a "
            f"CPU-second; {ran.steps / self.worlds:.0f} steps a world, {1e6 * cpu_s / ran.steps:.1f} us a step; "
            f"{ran.kills} kills, {ran.failed_commits} failed commits"
        )


def measure(run: Callable[[Choices], Ran], choices: Callable[[int], Choices], *, worlds: int, trials: int = 3) -> Speed:
    """Run the worlds of some seeds several times; for each the fastest trial counts, as other programs slow it down."""
    run(choices(worlds))
    fastest: dict[int, float] = {}
    found: list[Ran] = []
    for _ in range(trials):
        found.clear()
        for seed in range(worlds):
            began_s = time.process_time()
            found.append(run(choices(seed)))
            fastest[seed] = min(fastest.get(seed, 1e9), time.process_time() - began_s)
    total = Ran(*(sum(ran[field] for ran in found) for field in range(len(Ran._fields))))
    return Speed(worlds, total, sum(fastest.values()))


# The entries of worlds into code of their invariants: at each commit, turn, activity and answer.
CHECKS: tuple[tuple[type[Any], str], ...] = (
    (Witness, "committed"),
    (Witness, "performing"),
    (Witness, "_heard"),
    (TurnLog, "_taken"),
    (TurnLog, "check"),
    (Versions, "now"),
    (Versions, "all_now"),
    (Versions, "check_read"),
    (Versions, "check_done"),
)


class Share:
    """The share of the processor's time of this process that some functions take, with their callees."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self._inside = False

    @contextmanager
    def measured(self, functions: tuple[tuple[type[Any], str], ...]) -> Iterator[None]:
        """Measure them until the block ends."""
        with pytest.MonkeyPatch.context() as patch:
            for owner, name in functions:
                patch.setattr(owner, name, self._timed(getattr(owner, name)))
            yield

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            if self._inside:
                return function(*given, **named)
            self._inside, began_s = True, time.process_time()
            try:
                return function(*given, **named)
            finally:
                self.cpu_s += time.process_time() - began_s
                self._inside = False

        return timed


def share_of_invariants(kind: str, *, worlds: int) -> float:
    """The share of the time of worlds of a kind that their invariants take, from 0 to 1, the measuring included."""
    share, began_s = Share(), time.process_time()
    with share.measured(CHECKS):
        for seed in range(worlds):
            with scenario_of(kind, choices_of(kind, seed)) as scenario:
                scenario.run()
    return share.cpu_s / (time.process_time() - began_s)
