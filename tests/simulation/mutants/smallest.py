"""Prints in which of its worlds each mutant is found with the fewest steps, and in which first.

    python -m tests.simulation.mutants.smallest > tests/simulation/mutants/smallest.txt

The other stream has the number of worlds that each may take, which is a promise, and the number that it takes.
"""

import logging
import sys

from . import apps, damage, database, hosting, hosts, instances, lists, poison, rollout, values, workers
from .catalogue import MUTANTS, Mutant
from .finding import Find, found

# They have filled the list.
KNOWN = (apps, damage, database, hosting, hosts, instances, lists, poison, rollout, values, workers)


def finds(mutant: Mutant) -> list[Find]:
    """All worlds of a mutant in which it is found by an expected invariant."""
    tried = (found(mutant, (world,)) for world in mutant.worlds)
    return [find for find in tried if find is not None and find.broken.invariant in mutant.found_by]


def main() -> None:
    """Print a line for each mutant."""
    logging.disable()
    for mutant in MUTANTS:
        made = finds(mutant)
        first = f"found in {made[0].world}, by {made[0].broken.invariant}" if made else "not found"
        print(f"{first}, of {mutant.within}: {mutant.name}", file=sys.stderr)
        if made:
            print(f"{min(made, key=lambda find: find.steps).world} | {mutant.name}", flush=True)


if __name__ == "__main__":
    main()
