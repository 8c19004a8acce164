"""Dates are integers in microseconds, exactly, within what Python's dates and the store can hold."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from perdure.runtime.dates import END_OF_TIME_US, from_us, microseconds, to_us, within_time


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_date_comes_back_to_the_microsecond(date: datetime) -> None:
    assert from_us(to_us(date)) == date


def test_a_date_without_a_time_zone_is_utc_and_others_are_converted() -> None:
    assert to_us(datetime(1970, 1, 1, 0, 0, 1)) == 1_000_000
    assert to_us(datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == 0


def test_intervals_are_exact() -> None:
    assert microseconds(timedelta(days=100_000, microseconds=1)) == 8_640_000_000_000_001


def test_what_is_beyond_time_is_cut_to_it_and_fits_a_signed_64_bit_integer() -> None:
    assert within_time(10**30) == END_OF_TIME_US < 2**63
    assert within_time(-(10**30)) == 0
    assert within_time(5) == 5
    assert from_us(END_OF_TIME_US).year == 9999
