"""Side by side: the pairs of runs, their ratios, and the marks for these."""

from typing import Any

import pytest

from perdure.benchmarks.report.ratios import Ratio, ratios_of
from perdure.benchmarks.report.results import Result

from ...support.benchmarks.results import measured, results

DATABASE = "postgresql://h/d"


def reached(ratio: Ratio) -> bool:
    return ratio.mark is not None and ratio.mark.reached(ratio.range.median)


def rates(**of: float) -> list[Result]:
    """Runs of W1 by some drivers, with their rates."""
    return [measured("W1", driver.replace("_", "-"), units_per_s=rate) for driver, rate in of.items()]


def test_each_run_is_compared_with_the_one_next_to_it_in_its_own_document() -> None:
    # Given rounds, some of them on a machine at half its speed,
    rounds = [rates(process=9_000, restate=1_000), rates(process=4_400, restate=400)]
    elsewhere = results(*rates(process=1_000, restate=100))
    # then the ratios are those within the rounds, and not those of medians.
    (one,) = ratios_of([results(*rounds[0], *rounds[1]), elsewhere])
    assert (one.what, one.values) == ("times as fast", [9.0, 11.0, 10.0])
    assert one.range.spread == pytest.approx(0.2)


def test_each_way_to_reach_perdure_is_compared_with_each_peer() -> None:
    found = ratios_of([results(*rates(process=900, http=600, dbos_sqlite=100, restate=300))])
    assert {(one.ours.run.driver, one.theirs.run.driver): one.range.median for one in found} == {
        ("process", "dbos-sqlite"): 9.0,
        ("http", "dbos-sqlite"): 6.0,
        ("process", "restate"): 3.0,
        ("http", "restate"): 2.0,
    }


@pytest.mark.parametrize(
    "found",
    [
        rates(restate=300),
        rates(process=300),
        [*rates(process=300), measured("W2", "restate", units_per_s=100.0)],
        [*rates(process=300), measured("W1", "restate", rate=5.0, units_per_s=100.0)],
        [measured(processes=2, units_per_s=1.0), *rates(restate=1)],
        [measured(p50_ms=1.0), measured(driver="restate", p50_ms=1.0)],
    ],
)
def test_a_pair_that_is_missing_is_not_made_up(found: list[Result]) -> None:
    assert ratios_of([results(*found)]) == []


def test_a_store_on_a_server_is_compared_with_sqlite_and_with_the_peer_on_the_same_server() -> None:
    ours = measured("W1", "postgresql", units_per_s=5_200.0, database=DATABASE)
    theirs = measured("W1", "dbos-postgres", units_per_s=200.0, database=DATABASE)
    found = ratios_of([results(*rates(process=10_000), ours, theirs)])
    assert {(one.ours.run.driver, one.theirs.run.driver): one.range.median for one in found} == {
        ("process", "dbos-postgres"): 50.0,
        ("postgresql", "dbos-postgres"): 26.0,
        ("postgresql", "process"): 0.52,
    }


def hosts(number: int, engine_ms: float, **server: Any) -> Result:
    options: dict[str, Any] = {"processes": number, "instances": 1_500, "database": DATABASE}
    return measured("W1", "postgresql", cpu_ms_per_unit=engine_ms, **options, **server)


def test_what_a_step_takes_on_several_hosts_is_compared_with_one_host_round_by_round() -> None:
    # Given three rounds of one host and of four, in which a step takes more from round to round,
    rounds = [((0.06, 0.02), (0.06, 0.024)), ((0.12, 0.04), (0.15, 0.042)), ((0.3, 0.1), (0.3, 0.14))]
    found = [
        hosts(number, engine, server_cpu_ms_per_unit=server)
        for pair in rounds
        for number, (engine, server) in zip((1, 4), pair, strict=True)
    ]
    # then the figures are those of the rounds, and of hosts and server together.
    (one,) = ratios_of([results(*found)])
    assert (one.what, one.range[:3]) == ("of the CPU of one host", pytest.approx((1.1, 1.05, 1.2)))
    assert (str(one.mark), reached(one)) == ("at most 1.2", True)
    # Two hosts have no mark, and a server that cannot be measured has no figures.
    (two,) = ratios_of([results(hosts(1, 0.1), hosts(2, 0.2))])
    assert (two.range.median, two.mark) == (2.0, None)


def test_the_sdk_is_compared_with_the_stub_and_several_processes_with_one() -> None:
    found = ratios_of([results(*rates(stub=500, sdk=470))])
    assert [(one.what, one.range.median, str(one.mark)) for one in found] == [("of its rate", 0.94, "at least 0.9")]
    (several,) = ratios_of([results(*rates(sdk=200), measured("W1", "sdk", processes=2, units_per_s=300.0))])
    assert (several.what, several.range.median) == ("times the steps of one", 1.5)


@pytest.mark.parametrize(("last_ms", "times", "kept"), [(3.5, 1.0, True), (5.5, 3.0, False)])
def test_what_the_stub_takes_of_a_long_history_too_is_not_the_engines(last_ms: float, times: float, kept: bool) -> None:
    stub = measured("history", "stub", host_first_ms=1.0, host_last_ms=2.5)
    ours = measured("history", "sdk", host_first_ms=2.0, host_last_ms=last_ms)
    (one,) = ratios_of([results(stub, ours)])
    assert (one.range.median, reached(one)) == (times, kept)


@pytest.mark.parametrize(
    ("ours", "theirs", "options", "marks"),
    [
        ("process", "restate", {}, ["at least 15"]),
        ("process", "restate", {"in_flight": 500}, []),
        ("process", "restate", {"seconds": 0.3}, []),
        ("process", "restate", {"durability": "relaxed"}, []),
        # Runs of Perdure alone may have a number of instances in place of a time.
        ("process", "restate", {"instances": 1_500}, []),
        ("postgresql", "process", {"instances": 1_500}, ["at least 0.6"]),
        ("postgresql", "process", {"instances": 1_500, "always_replay": True}, []),
    ],
)
def test_marks_are_of_the_usual_load(ours: str, theirs: str, options: dict[str, Any], marks: list[str]) -> None:
    pair = [measured("W1", driver, units_per_s=rate, **options) for driver, rate in ((ours, 16.0), (theirs, 1))]
    assert [str(one.mark) for one in ratios_of([results(*pair)]) if one.mark is not None] == marks
