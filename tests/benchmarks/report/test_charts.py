"""Charts: the choice of figures and series, before anything is drawn."""

from typing import Any

import pytest

from perdure.benchmarks.report.charts import Chart, charts, percentile_curve
from perdure.benchmarks.report.results import Range, Result, cases_of
from perdure.benchmarks.report.vega import Spec

from ...support.benchmarks.results import measured, results


def drawn(*found: Result) -> dict[str, Chart]:
    return {chart.name: chart for chart in charts(cases_of([results(*found)]))}


def rows(panel: Spec) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = panel["data"]["values"]
    return found


def bars(panel: Spec) -> list[tuple[str, float]]:
    return [(row["way"], row["value"]) for row in rows(panel)]


def lines(panel: Spec) -> dict[str, list[tuple[float, float, float, float]]]:
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    for row in rows(panel):
        found.setdefault(row["line"], []).append((row["x"], row["y"], row["low"], row["high"]))
    return found


def test_what_was_not_measured_makes_no_chart() -> None:
    assert drawn(measured()) == {}


def test_throughput_is_a_bar_for_each_driver_with_the_range_of_its_runs() -> None:
    found = drawn(
        *(measured(units_per_s=100.0), measured(units_per_s=300.0), measured(driver="http", units_per_s=7.0)),
        *(measured(processes=2, units_per_s=9.0), measured("S4", reminders_per_s=9.0)),
    )["throughput"]
    steps, timers = found.panels
    assert (steps["title"], timers["title"]) == ("W1 chain: steps a second", "S4 timers: timers a second")
    assert bars(steps) == [("process", 200.0), ("HTTP", 7.0), ("process x2", 9.0)]
    assert (rows(steps)[0]["low"], rows(steps)[0]["high"], rows(steps)[0]["text"]) == (100.0, 300.0, "200")
    assert len({row["color"] for row in rows(steps)}) == 3
    assert bars(timers) == [("process", 9.0)]


@pytest.mark.parametrize(("numbers", "shown"), [((50, 500), 50), ((500,), 500)])
def test_bars_are_of_the_workloads_own_number_in_flight(numbers: tuple[int, ...], shown: int) -> None:
    found = drawn(*(measured(in_flight=number, units_per_s=float(number)) for number in numbers))
    assert bars(found["throughput"].panels[0]) == [("process", float(shown))]


def test_several_numbers_in_flight_make_a_curve_and_one_does_not() -> None:
    several = (measured(in_flight=1, units_per_s=value, p50_ms=1.0, p99_ms=2.0) for value in (10.0, 20.0, 60.0))
    last = measured(in_flight=500, units_per_s=90.0, p50_ms=5.0, p99_ms=9.0)
    rate, latency = drawn(*several, last)["concurrency-W1"].panels
    assert lines(rate) == {"process": [(1, 20.0, 10.0, 60.0), (500, 90.0, 90.0, 90.0)]}
    assert lines(latency) == {
        "process p50": [(1, 1.0, 1.0, 1.0), (500, 5.0, 5.0, 5.0)],
        "process p99": [(1, 2.0, 2.0, 2.0), (500, 9.0, 9.0, 9.0)],
    }
    assert {row["line"]: row["dashed"] for row in rows(latency)} == {"process p50": False, "process p99": True}
    assert "concurrency-W1" not in drawn(last, measured(driver="http", units_per_s=1.0))


def test_runs_of_another_extent_are_another_line_with_another_name() -> None:
    found = drawn(*(measured(in_flight=number, units_per_s=1.0, seconds=s) for number in (1, 500) for s in (4.0, 1.0)))
    assert set(lines(found["concurrency-W1"].panels[0])) == {"process, 4 s", "process, 1 s"}


def test_durabilities_and_machines_are_told_apart_when_there_are_two() -> None:
    found = drawn(measured(units_per_s=1.0), measured(units_per_s=1.0, durability="relaxed"))
    assert [way for way, _ in bars(found["throughput"].panels[0])] == ["process, full", "process, relaxed"]


def test_runs_at_rates_are_drawn_against_the_rate_and_not_among_the_closed_loops() -> None:
    found = drawn(*(measured(rate=rate, units_per_s=1.0, p50_ms=rate, instances_per_s=rate) for rate in (9.0, 4.0)))
    assert "throughput" not in found
    latency, ended = found["rate-W1"].panels
    assert lines(latency) == {"process p50": [(4.0, 4.0, 4.0, 4.0), (9.0, 9.0, 9.0, 9.0)]}
    assert "data" in ended["layer"][0], "the line on which what was asked for lies"


def test_a_driver_has_the_same_color_in_every_chart() -> None:
    figures = {"units_per_s": 1.0, "cpu_ms_per_unit": 1.0}
    found = drawn(
        *(measured(driver=driver, latencies_us=range(1, 11), figures=figures) for driver in ("process", "http"))
    )
    colors = {name: {bar["way"]: bar["color"] for bar in rows(found[name].panels[0])} for name in ("throughput", "cpu")}
    assert colors["throughput"] == colors["cpu"]
    assert {row["line"]: row["color"] for row in rows(found["distribution"].panels[0])} == {"process": 0, "HTTP": 1}


def test_a_percentile_curve_holds_values_that_were_seen() -> None:
    ordered = list(range(1_000, 1_001_000, 1_000))
    curve = percentile_curve(ordered)
    assert {round(at.median * 1000) for _, at in curve} <= set(ordered)
    assert curve[0] == (0.0, Range(10.0, 10.0, 10.0, 1))
    # It ends at p99.9: of a thousand values, none is beyond.
    assert curve[-1] == (pytest.approx(3.0), Range(999.0, 999.0, 999.0, 1))
    assert [at.median for _, at in curve] == sorted(at.median for _, at in curve)


def test_a_distribution_is_of_all_runs_together_and_not_of_a_few_latencies() -> None:
    assert "distribution" not in drawn(measured(latencies_us=range(9)))
    (panel,) = drawn(measured(latencies_us=[1_000] * 5), measured(latencies_us=[9_000] * 5))["distribution"].panels
    assert {row["y"] for row in rows(panel)} == {1.0, 9.0}
    (sleep,) = drawn(measured("W5", late_p50_ms=1.0, latencies_us=range(1, 11)))["distribution"].panels
    assert sleep["title"] == "W5 sleep: lateness, ms"
    (rate,) = drawn(measured(rate=9.0, latencies_us=range(1, 11)))["rate-distribution-W1"].panels
    assert set(lines(rate)) == {"9 a second"}


def test_figures_that_name_a_size_are_drawn_over_it() -> None:
    figures = {"at_10_p50_ms": 1.0, "at_1000_p50_ms": 2.0, "cold_1000_events_per_s": 5.0, "late_p50_ms": 3.0}
    latency, cold = drawn(measured("W3", events=1_000.0, figures=figures))["growth-W3"].panels
    assert lines(latency) == {"p50": [(10.0, 1.0, 1.0, 1.0), (1_000.0, 2.0, 2.0, 2.0)]}
    assert lines(cold) == {"cold": [(1_000.0, 5.0, 5.0, 5.0)]}
    assert cold["title"] == "events a second"


@pytest.mark.parametrize(("last_ms", "scale"), [(2.0, "linear"), (200.0, "log")])
def test_a_figure_that_spans_decades_is_drawn_on_a_logarithmic_axis(last_ms: float, scale: str) -> None:
    (panel,) = drawn(measured("W3", at_10_p50_ms=1.0, at_99_p50_ms=last_ms))["growth-W3"].panels
    assert panel["encoding"]["y"]["scale"]["type"] == scale


def test_what_a_sleeper_costs_is_drawn_over_their_number_if_there_are_several() -> None:
    def fleet(instances: int) -> Result:
        return measured("W5", kib_per_sleeper=0.5, seconds=instances / 1_000, figures={"instances": float(instances)})

    assert "sleepers-W5" not in drawn(fleet(1_000))
    (panel,) = drawn(fleet(9_000), fleet(1_000))["sleepers-W5"].panels
    assert [x for x, *_ in lines(panel)["process"]] == [1_000.0, 9_000.0]


def test_what_was_sampled_is_drawn_over_time() -> None:
    series = {"at_s": [1.0, 2.0, 3.0], "units_per_s": [5.0, 50.0, 6.0], "rss_mib": [1.0, 1.0, 1.0]}
    rate, rss = drawn(measured(series=series))["series-W1"].panels
    assert (rate["title"], rss["title"]) == ("a second", "RSS, MiB")
    # A running median: a single outlier does not move the line.
    assert lines(rate)[""] == [(1.0, 27.5, 5.0, 50.0), (2.0, 6.0, 5.0, 50.0), (3.0, 28.0, 6.0, 50.0)]


def test_each_chart_has_a_name_of_its_own() -> None:
    found = (measured("W3", at_10_p50_ms=1.0, seconds=seconds) for seconds in (4.0, 9.0))
    assert set(drawn(*found)) == {"growth-W3", "growth-W3-2"}
