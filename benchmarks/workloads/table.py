"""The table of workloads: their loads, their units, and the marks that they should reach.

The rule: a new workload of a known shape is a new row.
"""

from functools import partial

from .workload import BASIC, DAPR, HTTP, PROCESS, SCALE, SDK, SDK_DRIVERS, THROUGH_SDK, Mark, Shape, Workload

SUITES = {
    BASIC: "an overview, in about a minute",
    DAPR: "the shapes and sizes of Dapr's own performance tests",
    SCALE: "large numbers",
}

# fmt: off
BASICS = (
    Workload("W1", "chain", "a chain of 5 trivial activities", "chain", 5, 5,
             units=5, in_flight=50, also_in_flight=(500,),
             marks=(Mark(PROCESS, "units_per_s", "steps a second", at_least=20_000),
                    Mark(PROCESS, "units_per_s", "steps a second", at_least=30_000, in_flight=500),
                    Mark(PROCESS, "cpu_ms_per_unit", "CPU ms a step", digits=3, at_most=0.05),
                    Mark(PROCESS, "cpu_ms_per_unit", "CPU ms a step", digits=3, at_most=0.05, in_flight=500),
                    Mark(PROCESS, "rows_per_turn", "rows of history a turn", digits=2, at_most=1),
                    Mark(HTTP, "instances_per_s", "workflows a second", at_least=2_000),
                    Mark(SDK, "cpu_ms_per_unit", "ms of the host's CPU a step", digits=2, at_most=1.6))),
    Workload("W2", "fan-out", "100 trivial activities at once, and the sum of their results", "fan_out", 100, 5_050,
             units=100, in_flight=10,
             marks=(Mark(PROCESS, "units_per_s", "steps a second", at_least=30_000),
                    Mark(SDK, "cpu_ms_per_unit", "ms of the host's CPU a step", digits=2, at_most=1.6))),
    Workload("W3", "latency", "a single trivial activity, one instance at a time", "chain", 1, 1, in_flight=1,
             marks=(Mark(PROCESS, "p50_ms", "ms from start to result", digits=1, at_most=1.5),
                    Mark(PROCESS, "p99_ms", "ms from start to result, 99 of 100", digits=1, at_most=5))),
    Workload("W4", "event", "instances that wait for an event, which is then sent to each", "signal", None, 7,
             shape=Shape.EVENTS, unit="events", in_flight=50,
             marks=(Mark(PROCESS, "units_per_s", "events a second", at_least=5_000),)),
    Workload("W5", "sleep", "instances asleep on a durable timer", "sleeper", None, None,
             shape=Shape.SLEEP, unit="sleepers", in_flight=200, drivers=(PROCESS,),
             marks=(Mark(PROCESS, "kib_per_sleeper", "KiB for each sleeper", digits=2, at_most=1),
                    Mark(PROCESS, "late_p99_ms", "ms late, 99 of 100 not later", digits=1, at_most=20))),
    Workload("W6", "recovery", "kill -9 in the middle of W1, and a restart", "chain", 5, 5,
             shape=Shape.CRASH, units=5, in_flight=50, drivers=(HTTP,),
             marks=(Mark(HTTP, "steps_lost", "steps lost", at_most=0),)),
)

# The numbers of instances, in flight and in all, are from Dapr's performance tests of workflows. The activities of
# those tests sum numbers, keep state or sleep; ours are trivial, so that the engine is measured.
dapr = partial(Workload, suite=DAPR)
DAPRS = (
    dapr("D1", "series", "5 activities one after the other, 350 in flight", "chain", 5, 5,
         units=5, in_flight=350, instances=1_400),
    dapr("D2", "parallel", "5 activities at once, 110 in flight", "fan_out", 5, 15,
         units=5, in_flight=110, instances=440),
    *(dapr(name, f"{size} kB", f"{size} 000 bytes passed through 3 activities and returned, 30 in flight",
           "carry", "x" * size * 1_000, "x" * size * 1_000, units=3, in_flight=30, instances=300)
      for name, size in (("D3", 10), ("D4", 50), ("D5", 100))),
    # Dapr's test has 10 000: --instances 10000.
    dapr("D6", "delay", "one activity of 5 000 ms, 500 in flight: 100 a second is the most there can be",
         "rest", 5_000, 5_000, in_flight=500, instances=1_000),
    *(dapr(name, f"storm {size}k", f"{size} 000 instances of 15 activities, all started at once",
           "chain", 15, 15, units=15, in_flight=size * 1_000, instances=size * 1_000)
      for name, size in (("D7", 1), ("D8", 5), ("D9", 10))),
)

CITIES = ["Tokyo", "Seattle", "London", "Amsterdam", "Seoul"]
scale = partial(Workload, suite=SCALE)
in_process = partial(Workload, suite=SCALE, drivers=(PROCESS,))
SCALES = (
    # The first two are from Netherite's paper, with 200 fan-outs: --instances 200 --in-flight 200.
    scale("S1", "hello", "1 000 instances of 5 greetings one after the other, all started at once",
          "hello", CITIES, [f"Hello {city}!" for city in CITIES], units=5, in_flight=1_000, instances=1_000),
    scale("S2", "wide", "20 instances of 1 000 activities at once, all started at once",
          "fan_out", 1_000, 500_500, units=1_000, in_flight=20, instances=20),
    # An activity sends the events with the engine's client, which a daemon's app does not have.
    in_process("S3", "ping-pong", "two instances that send each other an event, 1 000 round trips",
               "ping", 1_000, 1_000, unit="trips", units=1_000, in_flight=1, instances=1),
    in_process("S4", "timers", "100 000 workflows asleep, all due at once", "sleeper", None, None,
               shape=Shape.TIMER_STORM, unit="timers", in_flight=500, marks_from=100_000,
               marks=(Mark(PROCESS, "reminders_per_s", "timers a second", at_least=20_000),)),
    in_process("S5", "reminders", "100 000 bare actors with a reminder, all due at once", "sleeper", None, None,
               shape=Shape.REMINDER_STORM, unit="reminders", in_flight=1, marks_from=100_000,
               marks=(Mark(PROCESS, "reminders_per_s", "reminders a second", at_least=20_000),)),
    in_process("S6", "history", "turns beside up to 50 000 events, and histories rebuilt", "timed_chain", None, None,
               shape=Shape.HISTORY, in_flight=1,
               marks=(Mark(PROCESS, "turn_growth_times", "times the turn of 10 events at 50 000",
                           at_most=1.5, digits=2),
                      Mark(PROCESS, "cold_50000_events_per_s", "events a second, rebuilt cold", at_least=200_000))),
    in_process("S7", "fleet", "100 000 instances asleep; then 10 000 of them are due at once", "sleeper", None, None,
               shape=Shape.FLEET, unit="sleepers", in_flight=500, marks_from=100_000,
               marks=(Mark(PROCESS, "rss_mib", "MiB of RSS", at_most=300),
                      Mark(PROCESS, "disk_bytes_per_sleeper", "bytes of disk each", at_most=600),
                      Mark(PROCESS, "awake_s", "s until 10 000 are awake", digits=2, at_most=1))),
    scale("S8", "idle", "nothing to do, with 100 000 instances asleep", "sleeper", None, None,
          shape=Shape.IDLE, unit="sleepers", in_flight=500, marks_from=100_000,
          marks=(Mark(PROCESS, "commits_per_s", "commits a second", digits=2, at_most=0),
                 Mark(PROCESS, "written_bytes_per_s", "bytes written a second", at_most=0),
                 Mark(HTTP, "written_bytes_per_s", "bytes written a second", at_most=0))),
    scale("S9", "restart", "kill -9 with 10 000 instances at work, and a restart", "interrupted", 0, 3,
          shape=Shape.RECOVERY, unit="instances", units=3, in_flight=50, drivers=(HTTP,), marks_from=10_000,
          marks=(Mark(HTTP, "ready_s", "s until ready", digits=2, at_most=1),
                 Mark(HTTP, "moving_s", "s until all have taken a step", digits=2, at_most=3),
                 Mark(HTTP, "steps_lost", "steps lost", at_most=0))),
    in_process("S10", "soak", "W1 for three minutes, to see whether it gets slower or larger", "chain", 5, 5,
               shape=Shape.SOAK, units=5, in_flight=50, seconds=180.0,
               marks=(Mark(PROCESS, "throughput_drift_percent_per_h", "% an hour of throughput, beyond doubt", digits=1,
                           at_most=3),
                      Mark(PROCESS, "rss_drift_percent_per_h", "% an hour of RSS, beyond doubt", digits=1, at_most=3))),
)

# Runs beside W1 and W2 with --driver sdk.
LONG_CHAIN = Workload("history", "long chain", "1 700 activities one after the other, through the SDK",
                      "chain", 1_700, 1_700, shape=Shape.TURNS, units=1_700, in_flight=1, instances=1,
                      drivers=SDK_DRIVERS, suite=THROUGH_SDK)
# fmt: on

WORKLOADS = (*BASICS, *DAPRS, *SCALES)
BY_NAME = {workload.name: workload for workload in (*WORKLOADS, LONG_CHAIN)}
OVER_SDK = ("W1", "W2", LONG_CHAIN.name)
