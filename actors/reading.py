"""A reading: the times of both clocks at one moment.

The rule: it is a value, so that code that decides can have it as an argument. `actors/clock.py` takes readings, and
`actors/reminders/` compares them.
"""

from typing import NamedTuple


class Reading(NamedTuple):
    """Both clocks at one moment; microseconds."""

    wall_us: int
    monotonic_us: int

    def set_back_since(self, earlier: "Reading") -> int:
        """By how much the wall clock was set back since an earlier reading, in microseconds; negative: set forward."""
        return (self.monotonic_us - earlier.monotonic_us) - (self.wall_us - earlier.wall_us)
