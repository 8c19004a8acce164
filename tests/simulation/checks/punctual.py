"""E9: a timer fires once, never early, and late by no more than the faults explain.

Faults explain lateness while they last and for some time after: a host comes back up to half a minute after its end,
stands still for as long, and tries a store that has failed again after some seconds.

Timers of the loop are late, too (`orders.Lateness`): those that wait for the date of a timer, for the disk, for the
patience of a commit, one after the other. So a timer may be late by the time in which some timer of the loop was.
Otherwise it has GRACE_S.

Where the date is set, a timer may be early or late by that. Only a timer of a minute at most, whose host has lived all
the while, fires when the monotonic clock says so, too.
"""

from typing import NamedTuple

from perdure.testing.simulation.base import BaseWorld
from perdure.testing.simulation.trace import TracedLine

from .broken import Broken

# What the engine and a disk need at most that is slow, and three long steps, where all that is due in a large world is
# due at once.
GRACE_S = 0.5
# How long a fault is felt. The longest are a host that is down or stands still for 30 s, and then tries again what the
# store has refused, after 5 s at most.
FELT_S = 45.0
# Timers up to this long fire by the monotonic clock, too (docs/design/clocks.md).
SHORT_US = 60_000_000


class Asked(NamedTuple):
    """When a timer was requested."""

    at_us: int  # the turn's time; Unix time, microseconds
    at_s: float  # when the turn was on the disk; virtual seconds
    life: int


class Punctuality:
    """Whether timers fire when they are due."""

    def __init__(self, world: BaseWorld) -> None:
        self._world = world
        self._clock_is_set = world.clock.may_be_set
        self._began_us = world.clock.now_us()
        self._read = 0
        self._felt_until_s = 0.0

    def asked(self, at_us: int) -> Asked:
        """Note a request of a turn of the given time."""
        return Asked(at_us, self._world.loop.time(), self._life)

    def check(self, id_: str, timer_id: int, *, due_us: int, asked: Asked | None, fired_us: tuple[int, int]) -> None:
        """Check a timer that has fired.

        Args:
            due_us: When it was to fire; Unix time in microseconds.
            asked: When it was requested; None: with the start of its instance.
            fired_us: The time of the turn that has it, the earliest and the latest that it may be.

        Raises:
            Broken: E9.
        """
        if self._clock_is_set:
            short = asked is not None and due_us - asked.at_us <= SHORT_US and asked.life == self._life
            if not short:
                return
            assert asked is not None
            due_s = asked.at_s + max(0, due_us - asked.at_us) / 1e6
            fired_s = self._world.loop.time()
        else:
            if fired_us[1] < due_us:
                raise Broken("E9", f"timer {timer_id} of {id_} is {due_us - fired_us[1]} us early")
            # No host can set a timer whose turn is not on the disk yet.
            due_s = max((due_us - self._began_us) / 1e6, asked.at_s if asked is not None else 0.0)
            fired_s = (fired_us[0] - self._began_us) / 1e6
        expected_s = max(due_s, self._felt())
        late_s = fired_s - expected_s
        if late_s > GRACE_S and late_s > GRACE_S + self._world.lateness.between_s(expected_s, fired_s):
            raise Broken("E9", f"timer {timer_id} of {id_} is {late_s:.3f} s late, and no fault says why")

    @property
    def _life(self) -> int:
        return self._world.writer

    def _felt(self) -> float:
        """Until when the faults so far are felt; only the clock's count."""
        lines = self._world.trace.lines
        while self._read < len(lines):
            line: TracedLine = lines[self._read]
            self._read += 1
            if line.fault and line.who != "clock":
                self._felt_until_s = max(self._felt_until_s, line.at_s + FELT_S)
        return self._felt_until_s
