"""The workloads, as values: what is run, how much of it at once, and what is counted.

The one law: nothing here knows how a workload is driven or shown. A new one is
a new value, if one of the shapes fits it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Self

PROCESS = "process"  # the engine in the load's own process
HTTP = "http"  # a daemon, and the load in another process
DRIVERS = (PROCESS, HTTP)
SECONDS = 4.0
SECONDS_MARKED = 3.0  # a run that is over sooner was spent warming up, and says nothing about marks

BASIC = "basic"
DAPR = "dapr"
SCALE = "scale"
SUITES = {
    BASIC: "the first look, in about a minute",
    DAPR: "the shapes and sizes of Dapr's own performance tests",
    SCALE: "much of one thing",
}


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


# What several processes can share, and how they are reached then. A daemon gets its load as always; in process each
# host has a share of the load, which only a closed loop can be dealt out in. What is left is about one engine: how it
# sleeps, idles or starts again.
SHARED = frozenset({(Shape.LOOP, PROCESS), (Shape.LOOP, HTTP), (Shape.EVENTS, HTTP), (Shape.OPEN, HTTP)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a figure should reach on two cores with an SSD, at full durability."""

    driver: str
    figure: str  # a key of `RunOutcome.figures`
    what: str  # the figure in words
    digits: int = 0  # behind the point, when it is shown
    at_least: float | None = None
    at_most: float | None = None
    in_flight: int | None = None  # holds with so many under way; None: with the workload's own number

    def reached(self, value: float) -> bool:
        above = self.at_least is None or value >= self.at_least
        return above and (self.at_most is None or value <= self.at_most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One thing to measure."""

    name: str
    title: str
    what: str
    shape: Shape
    workflow: str  # its name in `app.py`
    input: Any
    output: Any  # what each instance must return
    unit: str  # what throughput counts
    units: int  # how many there are in one instance
    in_flight: int
    also_in_flight: tuple[int, ...] = ()  # numbers with which it is run besides, for a curve
    instances: int | None = None  # how many a run has; None: as many as fit into its time
    rate: float | None = None  # instances a second that arrive, with Shape.OPEN
    processes: int = 1  # that share the work
    drivers: tuple[str, ...] = DRIVERS
    marks: tuple[Mark, ...] = ()
    suite: str = BASIC
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

    def without_marks(self) -> Self:
        return replace(self, marks=())


BASICS = (
    Workload(
        name="W1",
        title="chain",
        what="a chain of 5 trivial activities",
        shape=Shape.LOOP,
        workflow="chain",
        input=5,
        output=5,
        unit="steps",
        units=5,
        in_flight=50,
        also_in_flight=(500,),
        marks=(
            Mark(driver=PROCESS, figure="units_per_s", what="steps a second", at_least=20_000),
            Mark(driver=PROCESS, figure="units_per_s", what="steps a second", at_least=30_000, in_flight=500),
            Mark(driver=PROCESS, figure="cpu_ms_per_unit", what="CPU ms a step", digits=3, at_most=0.05),
            Mark(driver=PROCESS, figure="cpu_ms_per_unit", what="CPU ms a step", digits=3, at_most=0.05, in_flight=500),
            Mark(driver=PROCESS, figure="rows_per_turn", what="rows of history a turn", digits=2, at_most=1),
            Mark(driver=HTTP, figure="instances_per_s", what="workflows a second", at_least=2_000),
        ),
    ),
    Workload(
        name="W2",
        title="fan-out",
        what="100 trivial activities at once, and the sum of their results",
        shape=Shape.LOOP,
        workflow="fan_out",
        input=100,
        output=sum(range(1, 101)),
        unit="steps",
        units=100,
        in_flight=10,
        marks=(Mark(driver=PROCESS, figure="units_per_s", what="steps a second", at_least=30_000),),
    ),
    Workload(
        name="W3",
        title="latency",
        what="a single trivial activity, one instance at a time",
        shape=Shape.LOOP,
        workflow="chain",
        input=1,
        output=1,
        unit="steps",
        units=1,
        in_flight=1,
        marks=(
            Mark(driver=PROCESS, figure="p50_ms", what="ms from start to result", digits=1, at_most=1.5),
            Mark(driver=PROCESS, figure="p99_ms", what="ms from start to result, 99 of 100", digits=1, at_most=5),
        ),
    ),
    Workload(
        name="W4",
        title="event",
        what="instances that wait for an event, which is then sent to each",
        shape=Shape.EVENTS,
        workflow="signal",
        input=None,
        output=7,
        unit="events",
        units=1,
        in_flight=50,
        marks=(Mark(driver=PROCESS, figure="units_per_s", what="events a second", at_least=5_000),),
    ),
    Workload(
        name="W5",
        title="sleep",
        what="instances asleep on a durable timer",
        shape=Shape.SLEEP,
        workflow="sleeper",
        input=None,
        output=None,
        unit="sleepers",
        units=1,
        in_flight=200,
        drivers=(PROCESS,),
        marks=(
            Mark(driver=PROCESS, figure="kib_per_sleeper", what="KiB for each sleeper", digits=2, at_most=1),
            Mark(driver=PROCESS, figure="late_p99_ms", what="ms late, 99 of 100 not later", digits=1, at_most=20),
        ),
    ),
    Workload(
        name="W6",
        title="recovery",
        what="kill -9 in the middle of W1, and a restart",
        shape=Shape.CRASH,
        workflow="chain",
        input=5,
        output=5,
        unit="steps",
        units=5,
        in_flight=50,
        drivers=(HTTP,),
        marks=(Mark(driver=HTTP, figure="steps_lost", what="steps lost", at_most=0),),
    ),
)

# From Dapr's own performance tests of workflows: how many instances are under way at once, and how many there are in
# all. The activities of those tests add up numbers, keep state or sleep; ours are trivial, so that the engine is left.
DAPRS = (
    Workload(
        name="D1",
        title="series",
        what="5 activities one after the other, 350 in flight",
        shape=Shape.LOOP,
        workflow="chain",
        input=5,
        output=5,
        unit="steps",
        units=5,
        in_flight=350,
        instances=1_400,
        suite=DAPR,
    ),
    Workload(
        name="D2",
        title="parallel",
        what="5 activities at once, 110 in flight",
        shape=Shape.LOOP,
        workflow="fan_out",
        input=5,
        output=sum(range(1, 6)),
        unit="steps",
        units=5,
        in_flight=110,
        instances=440,
        suite=DAPR,
    ),
    *(
        Workload(
            name=name,
            title=f"{size // 1_000} kB",
            what=f"{size // 1_000} 000 bytes passed through 3 activities and returned, 30 in flight",
            shape=Shape.LOOP,
            workflow="carry",
            input="x" * size,
            output="x" * size,
            unit="steps",
            units=3,
            in_flight=30,
            instances=300,
            suite=DAPR,
        )
        for name, size in (("D3", 10_000), ("D4", 50_000), ("D5", 100_000))
    ),
    # Dapr's has 10 000 of them, and so takes ten times as long: --instances 10000.
    Workload(
        name="D6",
        title="delay",
        what="one activity of 5 000 ms, 500 in flight: 100 a second is the most there can be",
        shape=Shape.LOOP,
        workflow="rest",
        input=5_000,
        output=5_000,
        unit="steps",
        units=1,
        in_flight=500,
        instances=1_000,
        suite=DAPR,
    ),
    *(
        Workload(
            name=name,
            title=f"storm {size // 1_000}k",
            what=f"{size // 1_000} 000 instances of 15 activities, all started at once",
            shape=Shape.LOOP,
            workflow="chain",
            input=15,
            output=15,
            unit="steps",
            units=15,
            in_flight=size,
            instances=size,
            suite=DAPR,
        )
        for name, size in (("D7", 1_000), ("D8", 5_000), ("D9", 10_000))
    ),
)

CITIES = ["Tokyo", "Seattle", "London", "Amsterdam", "Seoul"]
ROUND_TRIPS = 1_000

SCALES = (
    # The first two are of Netherite's paper; it has 200 of the fan-outs: --instances 200 --in-flight 200.
    Workload(
        name="S1",
        title="hello",
        what="1 000 instances of 5 greetings one after the other, all started at once",
        shape=Shape.LOOP,
        workflow="hello",
        input=CITIES,
        output=[f"Hello {city}!" for city in CITIES],
        unit="steps",
        units=5,
        in_flight=1_000,
        instances=1_000,
        suite=SCALE,
    ),
    Workload(
        name="S2",
        title="wide",
        what="20 instances of 1 000 activities at once, all started at once",
        shape=Shape.LOOP,
        workflow="fan_out",
        input=1_000,
        output=sum(range(1, 1_001)),
        unit="steps",
        units=1_000,
        in_flight=20,
        instances=20,
        suite=SCALE,
    ),
    Workload(
        name="S3",
        title="ping-pong",
        what="two instances that send each other an event, 1 000 times forth and back",
        shape=Shape.LOOP,
        workflow="ping",
        input=ROUND_TRIPS,
        output=ROUND_TRIPS,
        unit="trips",
        units=ROUND_TRIPS,
        in_flight=1,
        instances=1,
        # Workflow code cannot send events; an activity does, with the engine's client. A daemon's app has none.
        drivers=(PROCESS,),
        suite=SCALE,
    ),
    Workload(
        name="S4",
        title="timers",
        what="100 000 workflows asleep, all due at once",
        shape=Shape.TIMER_STORM,
        workflow="sleeper",
        input=None,
        output=None,
        unit="timers",
        units=1,
        in_flight=500,
        drivers=(PROCESS,),
        marks=(Mark(driver=PROCESS, figure="reminders_per_s", what="timers a second", at_least=20_000),),
        marks_from=100_000,
        suite=SCALE,
    ),
    Workload(
        name="S5",
        title="reminders",
        what="100 000 bare actors with a reminder, all due at once",
        shape=Shape.REMINDER_STORM,
        workflow="sleeper",
        input=None,
        output=None,
        unit="reminders",
        units=1,
        in_flight=1,
        drivers=(PROCESS,),
        marks=(Mark(driver=PROCESS, figure="reminders_per_s", what="reminders a second", at_least=20_000),),
        marks_from=100_000,
        suite=SCALE,
    ),
    Workload(
        name="S6",
        title="history",
        what="turns beside up to 50 000 events, and histories rebuilt",
        shape=Shape.HISTORY,
        workflow="timed_chain",
        input=None,
        output=None,
        unit="steps",
        units=1,
        in_flight=1,
        drivers=(PROCESS,),
        marks=(
            Mark(
                driver=PROCESS,
                figure="turn_growth_times",
                what="times the turn of 10 events at 50 000",
                digits=2,
                at_most=1.5,
            ),
            Mark(
                driver=PROCESS, figure="cold_50000_events_per_s", what="events a second, rebuilt cold", at_least=200_000
            ),
        ),
        suite=SCALE,
    ),
    Workload(
        name="S7",
        title="fleet",
        what="100 000 instances asleep; then 10 000 of them are due at once",
        shape=Shape.FLEET,
        workflow="sleeper",
        input=None,
        output=None,
        unit="sleepers",
        units=1,
        in_flight=500,
        drivers=(PROCESS,),
        marks=(
            Mark(driver=PROCESS, figure="rss_mib", what="MiB of RSS", at_most=300),
            Mark(driver=PROCESS, figure="disk_bytes_per_sleeper", what="bytes of disk each", at_most=600),
            Mark(driver=PROCESS, figure="awake_s", what="s until 10 000 are awake", digits=2, at_most=1),
        ),
        marks_from=100_000,
        suite=SCALE,
    ),
    Workload(
        name="S8",
        title="idle",
        what="nothing to do, with 100 000 instances asleep",
        shape=Shape.IDLE,
        workflow="sleeper",
        input=None,
        output=None,
        unit="sleepers",
        units=1,
        in_flight=500,
        marks=(
            Mark(driver=PROCESS, figure="commits_per_s", what="commits a second", digits=2, at_most=0),
            Mark(driver=PROCESS, figure="written_bytes_per_s", what="bytes written a second", at_most=0),
            Mark(driver=HTTP, figure="written_bytes_per_s", what="bytes written a second", at_most=0),
        ),
        marks_from=100_000,
        suite=SCALE,
    ),
    Workload(
        name="S9",
        title="restart",
        what="kill -9 with 10 000 instances at work, and a restart",
        shape=Shape.RECOVERY,
        workflow="interrupted",
        input=0,
        output=3,
        unit="instances",
        units=3,
        in_flight=50,
        drivers=(HTTP,),
        marks=(
            Mark(driver=HTTP, figure="ready_s", what="s until ready", digits=2, at_most=1),
            Mark(driver=HTTP, figure="moving_s", what="s until all have taken a step", digits=2, at_most=3),
            Mark(driver=HTTP, figure="steps_lost", what="steps lost", at_most=0),
        ),
        marks_from=10_000,
        suite=SCALE,
    ),
    Workload(
        name="S10",
        title="soak",
        what="W1 for three minutes: does it get slower, or larger?",
        shape=Shape.SOAK,
        workflow="chain",
        input=5,
        output=5,
        unit="steps",
        units=5,
        in_flight=50,
        drivers=(PROCESS,),
        marks=(
            Mark(
                driver=PROCESS,
                figure="throughput_drift_percent_per_h",
                what="% an hour of throughput, beyond doubt",
                digits=1,
                at_most=3,
            ),
            Mark(
                driver=PROCESS,
                figure="rss_drift_percent_per_h",
                what="% an hour of RSS, beyond doubt",
                digits=1,
                at_most=3,
            ),
        ),
        seconds=180.0,
        suite=SCALE,
    ),
)

WORKLOADS: tuple[Workload, ...] = (*BASICS, *DAPRS, *SCALES)
BY_NAME = {workload.name: workload for workload in WORKLOADS}
