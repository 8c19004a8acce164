"""Moments: protobuf's seconds and nanoseconds, and our microseconds.

The rule: a due moment is rounded up, so that nothing is due too early.
"""

from typing import TypeAlias

from ...runtime.dates import within_time
from ..messages import Message

# As protobuf's constructors take a Timestamp. A dict is three times as quick as the class.
Stamp: TypeAlias = dict[str, int]

# Go's zero time, which Dapr shows where there is no time yet.
NEVER: Stamp = {"seconds": -62_135_596_800}


def stamp(us: int) -> Stamp:
    """Write a Unix time in microseconds."""
    seconds, rest = divmod(us, 1_000_000)
    return {"seconds": seconds, "nanos": rest * 1000}


def moment_us(timestamp: Message) -> int:
    """Read when something happened: Unix time, microseconds, rounded down."""
    return int(timestamp.seconds) * 1_000_000 + int(timestamp.nanos) // 1000


def due_us(timestamp: Message) -> int:
    """Read when something is due: Unix time, microseconds, rounded up.

    Cut to what our dates can hold. The SDKs' sentinel for "never", one
    nanosecond before the year 10000, becomes `END_OF_TIME_US`.
    """
    return within_time(int(timestamp.seconds) * 1_000_000 - (-int(timestamp.nanos) // 1000))
