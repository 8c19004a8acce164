"""The kinds of world.

plain      one host, a store in memory
clock      its date is set back and forward
lossy      the network loses and doubles requests
forward    lives begin with the older or the newer code, and the newer stays
back       the same, back and forth
sqlite     the store is a file of SQLite
postgres   the store is on a PostgreSQL server, of which there is a stand-in
workers    the code is with workers of SDKs
doors      callers go by the doors of the host, as bytes
forgetful  ended instances are forgotten soon
mixed      all of these, as the seed says
hosts      two to four hosts on one PostgreSQL server
losing     the same; a copy of the server that lacks the last commits may take its place
values     programs keep values in a state store, in memory or in a file
shared     the same, on two to four hosts
poison     an instance or two end each of two to four hosts that runs them
rolling    newer code comes to one of two to four hosts after the other, and some instances need it
apps       the host has two apps that call each other, the second perhaps late
guests     the same, on two to four hosts, of which each has one of the apps or both
rotten     the file loses a bit between two lives
crowd      a hundred instances with small programs, and few faults or none: fast, and all checks as elsewhere
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from perdure.runtime.operations.retention.policy import Retention
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.machines.database.machine import DatabaseStores
from perdure.testing.simulation.machines.sqlite_file import SqliteFile

from .base_scenario import BaseScenario
from .hosts.quiet import SHORT_REST_S
from .hosts.scenario import HostsScenario
from .programs import Program
from .rotten import RottenScenario
from .scenario import Scenario

KINDS = (
    "plain",
    "clock",
    "lossy",
    "forward",
    "back",
    "sqlite",
    "postgres",
    "workers",
    "doors",
    "forgetful",
    "mixed",
    "hosts",
    "losing",
    "values",
    "shared",
    "poison",
    "rolling",
    "apps",
    "guests",
    "rotten",
    "crowd",
)
OF_HOSTS = ("hosts", "losing", "shared", "poison", "rolling", "guests")
# For how long retention keeps ended instances. Where requests come twice the second comes a second after the first, and
# begins anew what is forgotten by then.
FORGETS_S = (1, 30, 3_600)
# How many instances a world has at most, in mixed worlds: some bugs need a crowd, others are lost in one.
SIZES = (12, 30, 100)
CROWD = 100
BESIDE_ANOTHER = 6  # instances of each of two apps
BESIDE_POISON = 6  # instances
NEWER = 4  # instances that need newer code
FEW, SAVERS = 3, 4  # instances, and savers of a state store beside them
FEW_SAVERS = 2  # of each of two apps
# Most have children, as these make the most instances of the fewest steps.
SMALL_PROGRAMS: tuple[Program, ...] = (
    [["work", 1], ["child", [["work", 2]], 0], ["child", [["work", 3]], 0]],
    [["work", 1], ["event", "e0"], ["child", [["work", 2]], 0]],
    [["fan", 3], ["child", [["nap", 1]], 2]],
    [["either", 1, 0.01], ["again", [["work", 5], ["child", [["work", 2]], 1]]]],
)
# Half of the crowds have no faults, and the others few: a kill costs a crowd most.
FEW_FAULTS = {
    "kill.before": 0.005,
    "kill.unheard": 0.005,
    "kill.between": 0.004,
    "store.fail": 0.01,
    "store.slow": 0.004,
}
OTHER_FAULTS = (
    "kill.begun", "kill.effect", "kill.starting", "kill.reading", "kill.recovering", "kill.stopping", "host.pause",
    "host.restart", "store.open", "store.load", "store.inspect", "store.reminders", "answer.lost", "caller.gives_up",
    "activity.slow", "thread.begins", "timer.late",
)  # fmt: skip


def short_rest(kind: str) -> Mapping[str, Any]:
    """The further argument of `scenario_of` for usual tests: hosts at rest are watched for a short time."""
    return {"rest_s": SHORT_REST_S} if kind in OF_HOSTS else {}


def choices_of(kind: str, seed: int) -> Choices:
    """The choices of a world of a kind."""
    if kind != "crowd":
        return Choices(seed)
    few = FEW_FAULTS if seed % 2 else dict.fromkeys(FEW_FAULTS, 0.0)
    return Choices(seed, rates={**dict.fromkeys(OTHER_FAULTS, 0.0), **few})


def a_small_program(choices: Choices) -> Program:
    """Choose one of the programs of crowds."""
    return SMALL_PROGRAMS[choices.draw("program.small", len(SMALL_PROGRAMS))]


def a_retention(choices: Choices, *, lossy: bool) -> Retention:
    """Choose how long ended instances are kept, by status or for all."""
    kept_us = 1_000_000 * (FORGETS_S[1:] if lossy else FORGETS_S)[choices.draw("world.forgets", 2 if lossy else 3)]
    match choices.draw("world.forgets_what", 4):
        case 1:
            return Retention(completed_us=kept_us)
        case 2:
            return Retention(failed_us=kept_us, terminated_us=10 * kept_us)
        case 3:
            return Retention(any_terminal_us=kept_us, completed_us=2 * kept_us, audit_us=1_000_000)
        case _:
            return Retention(any_terminal_us=kept_us)


def a_few_savers(choices: Choices) -> int:
    """Choose how many savers each of two apps has."""
    return FEW_SAVERS if choices.draw("world.saves", 3) == 1 else 0


def of_hosts(kind: str, choices: Choices) -> Mapping[str, Any] | None:
    """The further arguments of `HostsScenario` for a kind of world; None: a world of it has one host at a time."""
    match kind:
        case "hosts" | "losing":
            return {"may_lose": kind == "losing"}
        case "shared":
            return {"savers": SAVERS, "instances_max": FEW}
        case "poison":
            return {"poisons": 1 + (choices.draw("world.poisons", 4) == 1), "instances_max": BESIDE_POISON}
        case "rolling":
            return {"newer": NEWER, "instances_max": FEW}
        case "guests":
            return {"apps": True, "instances_max": FEW, "savers": a_few_savers(choices)}
        case _:
            return None


@contextmanager
def scenario_of(kind: str, choices: Choices, *, begins_empty: bool = True, **named: Any) -> Iterator[BaseScenario]:
    """A world of a kind, until the block ends.

    Args:
        begins_empty: Whether the first host makes the tables of a database; otherwise they are there.
        named: Further arguments of `Scenario`, or of `HostsScenario`.
    """
    hosted = of_hosts(kind, choices)
    if hosted is not None:
        yield HostsScenario(choices, begins_empty=begins_empty, **{**hosted, **named})
        return
    if kind == "rotten":
        with SqliteFile() as file:
            yield RottenScenario(choices, file=file, **named)
        return
    draw = choices.draw
    mixed = kind == "mixed"
    made: dict[str, Any] = {
        "clock_is_set": kind == "clock" or (mixed and draw("world.clock_is_set", 6) == 1),
        "lossy": kind == "lossy" or (mixed and draw("world.lossy", 3) == 1),
        "deploy": {"forward": "forward", "back": "back and forth"}.get(kind),
    }
    if mixed:
        made["deploy"] = (None, None, "forward", "back and forth")[draw("world.deploy", 4)]
        made["instances_max"] = SIZES[draw("world.size", len(SIZES))]
    made["doors"] = kind == "doors" or (mixed and draw("world.doors", 4) == 1)
    if kind == "forgetful" or (kind in ("mixed", "apps") and draw("world.forgetful", 6) == 1):
        made["retention"] = a_retention(choices, lossy=made["lossy"])
    if kind == "values":
        made |= {"savers": SAVERS, "instances_max": FEW}
    if kind == "crowd":
        made |= {"instances_max": CROWD, "fates": ("left alone",), "programs": a_small_program}
    if kind == "apps":
        made |= {"apps": True, "instances_max": BESIDE_ANOTHER, "savers": a_few_savers(choices)}
    # Workers have one version of the code.
    made["workers"] = kind == "workers" or (mixed and made["deploy"] is None and draw("world.workers", 4) == 1)
    with ExitStack() as stack:
        in_file = kind == "sqlite" or (kind in ("values", "apps") and draw("world.file", 3) == 1)
        if in_file or (mixed and draw("world.sqlite", 8) == 1):
            made["store"] = stack.enter_context(SqliteFile()).store
        elif kind == "postgres" or (mixed and draw("world.postgres", 8) == 1):
            made["store"] = DatabaseStores(begins_empty=begins_empty).store
        yield Scenario(choices, **{**made, **named})
