"""S10: the loop of W1 for a long time, to see whether the engine becomes slower or larger.

Throughput and RSS are sampled each second. The result is a slope in percent an hour, by least squares, with its 95 %
confidence interval, which shows if a run is too short to tell a drift from noise. Consecutive samples are correlated (a
checkpoint or a collection affects several), so n samples count as n (1 - r) / (1 + r), with r the residuals'
autocorrelation at lag 1 (Bartlett 1935; used for trends of climate series since Santer et al., 2000).

The rule: the load keeps no results. It shares the engine's process, where they would look like a leak.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isinf, sqrt
from statistics import NormalDist, fmean, linear_regression
from typing import TypeAlias

import anyio

from ..drivers.in_process import EngineSetup, ProcessDriver, process_driver
from ..drivers.load import Progress, check_output, closed_loop
from ..drivers.measure import RunOutcome, Usage, usage_of_self
from ..workloads.workload import Extent, Workload

SAMPLE_EVERY_S = 1.0
WARM_SHARE = 0.2  # the beginning of the run, in which caches fill; not part of the slope
SAMPLES_MIN = 10  # for a slope
ERROR_MAX_PERCENT_PER_H = 30.0  # a less certain slope cannot show a drift of a few percent
S_PER_H = 3_600.0
CONFIDENCE = 0.95


Series: TypeAlias = dict[str, list[float]]  # samples by name


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    each: float  # change per unit of time
    error: float  # half of the interval around `each`; infinite if there are too few samples
    mean: float  # of the values


async def run_soak(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    async with process_driver(setup) as driver:
        return await soak(driver, workload, extent, progress)


async def soak(driver: ProcessDriver, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    series: Series = {"at_s": [], "units_per_s": [], "rss_mib": []}
    done = 0
    began_s, used = time.perf_counter(), usage_of_self()

    def passed_s() -> float:
        return time.perf_counter() - began_s

    async def item(_: int) -> None:
        nonlocal done
        instance_id = await driver.start(workload.workflow, workload.input)
        state = await driver.engine.client.wait(instance_id)
        check_output(instance_id, expected=workload.output, found=state.output)
        done += 1

    async def sample() -> None:
        seen, seen_s = 0, 0.0
        while passed_s() < extent.seconds:
            await anyio.sleep(max(0.0, seen_s + SAMPLE_EVERY_S - passed_s()))
            now_s = passed_s()
            values = (now_s, (done - seen) * workload.units / (now_s - seen_s), usage_of_self().rss_bytes / 2**20)
            for samples, value in zip(series.values(), values, strict=True):
                samples.append(value)
            seen, seen_s = done, now_s
            progress.part(min(1.0, now_s / extent.seconds), done * workload.units)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sample)
        await closed_loop(driver, item, lambda _: None, in_flight=workload.in_flight, extent=extent)
    figures = figures_of(series, done, workload.units, passed_s(), used, usage_of_self())
    return RunOutcome(figures=figures, series=series)


def figures_of(
    series: Series, done: int, units: int, elapsed_s: float, before: Usage, after: Usage
) -> dict[str, float]:
    warm = int(len(series["at_s"]) * WARM_SHARE)
    figures = {
        "elapsed_s": elapsed_s,
        "instances": float(done),
        "units_per_s": done * units / elapsed_s,
        "cpu_ms_per_unit": (after.cpu_s - before.cpu_s) * 1000 / max(1, done * units),
        "rss_mib": after.rss_bytes / 2**20,
    }
    at_s, units_per_s, rss_mib = (series[name][warm:] for name in ("at_s", "units_per_s", "rss_mib"))
    return figures | drift("throughput", at_s, units_per_s) | drift("rss", at_s, rss_mib)


def drift(name: str, at_s: Sequence[float], values: Sequence[float]) -> dict[str, float]:
    """A slope in percent of the mean an hour, its error, and the part of it that is certain.

    Empty if there are too few samples; without the last, which marks use, if it is 0 only because of a large error.
    """
    if len(values) < SAMPLES_MIN:
        return {}
    slope = slope_of(at_s, values)
    if isinf(slope.error):
        return {}
    to_percent = 100 * S_PER_H / slope.mean if slope.mean else 0.0
    error, certain = slope.error * to_percent, beyond_doubt(slope) * to_percent
    figures = {f"{name}_slope_percent_per_h": slope.each * to_percent, f"{name}_slope_error_percent_per_h": error}
    if certain > 0 or error <= ERROR_MAX_PERCENT_PER_H:
        figures[f"{name}_drift_percent_per_h"] = certain
    return figures


def beyond_doubt(slope: Slope) -> float:
    """The least absolute change in the interval; 0 if the interval contains 0."""
    return max(0.0, abs(slope.each) - slope.error)


def slope_of(times: Sequence[float], values: Sequence[float]) -> Slope:
    """Fit a line to values.

    Args:
        times: At least three, not all equal.
    """
    assert len(times) == len(values) > 2
    line = linear_regression(times, values)
    residuals = [value - line.slope * at - line.intercept for at, value in zip(times, values, strict=True)]
    squares = sum(residual**2 for residual in residuals)
    middle = fmean(times)
    spread = sum((at - middle) ** 2 for at in times)
    free = worth(residuals) - 2
    error = t_quantile(free) * sqrt(squares / free / spread) if free >= 1 else inf
    return Slope(each=line.slope, error=error, mean=fmean(values))


def worth(residuals: Sequence[float]) -> float:
    """The equivalent number of independent samples; at most the number of samples."""
    squares = sum(residual**2 for residual in residuals)
    if squares == 0:
        return float(len(residuals))
    alike = max(0.0, sum(one * other for one, other in pairwise(residuals)) / squares)
    return len(residuals) * (1 - alike) / (1 + alike)


def t_quantile(free: float) -> float:
    """Student's t for `CONFIDENCE`, two-sided, from the normal quantile (Cornish-Fisher expansion).

    Within 1 % of the tables from 3 degrees of freedom on; 3 % too small at 2.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return (
        z
        + (z**3 + z) / (4 * free)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    )
