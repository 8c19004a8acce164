"""Before and after: what counts as a difference, and which way it is."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from perdure.benchmarks.report import compare
from perdure.benchmarks.report.results import Results

from ...support.benchmarks.results import MACHINE, measured, results


def runs(figure: str, *values: float) -> Results:
    return results(*(measured(figures={figure: value}) for value in values))


def only(figure: str, before: tuple[float, ...], after: tuple[float, ...]) -> compare.Difference:
    (found,) = compare.compared(runs(figure, *before), runs(figure, *after))
    return found


def test_a_difference_within_the_spread_is_noise_whatever_its_size() -> None:
    assert only("units_per_s", (100, 900, 110), (120, 800, 790)).verdict == compare.NOISE


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        ("units_per_s", compare.BETTER),
        ("p99_ms", compare.WORSE),
        ("cpu_ms_per_unit", compare.WORSE),
        ("written_bytes_per_s", compare.WORSE),
        ("steps_lost", compare.WORSE),
    ],
)
def test_more_is_better_or_worse_depending_on_the_figure(figure: str, verdict: str) -> None:
    assert only(figure, (10, 11, 12), (13, 14, 15)).verdict == verdict
    other = compare.WORSE if verdict == compare.BETTER else compare.BETTER
    assert only(figure, (13, 14, 15), (10, 11, 12)).verdict == other


def test_of_single_runs_nothing_is_said() -> None:
    found = only("units_per_s", (100,), (200, 210))
    assert (found.verdict, found.ratio) == (compare.UNKNOWN, 2.05)
    assert "nothing can be said" in compare.summary([found])


def test_what_says_only_what_was_done_is_not_compared() -> None:
    assert compare.compared(runs("elapsed_s", 1, 2), runs("elapsed_s", 3, 4)) == []
    assert compare.higher_is_better("units_per_commit") is None


def test_throughput_is_compared_once() -> None:
    both = results(measured(units_per_s=5.0, instances_per_s=1.0))
    assert [found.figure for found in compare.compared(both, both)] == ["units_per_s"]


def test_only_like_is_compared_with_like() -> None:
    before = results(measured(units_per_s=1.0), measured(in_flight=500, units_per_s=2.0))
    after = results(measured(driver="http", units_per_s=3.0), measured(in_flight=500, units_per_s=4.0))
    (found,) = compare.compared(before, after)
    assert (found.key, found.before.median, found.after.median) == ("W1 process, 500 in flight", 2.0, 4.0)


def test_one_process_is_not_compared_with_several() -> None:
    one, two = results(measured(units_per_s=1.0)), results(measured(processes=2, units_per_s=2.0))
    assert compare.compared(one, two) == []
    (found,) = compare.compared(two, two)
    assert found.key == "W1 process x2, 50 in flight"


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [((100, 102), (80, 82), 19.8), ((100, 102), (120, 122), 0.0), ((100, 102), (80, 101), 0.0)],
)
def test_how_much_worse_it_got_is_zero_for_noise_and_for_better(
    before: tuple[float, ...], after: tuple[float, ...], percent: float
) -> None:
    assert only("units_per_s", before, after).worse_percent == pytest.approx(percent, abs=0.01)


def test_something_after_nothing_has_no_ratio_and_is_worse_without_limit() -> None:
    found = only("steps_lost", (0, 0), (1, 2))
    assert (found.ratio, found.worse_percent) == (None, float("inf"))


def test_the_chance_of_a_false_alarm_is_that_of_the_runs_orders() -> None:
    # Of the 20 ways to deal six runs to two documents, two part them wholly.
    assert compare.chance([only("units_per_s", (1, 2, 3), (4, 5, 6))]) == pytest.approx(0.1)
    assert compare.chance([only("units_per_s", (1,), (2,))]) is None


def test_what_is_not_the_same_is_said() -> None:
    before = results(measured(), measured("W2"))
    after = replace(
        results(measured(durability="relaxed")), machine=replace(MACHINE, python="CPython 3.14.0", flush_ms=1.0)
    )
    assert list(compare.warnings(before, after)) == [
        "python was CPython 3.11.7 and is CPython 3.14.0",
        "a flush took 0.25 ms and takes 1.00 ms",
        "W1 process, 50 in flight: durability was full and is relaxed",
        "W2 process, 10 in flight: only in one of them",
    ]
    assert not list(compare.warnings(before, before))


def test_the_table_fits_into_80_columns() -> None:
    out = io.StringIO()
    before = runs("written_bytes_per_s", 123_456_789, 223_456_789)
    Console(file=out, width=80).print(compare.differences_table(compare.compared(before, before)))
    assert "…" not in out.getvalue()
    assert "W1 process, 50 in flight" in out.getvalue()
    assert "noise" in out.getvalue()
