"""In every world acknowledged changes are there, each step counts once, and all ends once the faults are over."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

from perdure.testing.simulation.choices import Choices, told

from .doors import DOORS
from .hosts.quiet import REST_S, SHORT_REST_S
from .kinds import KINDS, OF_HOSTS, scenario_of
from .mutants.hosts import LOSSES
from .scenario import Scenario


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


def run_worlds(
    seeds: Iterable[int], kind: str = "plain", rates: Mapping[str, float] | None = None, **named: Any
) -> Counter[str]:
    """Run worlds, and count what happened in them; `named` is for `scenario_of`."""
    sometimes: Counter[str] = Counter()
    for seed in seeds:
        with scenario_of(kind, Choices(seed, rates=rates), **named) as scenario:
            try:
                outcome = scenario.run()
            except BaseException as error:
                error.add_note(f"seed {seed}: {told(scenario.choices.taken)}\n{scenario.world.trace.story()}")
                raise
        sometimes += outcome.sometimes
        sometimes["instance"] += outcome.instances
    return sometimes


def test_worlds_with_faults_keep_every_promise() -> None:
    sometimes = run_worlds(range(20))
    # The events that must happen in some of them, or they would prove nothing.
    wanted = ("kill", "commit failed", "activity performed again", "child", "repeated request", "standing compared")
    assert min(sometimes[what] for what in wanted) > 5


def test_worlds_whose_date_is_set_keep_every_promise() -> None:
    assert run_worlds(range(5), "clock")["kill"] > 5


def test_worlds_whose_network_loses_requests_keep_every_promise() -> None:
    assert run_worlds(range(8), "lossy")["repeated request"] > 20


@pytest.mark.parametrize("kind", ["forward", "back"])
def test_worlds_whose_code_changes_keep_every_promise(kind: str) -> None:
    assert run_worlds(range(5), kind)["kill"] > 5


def test_worlds_on_the_real_file_keep_every_promise() -> None:
    sometimes = run_worlds(range(10), "sqlite")
    assert min(sometimes[what] for what in ("kill", "commit failed", "activity performed again")) > 2


def test_worlds_whose_file_rots_never_serve_what_is_damaged() -> None:
    assert run_worlds(range(10), "rotten")["told of damage"] > 5


@pytest.mark.parametrize(
    ("seeds", "instances"), [pytest.param(range(8), 12, marks=pytest.mark.slow), ((2, 4, 6, 7), 6)]
)
def test_worlds_on_a_postgres_server_keep_every_promise(seeds: Iterable[int], instances: int) -> None:
    sometimes = run_worlds(seeds, "postgres", instances_max=instances)
    assert min(sometimes[what] for what in ("kill", "commit failed", "activity performed again")) > 2


def test_worlds_with_workers_of_sdks_keep_every_promise() -> None:
    sometimes = run_worlds(range(8), "workers")
    assert min(sometimes[what] for what in ("kill", "worker died", "activity performed again")) > 5


def test_worlds_whose_callers_go_by_the_doors_keep_every_promise() -> None:
    sometimes = run_worlds(range(5), "doors")
    assert min(sometimes[f"door: {door}"] for door in DOORS) > 50


@pytest.mark.parametrize(
    ("seeds", "instances", "rest_s"),
    [pytest.param(range(4), 12, REST_S, marks=pytest.mark.slow), ((0, 1, 4), 6, SHORT_REST_S)],
)
def test_worlds_of_several_hosts_keep_every_promise(seeds: Iterable[int], instances: int, rest_s: float) -> None:
    sometimes = run_worlds(seeds, "hosts", instances_max=instances, rest_s=rest_s)
    assert min(sometimes[what] for what in ("kill", "a host was found dead", "repeated request", "move")) > 2


def test_worlds_whose_programs_keep_values_keep_every_promise() -> None:
    sometimes = run_worlds(range(12), "values")
    wanted = ("kill", "commit failed", "a save was refused", "a save without an answer was done", "a value expired")
    assert min(sometimes[what] for what in wanted) > 1


@pytest.mark.parametrize(
    ("seeds", "savers", "others", "rest_s"),
    [pytest.param(range(4), 4, 3, REST_S, marks=pytest.mark.slow), ((7, 11, 17), 3, 2, SHORT_REST_S)],
)
def test_values_on_several_hosts_keep_every_promise(
    seeds: Iterable[int], savers: int, others: int, rest_s: float
) -> None:
    sometimes = run_worlds(seeds, "shared", savers=savers, instances_max=others, rest_s=rest_s)
    assert min(sometimes[what] for what in ("kill", "save", "a save was refused", "a value expired", "move")) > 2


@pytest.mark.parametrize(
    ("seeds", "others", "rest_s"),
    [pytest.param(range(4), 6, REST_S, marks=pytest.mark.slow), ((8, 11, 15), 2, SHORT_REST_S)],
)
def test_a_poison_among_hosts_is_set_aside_and_nothing_else_is(
    seeds: Sequence[int], others: int, rest_s: float
) -> None:
    sometimes = run_worlds(seeds, "poison", instances_max=others, rest_s=rest_s)
    assert sometimes["a poison was set aside"] == len(seeds)
    assert sometimes["kill"] > 12


@pytest.mark.parametrize(
    ("seeds", "newer", "others", "rest_s"),
    [pytest.param(range(4), 4, 3, REST_S, marks=pytest.mark.slow), ((0, 3, 7), 2, 1, SHORT_REST_S)],
)
def test_where_newer_code_comes_to_one_host_after_the_other_all_that_needs_it_completes(
    seeds: Iterable[int], newer: int, others: int, rest_s: float
) -> None:
    sometimes = run_worlds(seeds, "rolling", newer=newer, instances_max=others, rest_s=rest_s)
    assert min(sometimes[what] for what in ("newer code among older", "kill", "move")) > 1


def test_two_apps_of_one_host_that_ask_each_other_keep_every_promise() -> None:
    sometimes = run_worlds(range(10), "apps")
    assert min(sometimes[what] for what in ("kill", "commit failed", "call of another app", "child")) > 20


@pytest.mark.parametrize(
    ("seeds", "instances", "savers", "rest_s"),
    [pytest.param(range(4), 3, 2, REST_S, marks=pytest.mark.slow), ((7, 15, 17), 2, 1, SHORT_REST_S)],
)
def test_hosts_of_which_each_has_one_of_two_apps_or_both_keep_every_promise(
    seeds: Iterable[int], instances: int, savers: int, rest_s: float
) -> None:
    sometimes = run_worlds(seeds, "guests", instances_max=instances, savers=savers, rest_s=rest_s)
    assert min(sometimes[what] for what in ("kill", "move", "call of another app", "child")) > 2


@pytest.mark.parametrize(
    ("seeds", "instances", "rest_s"),
    [pytest.param((3, 4), 12, REST_S, marks=pytest.mark.slow), ((7, 8), 6, SHORT_REST_S)],
)
def test_worlds_of_hosts_whose_server_loses_commits_go_on_from_what_the_copy_has(
    seeds: Iterable[int], instances: int, rest_s: float
) -> None:
    sometimes = run_worlds(seeds, "losing", LOSSES, instances_max=instances, rest_s=rest_s)
    assert min(sometimes[what] for what in ("commits were lost", "an acknowledged turn was lost, and told of")) > 1


def test_an_activity_that_a_stop_has_cut_off_is_performed_again_and_has_not_failed() -> None:
    # Given a stop whose grace is over, and an order in which the activity takes its step before the task above it,
    rates = {"deploy.now": 0.3, "activity.slow": 0.3}
    # then its cancellation is the stop's, and no failure of its own.
    run_worlds([5], "back", rates)


@pytest.mark.slow
def test_a_timer_is_read_behind_one_that_has_left_with_its_shard() -> None:
    # The window of reminders had lost its only one, and its loop slept although the store had more.
    with scenario_of("hosts", Choices(14), instances_max=30) as scenario:
        scenario.run()


def test_a_world_without_faults_has_none() -> None:
    outcome = Scenario(Choices()).run()
    assert (outcome.kills, outcome.failed_commits, outcome.choices.taken) == (0, 0, {})


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_hundreds_of_worlds_keep_every_promise(kind: str) -> None:
    # A world of several hosts takes ten times as long as another; nights have more of each.
    worlds = 100 if kind in OF_HOSTS else 500
    assert run_worlds(range(10_000, 10_000 + worlds), kind)["instance"] > worlds


def test_the_schedule_of_a_world_replays_it() -> None:
    # Given a world with kills,
    first = Scenario(Choices(24)).run()
    assert first.kills
    # when what was chosen in it is chosen again, without the seed,
    again = Scenario(Choices(schedule=first.choices.taken)).run()
    # then it is the same world.
    assert again.digest == first.digest
    assert not again.choices.unmet
