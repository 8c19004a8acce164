"""`simulated` makes a plain test of a story; what it finds is told as a story, and kept for the next run."""

import asyncio
import inspect
import re
import unittest
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from perdure import ActivityContext, App, WorkflowContext
from perdure.testing import (
    Faults,
    SimulationFailed,
    SimulationMisuse,
    World,
    schedule,
    simulated,
)
from perdure.testing.stories.decorator import run_plan
from perdure.testing.stories.plan import SimulationPlan
from perdure.testing.stories.telling.kept import failures_file, read_schedules, write_schedules
from perdure.testing.stories.trial.session import SimulationSession

from .stories.shop import Bank, Shop

shop = Shop()


async def one_order(world: World) -> None:
    bank = Bank()
    shop.bank = world.outside(bank)
    world.always(lambda: len(bank.charges) <= 1, "charged once")
    await world.client.run(shop.buy, input="o", instance_id="o", if_exists="return")


async def two_waits(world: World) -> None:
    for name in ("a", "b"):
        await world.client.start(shop.wait, input="go", instance_id=name, if_exists="return")
        await world.client.raise_event(name, "go")
    await world.settle()


@simulated(shop.app, seeds=5, sweep=1)
async def test_a_green_story_is_a_green_test(world: World, tmp_path: Path) -> None:
    # Fixtures come along.
    assert tmp_path.is_dir()  # noqa: ASYNC240  nothing else runs
    await two_waits(world)


class TestOfAClass:
    """A method is a test as a function is."""

    @simulated(shop.app, seeds=1, sweep=0)
    async def test_a_method_gets_its_object_and_its_world(self, world: World, tmp_path: Path) -> None:
        assert isinstance(self, TestOfAClass)
        assert isinstance(world, World)
        assert tmp_path.is_dir()  # noqa: ASYNC240  nothing else runs


class TestOfUnittest(unittest.TestCase):
    """So it is in a class of unittest's."""

    @simulated(shop.app, seeds=1, sweep=0)
    async def test_a_method_gets_its_object_and_its_world(self, world: World) -> None:
        assert isinstance(self, unittest.TestCase)
        assert isinstance(world, World)


@pytest.mark.parametrize("kind", [asyncio.CancelledError, GeneratorExit])
def test_a_story_that_ends_with_what_is_no_exception_has_failed(kind: type[BaseException]) -> None:
    async def story(world: World) -> None:
        raise kind

    with pytest.raises(SimulationFailed, match=kind.__name__):
        simulated.run(shop.app, story, seeds=1, sweep=0)


def test_a_second_simulation_beside_one_that_runs_is_refused() -> None:
    async def story(world: World) -> None:
        await asyncio.to_thread(lambda: simulated.run(shop.app, one_order))

    with pytest.raises(SimulationFailed, match="another simulation runs in this process"):
        simulated.run(shop.app, story, seeds=1, sweep=0)


def test_what_is_made_is_a_plain_function_without_the_world() -> None:
    test = simulated(shop.app)(one_order)
    assert not inspect.iscoroutinefunction(test)
    assert list(inspect.signature(test).parameters) == []
    assert test.__name__ == "one_order"


def test_a_failure_is_told_as_a_story_and_names_its_schedule() -> None:
    with pytest.raises(SimulationFailed) as failed:
        simulated(shop.app)(one_order)()
    text = str(failed.value)
    assert text.startswith("charged once: it does not hold\n")
    assert re.search(r"^  !     0\.\d{6} s  host 1   killed: bank has done charge o, and", text, re.MULTILINE)
    assert 'Keep: @schedule("kill.bank.charge#0")' in text


def test_a_schedule_that_is_kept_is_tried_first() -> None:
    # Wherever the decorator stands.
    for test in (
        schedule("kill.bank.charge#0")(simulated(shop.app, seeds=0, sweep=0)(one_order)),
        simulated(shop.app, seeds=0, sweep=0)(schedule("bank.charge.doubled#0")(one_order)),
    ):
        with pytest.raises(SimulationFailed, match="Found by a schedule that is kept"):
            test()
    vars(one_order).pop("perdure_schedules", None)
    with pytest.raises(ValueError, match="not 'nonsense'"):
        schedule("nonsense")
    with pytest.raises(ValueError, match="an empty one is the calm world"):
        schedule("")


def test_a_kept_schedule_that_is_not_met_any_more_is_told() -> None:
    # Given a schedule with a fake that nobody has, beside one that is met,
    kept = [{("kill.unheard", 0): 1, ("kill.bnk.charge", 3): 1}]
    told: list[str] = []
    plan = SimulationPlan(story=two_waits, apps=[shop.app], schedules=kept, seeds=0, sweep=0)
    run_plan(plan, {}, SimulationSession(tell=told.append))
    # then the test is green, and says that this choice tries nothing.
    assert told[0].startswith("1 kept (not met any more: kill.bnk.charge#3); 0 seeds; ")


def test_faults_that_are_off_break_nothing() -> None:
    simulated(shop.app, seeds=5, faults=Faults.none())(one_order)()


def test_a_failure_is_kept_and_goes_first_and_goes_away_when_it_is_mended(tmp_path: Path) -> None:
    told: list[str] = []
    session = SimulationSession(node="t.py::test_x", root=tmp_path, tell=told.append)
    file = failures_file(tmp_path, "t.py::test_x")
    broken = SimulationPlan(story=one_order, apps=[shop.app])
    # Given a failure,
    with pytest.raises(SimulationFailed):
        run_plan(broken, {}, session)
    assert read_schedules(file).schedules == [{("kill.bank.charge", 0): 1}]
    # when the test is run again, it goes first;
    with pytest.raises(SimulationFailed, match="Found by a schedule that is kept"):
        run_plan(broken, {}, session)
    # and is gone when the test is green.
    run_plan(SimulationPlan(story=two_waits, apps=[shop.app], seeds=2, sweep=0), {}, session)
    assert not file.exists()
    assert told[-1].startswith("1 kept (not met any more: kill.bank.charge#0); 2 seeds; ")


def test_one_seed_and_one_schedule_are_told(tmp_path: Path) -> None:
    told: list[str] = []
    plan = SimulationPlan(story=two_waits, apps=[shop.app])
    run_plan(plan, {}, SimulationSession(seed=3, tell=told.append))
    assert told[0].startswith("seed 3:\n")
    write_schedules(tmp_path / "s.json", "x", [{("kill.unheard", 0): 1, ("gone.stream", 4): 1}], "")
    run_plan(plan, {}, SimulationSession(schedule=tmp_path / "s.json", trace=True, tell=told.append))
    assert len(told[1].splitlines()) > 50  # each step
    assert "killed: a commit is on the disk, and no caller knows of it" in told[2]
    assert told[2].endswith("not met any more: gone.stream#4")


def test_what_never_happens_though_it_must_sometimes_is_a_failure() -> None:
    @simulated(shop.app, seeds=3, sweep=0)
    async def story(world: World) -> None:
        world.sometimes("pigs fly", happens=False)
        world.sometimes("any")

    with pytest.raises(SimulationFailed, match="'pigs fly' never happened in 5 worlds"):
        story()


def test_a_story_is_run_at_once_inside_another_test() -> None:
    tried = simulated.run(shop.app, two_waits, seeds=3)
    assert tried.seeds == 3
    assert tried.sweep is not None
    with pytest.raises(SimulationFailed, match="charged once"):
        simulated.run(shop.app, one_order)


async def no_world() -> None: ...


def a_plain_test() -> None: ...


MISUSES: dict[str, Callable[[], object]] = {
    "a world has one host as yet": lambda: simulated(shop.app, hosts=3)(one_order),
    "give simulated an app, or versions": lambda: simulated()(one_order),
    "is no story: simulated takes an `async def`": lambda: simulated(shop.app)(print),  # type: ignore[arg-type]
    "no_world is no story: its first parameter is the world": lambda: simulated(shop.app)(no_world),
    r"write @simulated\(app\) above one_order": lambda: simulated(one_order),  # type: ignore[arg-type]
    "versions are several apps": lambda: simulated(versions=shop.app)(one_order),  # type: ignore[arg-type]
    "takes one or more perdure.App": lambda: simulated(versions=["v1", shop.app])(one_order),  # type: ignore[list-item]
    'deploy is "forward" or "back and forth"': lambda: simulated(shop.app, deploy="back")(one_order),  # type: ignore[arg-type]
    "seeds is a builtins.int, not 'many'": lambda: simulated(shop.app, seeds="many")(one_order),  # type: ignore[arg-type]
    "seeds is how many worlds": lambda: simulated(shop.app, seeds=-1)(one_order),
    "sweep is 0, 1 or 2": lambda: simulated(shop.app, sweep=3)(one_order),
    "faults is a perdure.*Faults, not 'kills'": lambda: simulated(shop.app, faults="kills")(one_order),  # type: ignore[arg-type]
    "settings is a perdure.*Settings, not {}": lambda: simulated(shop.app, settings={})(one_order),  # type: ignore[arg-type]
    "within is a datetime.timedelta, not 30": lambda: simulated(shop.app, within=30)(one_order),  # type: ignore[arg-type]
    "write @schedule": lambda: schedule(simulated(shop.app)(one_order)),  # type: ignore[arg-type]
    "keeps a schedule of a simulated test": lambda: schedule("kill.unheard#0")(a_plain_test),
}


@pytest.mark.parametrize("said", MISUSES)
def test_misuse_is_refused_where_it_is_written(said: str) -> None:
    with pytest.raises(SimulationMisuse, match=said):
        MISUSES[said]()


def test_a_simulation_inside_an_event_loop_is_refused() -> None:
    async def inside() -> None:
        simulated(shop.app)(two_waits)()

    with pytest.raises(SimulationMisuse, match="event loop of its own"):
        anyio.run(inside)


def version(*steps: str, patched: bool = False) -> App:
    """The app of a shop, whose orders take these steps."""
    app = App("shop")

    @app.activity
    async def check_fraud(ctx: ActivityContext, order: str) -> None: ...

    @app.activity
    async def reserve(ctx: ActivityContext, order: str) -> None: ...

    @app.workflow
    async def buy(ctx: WorkflowContext, order: str) -> None:
        for step in steps:
            if step != "check_fraud" or not patched or ctx.is_patched("fraud"):
                await ctx.call_activity(step, input=order)
        await ctx.create_timer(timedelta(hours=1))

    return app


OLD, UNGUARDED, GUARDED = (
    version("reserve"),
    version("check_fraud", "reserve"),
    version("check_fraud", "reserve", patched=True),
)


async def orders(world: World) -> None:
    for n in range(world.pick(1, 4)):
        await world.client.start("buy", input=f"order-{n}", instance_id=f"order-{n}", if_exists="return")
        await world.sleep(world.pick(0, 3, name="apart") * 60)
    await world.settle()


def test_a_deploy_of_code_that_does_not_fit_is_found() -> None:
    with pytest.raises(SimulationFailed) as failed:
        simulated(versions=[OLD, UNGUARDED])(orders)()
    assert "order-0 is stalled: " in str(failed.value)
    assert "recorded activity 'reserve', now the code asks activity 'check_fraud'" in str(failed.value)


def test_a_deploy_behind_a_patch_is_green_forward_and_not_on_the_way_back() -> None:
    simulated(versions=[OLD, GUARDED], seeds=20, sweep=1)(orders)()
    with pytest.raises(SimulationFailed) as failed:
        simulated(versions=[OLD, GUARDED], deploy="back and forth", sweep=0)(orders)()
    assert "recorded patches ['fraud'], now the code asks activity 'reserve'" in str(failed.value)
    assert "What has taken a patch needs code that has it." in str(failed.value)


def test_a_world_that_never_ends_is_told_with_its_seed_and_is_not_run_again() -> None:
    app, worlds = App("endless"), 0

    @app.activity
    async def spin(ctx: ActivityContext, given: None) -> None:
        while True:
            pass

    @app.workflow
    async def begin(ctx: WorkflowContext) -> None:
        await ctx.call_activity(spin)

    async def story(world: World) -> None:
        nonlocal worlds
        worlds += 1
        await world.client.start(begin, instance_id="i")
        await world.settle()

    plan = SimulationPlan(story=story, apps=[app], cpu_s=0.1, seeds=1, faults=Faults.none())
    with pytest.raises(SimulationFailed, match=r"the world has taken 0\.1 s of the processor's time") as failed:
        run_plan(replace(plan, sweep=0), {}, SimulationSession())
    text = str(failed.value)
    assert "It stands in " in text
    assert "spin (test_simulated.py:" in text
    assert "client   starts i" in text
    assert "Confirmed: it was not run again" in text
    assert worlds == 2  # the calm one, and once more by its schedule
