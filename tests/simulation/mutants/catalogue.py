"""Bugs planted in the engine, to see that the worlds find them: a check of the checks.

Each is a patch of one place, and says which invariants may find it, in what worlds, and within how many of them. There
is one at least for each invariant, and one for each fault that was ever mended and that a world can show.

`hosting.py` has those of the layer of actors, `instances.py` those of workflows, `lists.py` those of lists and of
retention, `values.py` those of state stores, `damage.py` those of a file that rots, `workers.py` those of remote
workers, `database.py` those of the store on PostgreSQL, `poison.py` those of flight notes and suspects,
`rollout.py` those of old and new code side by side.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

# The number of worlds that a mutant may take, unless it says otherwise.
USUAL_WORLDS = 10
# In which of its worlds a mutant is found with the fewest steps, as the engine was when that was last looked up; a line
# `world | mutant` each, of `python -m tests.simulation.mutants.smallest`. It spares the usual tests the worlds before.
SMALLEST = Path(__file__).parent / "smallest.txt"
NO_RATES: Mapping[str, float] = MappingProxyType({})


class Mutant(NamedTuple):
    """A planted bug."""

    name: str
    plant: Callable[[pytest.MonkeyPatch], None]
    found_by: frozenset[str]  # the invariants of which one finds it
    within: int  # the number of worlds
    rates: Mapping[str, float]  # of faults that they need, by stream
    kind: str  # of world
    named: Mapping[str, Any]  # further arguments of `Scenario`

    @property
    def worlds(self) -> range:
        """The numbers of its worlds, from 1."""
        return range(1, 1 + self.within)


MUTANTS: list[Mutant] = []


def mutant(
    *found_by: str,
    within: int = USUAL_WORLDS,
    rates: Mapping[str, float] = NO_RATES,
    kind: str = "plain",
    **named: Any,
) -> Callable[[Callable[[pytest.MonkeyPatch], None]], None]:
    """Add a mutant to the list; its name is the function's. See `Mutant` for the arguments."""

    def add(plant: Callable[[pytest.MonkeyPatch], None]) -> None:
        name = plant.__name__.replace("_", " ")
        MUTANTS.append(Mutant(name, plant, frozenset(found_by), within, rates, kind, named))

    return add


def smallest_worlds() -> dict[str, int]:
    """The smallest world in which a mutant was found, from 1, by the mutant's name."""
    lines = (line.partition("|") for line in SMALLEST.read_text().splitlines())
    return {name.strip(): int(world) for world, _, name in lines}


@contextmanager
def planted(bug: Mutant) -> Iterator[None]:
    """Have a bug in the engine until the block ends."""
    with pytest.MonkeyPatch.context() as patch:
        bug.plant(patch)
        yield
