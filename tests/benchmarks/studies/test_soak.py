"""The soak: a long run in small, and the verdict on its slopes."""

from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from perdure.benchmarks.drivers.in_process import EngineSetup
from perdure.benchmarks.drivers.load import WrongResult
from perdure.benchmarks.drivers.measure import Usage
from perdure.benchmarks.studies import soak
from perdure.benchmarks.studies.soak import drift, figures_of, slope_of, t_quantile, worth
from perdure.benchmarks.workloads.table import BY_NAME
from perdure.benchmarks.workloads.workload import Extent

from ...support.benchmarks.results import Parts, performed

pytestmark = pytest.mark.anyio


async def test_a_soak_keeps_the_series_that_its_slopes_are_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "SAMPLE_EVERY_S", 0.02)
    outcome = await performed(tmp_path, "S10", seconds=0.4)
    assert {len(values) for values in outcome.series.values()} == {len(outcome.series["at_s"])}
    assert outcome.series.keys() == {"at_s", "units_per_s", "rss_mib"}
    assert sorted(outcome.series["at_s"]) == outcome.series["at_s"]
    assert outcome.figures["units_per_s"] > 0


def test_slopes_are_of_what_was_seen_when_caches_were_full() -> None:
    # Given a run that is slow and small in its first fifth, and then steady with some noise,
    series = {
        "at_s": [float(at) * 600 for at in range(50)],
        "units_per_s": [10.0] * 10 + [1_000.0, 1_002.0] * 20,
        "rss_mib": [1.0] * 10 + [50.0, 51.0] * 20,
    }
    nothing = Usage(cpu_s=0, rss_bytes=0)
    figures = figures_of(series, 5_000, 5, 50.0, nothing, Usage(cpu_s=25.0, rss_bytes=2**20))
    # then neither has drifted.
    assert figures["throughput_drift_percent_per_h"] == figures["rss_drift_percent_per_h"] == 0
    assert (figures["units_per_s"], figures["cpu_ms_per_unit"], figures["rss_mib"]) == (500, 1.0, 1.0)


async def test_a_wrong_result_ends_a_soak(tmp_path: Path) -> None:
    wrong = replace(BY_NAME["S10"], output=6)
    with pytest.raises(ExceptionGroup) as group:
        await soak.run_soak(EngineSetup(folder=tmp_path), wrong, Extent(seconds=60), Parts())
    assert group.group_contains(WrongResult)


def test_a_drift_is_in_percent_of_the_mean_an_hour() -> None:
    # Given 100 at the middle of an hour, and 10 more at its end than at its beginning,
    at_s = [60.0 * minute for minute in range(61)]
    values = [95 + 10 * at / 3_600 for at in at_s]
    figures = drift("rss", at_s, values)
    assert figures["rss_slope_percent_per_h"] == pytest.approx(10)
    # there is no noise, and so no doubt.
    assert figures["rss_drift_percent_per_h"] == pytest.approx(10)


def test_noise_without_a_trend_is_no_drift_in_a_long_run_and_nothing_in_a_short_one() -> None:
    # Given the same samples, an hour apart and a second apart,
    values = [100.0, 110.0, 95.0, 104.0, 99.0, 108.0, 93.0, 106.0, 97.0, 102.0, 101.0, 96.0]
    long = drift("throughput", [3_600.0 * at for at in range(len(values))], values)
    short = drift("throughput", [float(at) for at in range(len(values))], values)
    # then the interval around the slope holds no slope at all, in both,
    for figures in (long, short):
        assert figures["throughput_slope_error_percent_per_h"] > abs(figures["throughput_slope_percent_per_h"])
    # but only the long one is good for a verdict.
    assert long["throughput_drift_percent_per_h"] == 0
    assert "throughput_drift_percent_per_h" not in short


def test_the_interval_is_that_of_the_textbook() -> None:
    # Anscombe's first set. In every textbook: slope 0.5001, standard error 0.1179; t for 9 degrees is 2.262.
    x = [10.0, 8.0, 13.0, 9.0, 11.0, 14.0, 6.0, 4.0, 12.0, 7.0, 5.0]
    y = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68]
    slope = slope_of(x, y)
    assert slope.each == pytest.approx(0.5001, abs=1e-4)
    assert slope.mean == pytest.approx(7.5009, abs=1e-4)
    # In the order given its residuals alternate: each sample counts whole.
    assert slope.error == pytest.approx(2.262 * 0.1179, rel=2e-3)


@pytest.mark.parametrize(("free", "table"), [(3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042), (10_000, 1.960)])
def test_t_is_that_of_the_tables(free: float, table: float) -> None:
    assert t_quantile(free) == pytest.approx(table, rel=0.01)


def test_samples_that_resemble_their_neighbours_are_worth_less() -> None:
    assert worth([1.0, -1.0] * 50) == 100
    assert worth([1.0] * 50 + [-1.0] * 50) < 5
    assert worth([0.0] * 7) == 7


def test_the_same_noise_says_less_about_the_slope_where_neighbours_resemble_each_other() -> None:
    at = [float(position) for position in range(100)]
    alternating = slope_of(at, [100 + (-1) ** position for position in range(100)])
    in_waves = slope_of(at, [100 + (-1) ** (position // 10) for position in range(100)])
    assert in_waves.error > 2 * alternating.error


def test_a_few_samples_and_a_curve_have_no_slope() -> None:
    assert drift("rss", [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == {}
    # A curve's residuals are one wave: 31 samples are worth less than three, and two make a line without an error.
    times = [float(at) for at in range(31)]
    curve = [100 + (at - 15) ** 2 for at in times]
    assert (slope_of(times, curve).error, drift("rss", times, curve)) == (inf, {})
