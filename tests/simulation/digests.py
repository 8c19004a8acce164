"""Prints the hash of one world for each seed, for a process that is to be compared with another.

python -c "..." FIRST END KIND; KIND is one of those in kinds.py.
"""

import logging
import sys

from perdure.testing.simulation.choices import Choices

from .kinds import scenario_of

# Small worlds, because there are many of them.
INSTANCES_MAX = 4


def main() -> None:
    logging.disable(logging.CRITICAL)
    first, end, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    # One process goes forwards, the other backwards: what a world leaves behind must not show in the next.
    seeds = range(first, end) if first < end else range(first - 1, end - 1, -1)
    for seed in seeds:
        with scenario_of(kind, Choices(seed), instances_max=INSTANCES_MAX) as scenario:
            outcome = scenario.run()
        print(seed, outcome.digest, outcome.kills, outcome.instances)
