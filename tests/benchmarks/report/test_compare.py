"""Before and after: the size that counts as a difference, and its direction."""

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


@pytest.mark.parametrize(
    ("figure", "before", "after", "verdict", "worse_percent"),
    [
        # Within the spread a difference of any size is noise.
        ("units_per_s", (100, 900, 110), (120, 800, 790), compare.NOISE, 0.0),
        ("units_per_s", (100, 102), (80, 101), compare.NOISE, 0.0),
        # More is better or worse, depending on the figure.
        ("units_per_s", (100, 102), (120, 122), compare.BETTER, 0.0),
        ("units_per_s", (100, 102), (80, 82), compare.WORSE, 19.8),
        ("p99_ms", (10, 11, 12), (13, 14, 15), compare.WORSE, 27.27),
        ("p99_ms", (13, 14, 15), (10, 11, 12), compare.BETTER, 0.0),
        ("cpu_ms_per_unit", (10, 10), (11, 11), compare.WORSE, 10.0),
        ("written_bytes_per_s", (10, 10), (11, 11), compare.WORSE, 10.0),
        # If the value before is 0 there is no ratio, and the change is infinitely worse.
        ("steps_lost", (0, 0), (1, 2), compare.WORSE, float("inf")),
        # Single runs have no verdict.
        ("units_per_s", (100,), (200, 210), compare.UNKNOWN, 0.0),
    ],
)
def test_a_difference_is_told_where_all_runs_of_one_lie_beyond_those_of_the_other(
    figure: str, before: tuple[float, ...], after: tuple[float, ...], verdict: str, worse_percent: float
) -> None:
    found = only(figure, before, after)
    assert (found.verdict, found.worse_percent) == (verdict, pytest.approx(worse_percent, abs=0.01))


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


def test_a_ratio_is_of_medians_and_there_is_none_after_nothing() -> None:
    assert only("units_per_s", (100,), (200, 210)).ratio == 2.05
    assert only("steps_lost", (0, 0), (1, 2)).ratio is None


def test_the_chance_of_a_false_alarm_is_that_of_the_runs_orders() -> None:
    # Of the 20 ways to deal six runs to two documents, two separate them completely.
    assert compare.chance([only("units_per_s", (1, 2, 3), (4, 5, 6))]) == pytest.approx(0.1)
    single = [only("units_per_s", (1,), (2,))]
    assert compare.chance(single) is None
    assert "nothing can be said" in compare.summary(single)


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
