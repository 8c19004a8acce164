"""A plan is tried until it fails, or until all of it was tried; then it is said how much that was."""

import random
from itertools import count
from types import SimpleNamespace

import pytest

from perdure import ActivityContext, App, WorkflowContext
from perdure.testing import World
from perdure.testing.simulation.choices import read_schedule
from perdure.testing.simulation.search.attempt import NotRepeatable
from perdure.testing.stories.plan import SimulationPlan
from perdure.testing.stories.telling.difference import difference
from perdure.testing.stories.trial import trying
from perdure.testing.stories.trial.running import WorldRunner
from perdure.testing.stories.trial.session import SimulationSession
from perdure.testing.stories.trial.trying import Finding, Trial, is_swept

from ..shop import Bank, Shop


def trial_of(
    shop: Shop, *, key: bool, session: SimulationSession | None = None, kept: str | None = None, **plan: object
) -> Trial:
    async def story(world: World) -> None:
        bank = Bank()
        shop.bank = world.outside(bank)
        if not key:
            world.always(lambda: len(bank.charges) <= 1, "one charge")
        await world.client.run(shop.buy, input="o", instance_id="o", if_exists="return")

    runner = WorldRunner(SimulationPlan(story=story, apps=[shop.app], **plan), {})  # type: ignore[arg-type]
    return Trial(runner, session or SimulationSession(), [read_schedule(kept)] if kept is not None else [])


def found(trial: Trial) -> Finding:
    finding = trial.run()
    assert finding is not None
    return finding


def test_a_sweep_finds_what_a_single_fault_breaks_and_shows_the_plainest() -> None:
    finding = found(trial_of(Shop(), key=False))
    assert finding.failure.schedule == {("kill.bank.charge", 0): 1}
    assert finding.how.startswith("by the sweep: ")
    assert {("bank.charge.lost", 0): 2} in finding.others


def test_a_seed_finds_it_too_and_its_schedule_is_made_small() -> None:
    finding = found(trial_of(Shop(), key=False, sweep=0))
    assert finding.how.startswith("by seed ")
    assert len(finding.failure.schedule) <= 3
    assert finding.before is not None
    assert finding.before >= len(finding.failure.schedule)


def test_what_is_green_says_what_was_tried() -> None:
    trial = trial_of(Shop(), key=True, seeds=20)
    assert trial.run() is None
    tried = trial.tried
    assert tried.sweep is not None
    assert tried.sweep.complete
    assert tried.sweep.places > 10
    assert tried.sweep.pairs > 100
    assert tried.seeds == 20
    assert tried.kills > 20
    assert tried.lost > 20
    assert tried.replayed > 100
    assert str(tried).startswith(f"{tried.sweep.places} places, {tried.sweep.pairs} pairs, complete; 20 seeds; ")


def test_a_schedule_that_is_kept_goes_first() -> None:
    trial = trial_of(Shop(), key=False, kept="kill.bank.charge#0")
    finding = found(trial)
    assert finding.how == "by a schedule that is kept"
    assert trial.tried.worlds == 2


def test_a_calm_world_that_fails_is_told_so() -> None:
    shop = Shop()

    async def story(world: World) -> None:
        raise AssertionError("never")

    for sweep in (0, 1):
        trial = Trial(
            WorldRunner(SimulationPlan(story=story, apps=[shop.app], sweep=sweep), {}), SimulationSession(), []
        )
        finding = found(trial)
        assert (finding.failure.schedule, finding.how) == ({}, "in the calm world, without any fault")


def test_how_much_is_tried_is_up_to_the_session() -> None:
    trial = trial_of(Shop(), key=True, sweep=0, session=SimulationSession(seeds=7))
    assert trial.run() is None
    assert trial.tried.seeds == 7


def test_seeds_go_on_for_so_many_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a clock that has gone on by a second at each look,
    seconds = count()
    monkeypatch.setattr(trying, "time", SimpleNamespace(perf_counter=lambda: float(next(seconds))))
    # then in a tenth of a minute there is time for five more than the test's own one.
    trial = trial_of(Shop(), key=True, sweep=0, seeds=1, session=SimulationSession(minutes=0.1))
    assert trial.run() is None
    assert trial.tried.seeds == 6


def test_several_processes_share_the_seeds() -> None:
    trial = trial_of(Shop(), key=True, sweep=0, session=SimulationSession(seeds=30, jobs=2))
    assert trial.run() is None
    assert trial.tried.seeds == 30
    finding = found(trial_of(Shop(), key=False, sweep=0, session=SimulationSession(jobs=2)))
    assert finding.how.startswith("by seed ")


def test_a_world_that_does_not_do_the_same_again_is_the_failure() -> None:
    app, state = App("leaky"), random.Random(1)

    @app.activity
    async def act(ctx: ActivityContext, n: int) -> None: ...

    @app.workflow
    async def w(ctx: WorkflowContext) -> None:
        for n in range(4):
            await ctx.call_activity(act, input=n)

    async def story(world: World) -> None:
        # What an earlier world has left behind.
        await world.sleep(state.random())
        await world.client.run(w, instance_id="o")

    runner = WorldRunner(SimulationPlan(story=story, apps=[app], sweep=0, seeds=1), {})
    with pytest.raises(NotRepeatable):
        Trial(runner, SimulationSession(), []).run()
    said = difference(runner, {})
    assert said is not None
    assert said.startswith("step ")


@pytest.mark.parametrize("stream", ["kill.before", "bank.charge.lost", "request.again", "deploy.commit", "store.fail"])
def test_places_are_swept(stream: str) -> None:
    assert is_swept(stream)


@pytest.mark.parametrize("stream", ["kill.between", "bank.charge.slow", "store.slow", "host.pause", "order.whether"])
def test_moments_and_what_is_slow_are_left_to_seeds(stream: str) -> None:
    assert not is_swept(stream)
