"""The clock of a simulated machine: the loop's time, and a date that can be set.

The rule: it outlives the hosts, as the clock of a machine does.
"""

from ..loop import SimLoop

NEW_YEAR_2026_US = 1_767_225_600_000_000


class MachineClock:
    """Both clocks of a machine.

    Args:
        loop: Its virtual time is the monotonic clock.
        may_be_set: Whether the world sets the date. An engine looks at such a clock each second, so that a month of
            virtual time takes long.
    """

    def __init__(self, loop: SimLoop, *, may_be_set: bool = False) -> None:
        self._loop = loop
        self.may_be_set = may_be_set
        self._offset_us = NEW_YEAR_2026_US

    def now_us(self) -> int:
        return self._offset_us + round(self._loop.time() * 1e6)

    def monotonic_us(self) -> int:
        return round(self._loop.time() * 1e6)

    def time_ns(self) -> int:
        """The date, as ids begin with it; Unix time, nanoseconds."""
        return self.now_us() * 1000

    def step(self, seconds: float) -> None:
        """Set the date forward; back, if `seconds` is negative. The monotonic clock does not notice."""
        assert self.may_be_set, "a clock that may be set is made with may_be_set=True"
        self._offset_us += round(seconds * 1e6)
