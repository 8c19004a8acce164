"""The words of a measurement: a workload, its marks, how long it goes on, and a run of it.

The rule: these are values. How a workload is driven, and how its figures are shown, is written elsewhere.

`benchmarks/workloads/table.py` has all workloads; every room uses these.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from enum import Enum
from typing import Any, Self

from ..terminal import written

PROCESS = "process"  # the engine in the load's own process
HTTP = "http"  # a daemon, and the load in another process
POSTGRES = "postgresql"  # the engine in the load's own process, its store on a database
DRIVERS = (PROCESS, HTTP)
SDK = "sdk"  # a daemon, and a worker on Dapr's Python SDK that is its own load
STUB = "stub"  # the same worker, and a server that stores nothing
SDK_FORGETFUL = "sdk-forgetful"  # as SDK; the worker keeps no histories, and is sent them whole
SDK_DRIVERS = (STUB, SDK, SDK_FORGETFUL)

SECONDS = 4.0
SECONDS_MARKED = 3.0  # a shorter run was spent warming up, and says nothing about marks

BASIC, DAPR, SCALE, THROUGH_SDK = "basic", "dapr", "scale", "sdk"


class Shape(Enum):
    """How a workload is loaded onto an engine."""

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


# What several processes can share, and how they are reached then. In process each host has a share of the load, which
# only a closed loop can be dealt out in. Other workloads are about one engine: how it sleeps, idles or starts again.
SHARED = frozenset({(Shape.LOOP, PROCESS), (Shape.LOOP, HTTP), (Shape.EVENTS, HTTP), (Shape.OPEN, HTTP)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What a figure should reach on two cores with an SSD, at full durability."""

    digits: int = 0  # behind the point, when it is shown
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
    in_flight: int | None = None  # holds with so many under way; None: with the workload's own number


@dataclass(frozen=True, slots=True)
class Workload:
    """One thing to measure."""

    name: str
    title: str
    what: str
    workflow: str  # its name in `app.py`
    input: Any
    output: Any  # what each instance must return
    _: KW_ONLY
    in_flight: int
    units: int = 1  # how many there are in one instance
    unit: str = "steps"  # what throughput counts
    shape: Shape = Shape.LOOP
    suite: str = BASIC
    also_in_flight: tuple[int, ...] = ()  # numbers with which it is run besides, for a curve
    instances: int | None = None  # how many a run has; None: as many as fit into its time
    rate: float | None = None  # instances a second that arrive, with Shape.OPEN
    processes: int = 1  # that share the work; on a database, hosts that share it
    drivers: tuple[str, ...] = DRIVERS
    marks: tuple[Mark, ...] = ()
    seconds: float = SECONDS  # how long a run goes on, if nothing else is asked for
    # With how many instances the marks hold, where it is not the time that counts; None: with none that is asked for.
    marks_from: int | None = None

    def marks_hold(self, *, seconds: float, instances: int | None) -> bool:
        """Whether a run of this extent is one to which the marks apply."""
        if instances in (None, self.instances):
            return seconds >= min(SECONDS_MARKED, self.seconds)
        return self.marks_from is not None and instances >= self.marks_from

    def variants(self, in_flight: Sequence[int] = ()) -> list[Self]:
        """As it is run: once for each number in flight, its own ones if none are named."""
        numbers = in_flight or (self.in_flight, *self.also_in_flight)
        return [self.with_in_flight(number) for number in dict.fromkeys(numbers)]

    def with_in_flight(self, in_flight: int) -> Self:
        """The same with another number of instances under way at once, and the marks that are of that number."""
        if in_flight == self.in_flight:
            return self
        marks = tuple(mark for mark in self.marks if mark.in_flight == in_flight)
        return replace(self, title=f"{self.title} at {in_flight}", in_flight=in_flight, marks=marks)

    def with_rate(self, rate: float | None) -> Self:
        """The same with instances that arrive at a rate; for None, as it is."""
        if rate is None:
            return self
        return replace(self, title=f"{self.title} {rate:g}/s", shape=Shape.OPEN, rate=rate, marks=())

    def with_processes(self, processes: int) -> Self:
        """The same on so many processes, with the drivers that can do that, and no marks: they are of one."""
        if processes == 1:
            return self
        enough = self.shape is Shape.OPEN or self.in_flight >= processes
        drivers = tuple(driver for driver in self.drivers if enough and (self.shape, driver) in SHARED)
        return replace(self, processes=processes, drivers=drivers, marks=())

    def with_hosts(self, hosts: int) -> Self:
        """The same on so many hosts that share a database, each with as many in flight; only loops, and no marks."""
        if hosts == 1:
            return self
        return replace(self, processes=hosts, drivers=(POSTGRES,) if self.shape is Shape.LOOP else (), marks=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How long a run goes on: a time, or a number of instances if there is one."""

    seconds: float
    instances: int | None = None
