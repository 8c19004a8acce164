"""A machine's clock follows virtual time, and its date can be set."""

import pytest

from perdure.testing.simulation.loop import SimLoop
from perdure.testing.simulation.machines.clock import NEW_YEAR_2026_US, MachineClock


def test_both_clocks_follow_virtual_time() -> None:
    loop = SimLoop()  # type: ignore[abstract]
    clock = MachineClock(loop)
    assert (clock.now_us(), clock.monotonic_us(), clock.time_ns()) == (NEW_YEAR_2026_US, 0, NEW_YEAR_2026_US * 1000)
    loop._now_s = 2.5
    assert (clock.now_us(), clock.monotonic_us()) == (NEW_YEAR_2026_US + 2_500_000, 2_500_000)
    assert not clock.may_be_set


def test_the_monotonic_clock_does_not_notice_that_the_date_is_set() -> None:
    clock = MachineClock(SimLoop(), may_be_set=True)  # type: ignore[abstract]
    clock.step(-3_600)
    assert (clock.now_us(), clock.monotonic_us()) == (NEW_YEAR_2026_US - 3_600_000_000, 0)


def test_a_date_that_is_not_to_be_set_is_not() -> None:
    with pytest.raises(AssertionError, match="may_be_set=True"):
        MachineClock(SimLoop()).step(1)  # type: ignore[abstract]
