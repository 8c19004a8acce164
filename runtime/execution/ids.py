"""Ids of instances and executions: random, and in the order in which they are made.

The rule: ids ascend from millisecond to millisecond.

Rows of instances that were started together lie together in the store, so that
a commit touches half as many pages as with ids that are random from the first
digit on. The facade and reruns make them.

Source: RFC 9562, section 5.7 (UUID version 7).
"""

from ...actors.instruments import Instruments


def make_id(instruments: Instruments) -> str:
    """Make an id: a UUID of version 7, 36 characters; 74 random bits in each millisecond."""
    random = instruments.chance(10).hex()
    milliseconds = f"{instruments.time_ns() // 1_000_000:012x}"
    variant = "89ab"[int(random[3], 16) & 3]
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7{random[:3]}-{variant}{random[4:7]}-{random[7:19]}"
