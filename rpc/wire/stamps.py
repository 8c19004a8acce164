"""Converts between protobuf's seconds and nanoseconds and our microseconds.

The rule: a due time is rounded up, so that no timer fires too early.
"""

from typing import TypeAlias

from ...runtime.dates import within_time
from ..messages import Message

# A Timestamp for protobuf's constructors. A dict is three times as fast as the class.
Stamp: TypeAlias = dict[str, int]

# Go's zero time, which Dapr shows for a missing time.
NEVER: Stamp = {"seconds": -62_135_596_800}


def stamp(us: int) -> Stamp:
    """Encode a Unix time in microseconds."""
    seconds, rest = divmod(us, 1_000_000)
    return {"seconds": seconds, "nanos": rest * 1000}


def moment_us(timestamp: Message) -> int:
    """Decode the time of an event: Unix time in microseconds, rounded down."""
    return int(timestamp.seconds) * 1_000_000 + int(timestamp.nanos) // 1000


def due_us(timestamp: Message) -> int:
    """Decode a due time: Unix time in microseconds, rounded up.

    It is limited to the range of our dates. The SDKs' value for "never", one nanosecond before the year 10000, becomes
    `END_OF_TIME_US`.
    """
    return within_time(int(timestamp.seconds) * 1_000_000 - (-int(timestamp.nanos) // 1000))
