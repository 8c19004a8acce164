"""Plots: what is drawn from which figures, before anything is drawn."""

import pytest

from perdure.benchmarks.report.cases import cases_of
from perdure.benchmarks.report.plot import Panel, Plot, Point, Scale
from perdure.benchmarks.report.plots import percentile_curve, plots, short
from perdure.benchmarks.report.results import Result

from ...support.benchmarks.cases import measured, with_figures, with_options
from ...support.benchmarks.results import on_processes, results


def drawn(*found: Result) -> dict[str, Plot]:
    return {plot.name: plot for plot in plots(cases_of([results(*found)]))}


def points(panel: Panel) -> dict[str, list[tuple[float, float, float, float]]]:
    return {line.label: [(at.x, at.y, at.low, at.high) for at in line.points] for line in panel.lines}


def test_what_was_not_measured_makes_no_plot() -> None:
    assert drawn(measured()) == {}


def test_throughput_is_a_bar_for_each_driver_with_the_range_of_its_runs() -> None:
    (panel,) = drawn(
        measured(units_per_s=100.0), measured(units_per_s=300.0), measured(driver="http", units_per_s=7.0)
    )["throughput"].panels
    assert panel.title == "W1 chain: steps a second"
    assert [(bar.label, bar.value.median, bar.value.low, bar.text) for bar in panel.bars] == [
        ("process", 200.0, 100.0, "200"),
        ("HTTP", 7.0, 7.0, "7"),
    ]


def test_what_is_all_due_at_once_has_a_bar_too() -> None:
    (steps, timers) = drawn(measured(units_per_s=1.0), measured("S4", in_flight=500, reminders_per_s=9.0))[
        "throughput"
    ].panels
    assert (steps.title, timers.title) == ("W1 chain: steps a second", "S4 timers: timers a second")
    assert [bar.value.median for bar in timers.bars] == [9.0]


def test_bars_are_of_the_workloads_own_number_in_flight() -> None:
    (panel,) = drawn(measured(units_per_s=1.0), measured(in_flight=500, units_per_s=2.0))["throughput"].panels
    assert [bar.value.median for bar in panel.bars] == [1.0]
    (panel,) = drawn(measured(in_flight=500, units_per_s=2.0))["throughput"].panels
    assert [bar.value.median for bar in panel.bars] == [2.0]


def test_several_numbers_in_flight_make_a_curve() -> None:
    plot = drawn(
        *(measured(in_flight=1, units_per_s=value, p50_ms=1.0, p99_ms=2.0) for value in (10.0, 20.0, 60.0)),
        measured(in_flight=500, units_per_s=90.0, p50_ms=5.0, p99_ms=9.0),
    )["concurrency-W1"]
    rate, latency = plot.panels
    assert points(rate) == {"process": [(1, 20.0, 10.0, 60.0), (500, 90.0, 90.0, 90.0)]}
    assert points(latency) == {
        "process p50": [(1, 1.0, 1.0, 1.0), (500, 5.0, 5.0, 5.0)],
        "process p99": [(1, 2.0, 2.0, 2.0), (500, 9.0, 9.0, 9.0)],
    }
    assert [line.dashed for line in latency.lines] == [False, True]


def test_runs_of_another_extent_are_another_line_with_another_name() -> None:
    plot = drawn(
        *(measured(in_flight=number, units_per_s=10.0, p50_ms=1.0, p99_ms=2.0) for number in (1, 500)),
        *(with_options(measured(in_flight=number, units_per_s=20.0), seconds=1.0) for number in (1, 500)),
    )["concurrency-W1"]
    assert points(plot.panels[0]) == {
        "process, 4 s": [(1, 10.0, 10.0, 10.0), (500, 10.0, 10.0, 10.0)],
        "process, 1 s": [(1, 20.0, 20.0, 20.0), (500, 20.0, 20.0, 20.0)],
    }


def test_of_a_few_latencies_no_distribution_is_drawn() -> None:
    assert "distribution" not in drawn(measured(latencies_us=range(9)))
    assert "distribution" in drawn(measured(latencies_us=range(1, 11)))


def test_one_number_in_flight_is_no_curve() -> None:
    assert "concurrency-W1" not in drawn(measured(units_per_s=1.0), measured(driver="http", units_per_s=1.0))


def test_runs_at_rates_are_drawn_against_the_rate_and_not_among_the_closed_loops() -> None:
    found = drawn(*(measured(rate=rate, units_per_s=1.0, p50_ms=rate, instances_per_s=rate) for rate in (9.0, 4.0)))
    assert "throughput" not in found
    latency, ended = found["rate-W1"].panels
    assert points(latency) == {"process p50": [(4.0, 4.0, 4.0, 4.0), (9.0, 9.0, 9.0, 9.0)]}
    assert ended.diagonal


def test_a_driver_has_the_same_color_in_every_plot() -> None:
    found = drawn(
        measured(units_per_s=1.0, cpu_ms_per_unit=1.0, latencies_us=[1, 2]),
        measured(driver="http", units_per_s=1.0, cpu_ms_per_unit=1.0, latencies_us=[1, 2]),
        measured("W6", "http", units_per_s=1.0),
    )
    panels = [panel for plot in found.values() for panel in plot.panels]
    colors = {(bar.label, bar.color) for panel in panels for bar in panel.bars}
    colors |= {(line.label, line.color) for panel in panels for line in panel.lines}
    assert len(colors) == 2, colors


def test_durabilities_are_told_apart_when_there_are_two() -> None:
    full = measured(units_per_s=1.0)
    relaxed = with_options(full, durability="relaxed")
    (panel,) = drawn(full, relaxed)["throughput"].panels
    assert [bar.label for bar in panel.bars] == ["process, full", "process, relaxed"]


def test_a_percentile_curve_holds_values_that_were_seen() -> None:
    ordered = list(range(1_000, 1_001_000, 1_000))
    curve = percentile_curve(ordered)
    assert {round(at.y * 1000) for at in curve} <= set(ordered)
    assert curve[0] == Point(0.0, 10.0, 10.0, 10.0)
    # It ends at p99.9: of a thousand values, none is beyond.
    assert curve[-1].x == pytest.approx(3.0)
    assert curve[-1].y == 999.0
    assert [at.y for at in curve] == sorted(at.y for at in curve)


def test_the_distribution_is_of_all_runs_together() -> None:
    (panel,) = drawn(measured(latencies_us=[1_000] * 5), measured(latencies_us=[9_000] * 5))["distribution"].panels
    assert panel.x_scale is Scale.NINES
    (line,) = panel.lines
    assert {at.y for at in line.points} == {1.0, 9.0}
    assert line.points[-1].x == pytest.approx(1), "of ten values, p90 is the last percentile"


def test_how_late_sleepers_wake_is_called_lateness() -> None:
    (panel,) = drawn(measured("W5", in_flight=200, late_p50_ms=1.0, latencies_us=range(1, 11)))["distribution"].panels
    assert panel.title == "W5 sleep: lateness, ms"


def test_figures_that_name_a_size_are_drawn_over_it() -> None:
    figures = {"at_10_p50_ms": 1.0, "at_1000_p50_ms": 2.0, "cold_1000_events_per_s": 5.0, "late_p50_ms": 3.0}
    latency, cold = drawn(with_figures(measured("W3"), {"events": 1_000.0} | figures))["growth-W3"].panels
    assert points(latency) == {"p50": [(10.0, 1.0, 1.0, 1.0), (1_000.0, 2.0, 2.0, 2.0)]}
    assert points(cold) == {"cold": [(1_000.0, 5.0, 5.0, 5.0)]}
    assert cold.title == "events a second"


def test_a_figure_that_spans_decades_is_drawn_on_a_logarithmic_axis() -> None:
    flat, steep = ({"at_10_p50_ms": 1.0, "at_99_p50_ms": value} for value in (2.0, 200.0))
    assert drawn(with_figures(measured("W3"), flat))["growth-W3"].panels[0].y_scale is Scale.LINEAR
    assert drawn(with_figures(measured("W3"), steep))["growth-W3"].panels[0].y_scale is Scale.LOG


def test_what_a_sleeper_costs_is_drawn_over_their_number_if_there_are_several() -> None:
    def fleet(instances: int) -> Result:
        return with_options(measured("W5", instances=float(instances), kib_per_sleeper=0.5), seconds=instances / 1_000)

    assert "sleepers-W5" not in drawn(fleet(1_000))
    (panel,) = drawn(fleet(9_000), fleet(1_000))["sleepers-W5"].panels
    assert [x for x, *_ in points(panel)["process"]] == [1_000.0, 9_000.0]


def test_what_was_sampled_is_drawn_over_time() -> None:
    series = {"at_s": [1.0, 2.0, 3.0], "units_per_s": [5.0, 50.0, 6.0], "rss_mib": [1.0, 1.0, 1.0]}
    rate, rss = drawn(measured(series=series))["series-W1"].panels
    assert (rate.title, rss.title) == ("a second", "RSS, MiB")
    # A running median: one sample that stands out does not carry the line away.
    assert points(rate)[""] == [(1.0, 27.5, 5.0, 50.0), (2.0, 6.0, 5.0, 50.0), (3.0, 28.0, 6.0, 50.0)]


def test_each_plot_has_a_name_of_its_own() -> None:
    found = measured("W3", at_10_p50_ms=1.0)
    assert set(drawn(found, with_options(found, seconds=9.0))) == {"growth-W3", "growth-W3-2"}


def test_numbers_are_short() -> None:
    assert [short(value) for value in (12_345.6, 123.4, 12.34, 0.0512)] == ["12 346", "123", "12.3", "0.0512"]


def test_several_processes_have_bars_and_colors_of_their_own() -> None:
    (panel,) = drawn(
        measured(units_per_s=1.0),
        on_processes(2, measured(units_per_s=2.0)),
        measured(driver="http", units_per_s=3.0),
    )["throughput"].panels
    assert [(bar.label, bar.value.median) for bar in panel.bars] == [
        ("process", 1.0),
        ("process x2", 2.0),
        ("HTTP", 3.0),
    ]
    assert len({bar.color for bar in panel.bars}) == 3
