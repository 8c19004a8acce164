"""The kinds of world.

plain      one host, a store in memory
clock      its date is set back and forward
lossy      the network loses and doubles requests
forward    lives begin with the older or the newer code, and the newer stays
back       the same, back and forth
sqlite     the store is a file of SQLite
workers    the code is with workers of SDKs
doors      callers go by the doors of the host, as bytes
mixed      all of these, as the seed says
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.machines.sqlite_file import SqliteFile

from .scenario import Scenario

KINDS = ("plain", "clock", "lossy", "forward", "back", "sqlite", "workers", "doors", "mixed")
# How many instances a world has at most, in mixed worlds: some bugs need a crowd, others are lost in one.
SIZES = (12, 30, 100)


@contextmanager
def scenario_of(kind: str, choices: Choices, **named: Any) -> Iterator[Scenario]:
    """A world of a kind, until the block ends.

    Args:
        named: Further arguments of `Scenario`.
    """
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
    # Workers have one version of the code.
    made["workers"] = kind == "workers" or (mixed and made["deploy"] is None and draw("world.workers", 4) == 1)
    with ExitStack() as stack:
        if kind == "sqlite" or (mixed and draw("world.sqlite", 8) == 1):
            made["store"] = stack.enter_context(SqliteFile()).store
        yield Scenario(choices, **{**made, **named})
