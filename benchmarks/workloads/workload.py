"""The values of a measurement: a workload, its marks, its extent.

The rule: these are values. Other modules drive workloads and show their figures.

`benchmarks/workloads/table.py` has all workloads.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from enum import Enum
from typing import Any, Self

from ..terminal import written

PROCESS = "process"  # the engine in the load's own process
HTTP = "http"  # a daemon, and the load in another process
POSTGRES = "postgresql"  # the engine in the load's process, with its store on a database
DRIVERS = (PROCESS, HTTP)
SDK = "sdk"  # a daemon, and a worker on Dapr's Python SDK with its own load
STUB = "stub"  # the same worker, and a server that stores nothing
SDK_FORGETFUL = "sdk-forgetful"  # as SDK, with a worker that keeps no histories and gets them whole
SDK_DRIVERS = (STUB, SDK, SDK_FORGETFUL)

SECONDS = 4.0
SECONDS_QUICK = 0.3  # of `--quick`
SECONDS_MARKED = 3.0  # a shorter run is mostly warm-up, and has no marks

BASIC, DAPR, SCALE, THROUGH_SDK = "basic", "dapr", "scale", "sdk"
BOTH, ALL = "both", "all"  # of the drivers, of the suites
ARRIVING = "W1"  # the default workload at a rate of arrivals


class Shape(Enum):
    LOOP = "so many instances in flight: when one completes, the next is started"
    OPEN = "instances started at moments that were set before, whether or not others have ended"
    EVENTS = "instances that wait for an event; the clock runs from the first event"
    SLEEP = "instances asleep on a timer, beyond what may be in memory"
    CRASH = "the loop, a kill -9 in its middle, and a restart"
    TIMER_STORM = "workflows that are all due at once"
    REMINDER_STORM = "actors whose reminders are all due at once"
    HISTORY = "instances with ever longer histories, taken up again from the store"
    FLEET = "instances asleep, and some of them due at once"
    IDLE = "nothing to do, beside instances asleep"
    RECOVERY = "many instances in the middle of their work, a kill -9, and a restart"
    SOAK = "the loop for a long time"
    TURNS = "one long chain, whose turns are timed at its beginning and at its end"


# The shapes and drivers for several processes. In process only a closed loop can be divided among hosts. Other
# workloads are about a single engine: how it sleeps, idles or restarts.
SHARED = frozenset({(Shape.LOOP, PROCESS), (Shape.LOOP, HTTP), (Shape.EVENTS, HTTP), (Shape.OPEN, HTTP)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The target of a figure on two cores with an SSD, at full durability."""

    digits: int = 0  # after the point, for display
    at_least: float | None = None
    at_most: float | None = None

    def reached(self, value: float) -> bool:
        above = self.at_least is None or value >= self.at_least
        return above and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        value, words = (self.at_most or 0.0, "at most") if self.at_least is None else (self.at_least, "at least")
        return f"{words} {written(value, 0 if value == int(value) else self.digits)}"


@dataclass(frozen=True, slots=True)
class Mark(Bound):
    """The bound of a figure of a workload."""

    driver: str
    figure: str  # a key of `RunOutcome.figures`
    what: str  # the figure in words
    _: KW_ONLY
    in_flight: int | None = None  # the number in flight for which it holds; None: the workload's own


@dataclass(frozen=True, slots=True)
class Workload:
    name: str
    title: str
    what: str
    workflow: str  # a name in `app.py`
    input: Any
    output: Any  # the required output of each instance
    _: KW_ONLY
    in_flight: int
    units: int = 1  # in an instance
    unit: str = "steps"  # what throughput counts
    shape: Shape = Shape.LOOP
    suite: str = BASIC
    also_in_flight: tuple[int, ...] = ()  # further numbers, for a curve
    instances: int | None = None  # in a run; None: limited by time
    rate: float | None = None  # arriving instances a second, with Shape.OPEN
    processes: int = 1  # or hosts, on a database
    drivers: tuple[str, ...] = DRIVERS
    marks: tuple[Mark, ...] = ()
    seconds: float = SECONDS  # the default length of a run
    # The least number of instances for which the marks hold, if the extent is a number; None: marks hold for no number.
    marks_from: int | None = None

    def marks_hold(self, *, seconds: float, instances: int | None) -> bool:
        """Whether the marks apply to a run of this extent."""
        if instances in (None, self.instances):
            return seconds >= min(SECONDS_MARKED, self.seconds)
        return self.marks_from is not None and instances >= self.marks_from

    def variants(self, in_flight: Sequence[int] = ()) -> list[Self]:
        """One workload for each number in flight, by default for its own numbers."""
        numbers = in_flight or (self.in_flight, *self.also_in_flight)
        return [self.with_in_flight(number) for number in dict.fromkeys(numbers)]

    def with_in_flight(self, in_flight: int) -> Self:
        """The workload with another number in flight, and the marks for that number."""
        if in_flight == self.in_flight:
            return self
        marks = tuple(mark for mark in self.marks if mark.in_flight == in_flight)
        return replace(self, title=f"{self.title} at {in_flight}", in_flight=in_flight, marks=marks)

    def with_rate(self, rate: float | None) -> Self:
        """The workload at a rate of arrivals; unchanged for None."""
        if rate is None:
            return self
        return replace(self, title=f"{self.title} {rate:g}/s", shape=Shape.OPEN, rate=rate, marks=())

    def with_processes(self, processes: int) -> Self:
        """The workload on several processes, with the possible drivers and without marks."""
        if processes == 1:
            return self
        enough = self.shape is Shape.OPEN or self.in_flight >= processes
        drivers = tuple(driver for driver in self.drivers if enough and (self.shape, driver) in SHARED)
        return replace(self, processes=processes, drivers=drivers, marks=())

    def with_hosts(self, hosts: int) -> Self:
        """The workload on hosts that share a database, each with its number in flight; only loops, without marks."""
        if hosts == 1:
            return self
        return replace(self, processes=hosts, drivers=(POSTGRES,) if self.shape is Shape.LOOP else (), marks=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """The length of a run: a number of instances if given, else a time."""

    seconds: float
    instances: int | None = None
