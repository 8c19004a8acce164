"""The slope of a series over time, and how well it is known.

Least squares, with the interval for a confidence of 95 %. Samples a second
apart resemble each other (one checkpoint, one collection hits several), so
they say less than as many independent ones would. How much less follows from
how far each residual resembles the one before: n samples are worth
n (1 - r) / (1 + r), with r the residuals' autocorrelation at lag 1 (Bartlett
1935; in use for trends of climate series since Santer et al., 2000).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, sqrt
from statistics import NormalDist, fmean, linear_regression

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """A straight line through a series."""

    each: float  # change per unit of time
    error: float  # half of the interval around `each`; infinite if too little was seen to tell
    mean: float  # of the values


def slope_of(times: Sequence[float], values: Sequence[float]) -> Slope:
    """Lay a line through values.

    Args:
        times: At least three, not all the same.
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
    """How many independent samples these are worth; never more than there are."""
    squares = sum(residual**2 for residual in residuals)
    if squares == 0:
        return float(len(residuals))
    alike = max(0.0, sum(one * other for one, other in pairwise(residuals)) / squares)
    return len(residuals) * (1 - alike) / (1 + alike)


def t_quantile(free: float) -> float:
    """Student's t for `CONFIDENCE`, two-sided, from the normal quantile (Cornish and Fisher's expansion).

    Within 1 % of the tables from 3 degrees of freedom on; too small below, at 2 by 3 %.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return (
        z
        + (z**3 + z) / (4 * free)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    )
