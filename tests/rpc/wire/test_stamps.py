"""Moments keep their precision as far as possible, and are never due too early."""

import pytest

from perdure.rpc.messages import Timestamp
from perdure.rpc.wire.stamps import NEVER, due_us, moment_us, stamp
from perdure.runtime.dates import END_OF_TIME_US

SENTINEL = Timestamp(seconds=253_402_300_799, nanos=999_999_999)


@pytest.mark.parametrize("us", [0, 1, 999_999, 1_000_000, 1_795_406_400_123_456, END_OF_TIME_US, -1, -1_000_000])
def test_microseconds_come_back(us: int) -> None:
    written = Timestamp(**stamp(us))
    assert 0 <= written.nanos < 1_000_000_000
    assert moment_us(written) == us


def test_what_has_happened_is_rounded_down_and_what_is_due_is_rounded_up() -> None:
    between = Timestamp(seconds=5, nanos=1)
    assert (moment_us(between), due_us(between)) == (5_000_000, 5_000_001)
    assert due_us(Timestamp(seconds=5, nanos=1000)) == 5_000_001


def test_the_sentinel_is_due_at_the_end_of_time() -> None:
    assert due_us(SENTINEL) == END_OF_TIME_US


def test_what_was_due_before_1970_is_due_then() -> None:
    assert due_us(Timestamp(seconds=-5)) == 0


def test_never_is_the_zero_time_of_go() -> None:
    assert Timestamp(**NEVER).ToJsonString() == "0001-01-01T00:00:00Z"
