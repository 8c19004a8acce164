"""A world of a plan begins as if none had been before it, and the same choices give the same steps."""

from typing import Any

import pytest

from perdure import App, WorkflowContext
from perdure.testing import World
from perdure.testing.simulation.choices import Choices
from perdure.testing.stories.plan import SimulationPlan
from perdure.testing.stories.trial.running import WorldRunner

from ..shop import Bank, Shop, calm, succeed


def runner_of(shop: Shop) -> WorldRunner:
    async def story(world: World) -> None:
        shop.bank = world.outside(Bank())
        for n in range(world.pick(1, 3)):
            await world.client.start(shop.buy, input=f"o{n}", instance_id=f"o{n}", if_exists="return")
            await world.client.start(shop.inquire, input=f"o{n}", instance_id=f"i{n}", if_exists="return")
        await world.settle()

    return WorldRunner(SimulationPlan(story=story, apps=[shop.app]), {})


def test_a_seed_takes_the_same_steps_whatever_was_before() -> None:
    runner = runner_of(Shop())
    first = [runner.run(Choices(seed)) for seed in range(12)]
    again = [runner.run(Choices(seed)) for seed in reversed(range(12))][::-1]
    assert [(one.digest, one.story) for one in first] == [(one.digest, one.story) for one in again]
    assert len({one.digest for one in first}) == 12
    assert sum(one.facts.kills for one in first) > 0


def test_the_schedule_of_a_world_replays_it() -> None:
    runner = runner_of(Shop())
    first = next(each for seed in range(50) if (each := runner.run(Choices(seed))).facts.kills)
    again = runner.run(Choices(schedule=first.choices.taken))
    assert (again.digest, again.story, again.choices.unmet) == (first.digest, first.story, [])


def test_each_step_is_kept_where_it_is_asked_for() -> None:
    runner = runner_of(Shop())
    kept = runner.run(Choices(3), keep=True)
    assert len(kept.facts.steps) > 100
    assert runner.run(Choices(3)).facts.steps == ()
    assert runner.run(Choices(3)).digest == kept.digest


def test_the_error_of_a_story_is_the_worlds() -> None:
    async def story(world: World) -> None:
        raise KeyError("x")

    assert repr(calm(Shop().app, story).error) == "KeyError('x')"


def test_what_pytest_raises_to_fail_is_a_failure_and_to_skip_or_to_leave_is_not() -> None:
    async def failing(world: World) -> None:
        with pytest.raises(ValueError, match="x"):
            pass

    async def skipping(world: World) -> None:
        pytest.skip("not here")

    async def leaving(world: World) -> None:
        pytest.exit("enough")

    assert "DID NOT RAISE" in str(calm(Shop().app, failing).error)
    with pytest.raises(pytest.skip.Exception):
        calm(Shop().app, skipping)
    with pytest.raises(pytest.exit.Exception):
        calm(Shop().app, leaving)


def test_a_new_version_is_deployed_to_its_end_even_in_the_calm_world() -> None:
    old, new = App("a"), App("a")

    @old.workflow(name="version")
    async def old_version(ctx: WorkflowContext) -> str:
        return "old"

    @new.workflow(name="version")
    async def new_version(ctx: WorkflowContext) -> str:
        return "new"

    seen: list[Any] = []

    async def story(world: World) -> None:
        seen.append(await world.client.run("version", instance_id="a"))
        await world.settle()
        seen.append(await world.client.run("version", instance_id="b"))

    plan = SimulationPlan(story=story, apps=[old, new])
    succeed(WorldRunner(plan, {}).run(Choices()))
    assert seen == ["old", "new"]
    seen.clear()
    # At each commit it may be deployed, too.
    attempt = succeed(WorldRunner(plan, {}).run(Choices(schedule={("deploy.commit", 0): 1})))
    assert "is up with app 2" in attempt.story


def test_some_worlds_replay_every_turn() -> None:
    runner = runner_of(Shop())
    assert any(("world.always_replay", 0) in runner.run(Choices(seed)).choices.taken for seed in range(40))
