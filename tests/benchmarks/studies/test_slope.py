"""Slopes: least squares, and an interval that noise cannot talk small."""

from math import inf

import pytest

from perdure.benchmarks.studies.slope import slope_of, t_quantile, worth


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


def test_a_curve_is_no_slope_with_an_error() -> None:
    # Its residuals are one wave: 31 samples are worth less than three, and two make a line without an error.
    times = [float(at) for at in range(31)]
    assert slope_of(times, [(at - 15) ** 2 for at in times]).error == inf
