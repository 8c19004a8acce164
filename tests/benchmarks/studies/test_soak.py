"""The soak: a long run in small, and what is said of its slopes."""

from dataclasses import replace
from pathlib import Path

import pytest

from perdure.benchmarks.drivers.load import Extent, WrongResult
from perdure.benchmarks.drivers.measure import Usage
from perdure.benchmarks.drivers.process_driver import EngineSetup, process_driver
from perdure.benchmarks.studies.soak import Diary, drift, figures_of, soak
from perdure.benchmarks.workloads.table import BY_NAME

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Parts:
    def part(self, share: float, units: int) -> None:
        assert 0 <= share <= 1


async def test_a_soak_keeps_the_series_that_its_slopes_are_of(tmp_path: Path) -> None:
    async with process_driver(EngineSetup(folder=tmp_path)) as driver:
        outcome = await soak(driver, BY_NAME["S10"], Extent(seconds=0.4), Parts(), sample_every_s=0.02)
    assert {len(values) for values in outcome.series.values()} == {len(outcome.series["at_s"])}
    assert outcome.series.keys() == {"at_s", "units_per_s", "rss_mib"}
    assert sorted(outcome.series["at_s"]) == outcome.series["at_s"]
    assert outcome.figures["units_per_s"] > 0


def test_slopes_are_of_what_was_seen_when_caches_were_full() -> None:
    # Given a run that is slow and small in its first fifth, and then steady but for some noise,
    diary = Diary()
    diary.at_s = [float(at) * 600 for at in range(50)]
    diary.units_per_s = [10.0] * 10 + [1_000.0, 1_002.0] * 20
    diary.rss_mib = [1.0] * 10 + [50.0, 51.0] * 20
    nothing = Usage(cpu_s=0, rss_bytes=0)
    figures = figures_of(diary, 5_000, 5, 50.0, nothing, Usage(cpu_s=25.0, rss_bytes=2**20))
    # then neither has drifted.
    assert figures["throughput_drift_percent_per_h"] == figures["rss_drift_percent_per_h"] == 0
    assert (figures["units_per_s"], figures["cpu_ms_per_unit"], figures["rss_mib"]) == (500, 1.0, 1.0)


async def test_a_wrong_result_ends_a_soak(tmp_path: Path) -> None:
    wrong = replace(BY_NAME["S10"], output=6)
    async with process_driver(EngineSetup(folder=tmp_path)) as driver:
        with pytest.raises(ExceptionGroup) as group:
            await soak(driver, wrong, Extent(seconds=0.2), Parts())
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


def test_a_few_samples_have_no_slope() -> None:
    assert drift("rss", [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == {}


def test_a_curve_has_no_slope_either() -> None:
    at_s = [float(at) for at in range(31)]
    assert drift("rss", at_s, [100 + (at - 15) ** 2 for at in at_s]) == {}
