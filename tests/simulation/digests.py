"""Prints the hash of one world for each seed, for a process that is to be compared with another.

python -c "..." forwards|backwards KIND=SEEDS...; the kinds are those in kinds.py.
"""

import logging
import sys

from perdure.testing.simulation.choices import Choices

from .kinds import scenario_of

# Small worlds, because there are many of them.
INSTANCES_MAX = 4


def main() -> None:
    logging.disable(logging.CRITICAL)
    worlds = [
        (kind, seed) for kind, _, seeds in (each.partition("=") for each in sys.argv[2:]) for seed in range(int(seeds))
    ]
    # One process goes forwards, the other backwards: what a world leaves behind must not show in the next.
    for kind, seed in worlds if sys.argv[1] == "forwards" else reversed(worlds):
        with scenario_of(kind, Choices(seed), instances_max=INSTANCES_MAX) as scenario:
            outcome = scenario.run()
        print(kind, seed, outcome.digest, outcome.kills, outcome.instances)
