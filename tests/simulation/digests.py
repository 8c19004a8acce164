"""Prints the hash of one world for each seed, for a process that is to be compared with another.

python -c "..." forwards|backwards KIND=SEEDS...; the kinds are those in kinds.py.
"""

import logging
import sys

from .kinds import choices_of, scenario_of

# Small worlds without the rest at their end, because there are many. A mixed one has the parts of all kinds, and an
# instance costs most where it is on a file or behind doors.
INSTANCES_MAX = {"mixed": 3, "sqlite": 1, "rotten": 1, "postgres": 1, "doors": 1, "hosts": 1}
INSTANCES_MAX_ELSEWHERE = 2


def main() -> None:
    logging.disable(logging.CRITICAL)
    worlds = [
        (kind, seed) for kind, _, seeds in (each.partition("=") for each in sys.argv[2:]) for seed in range(int(seeds))
    ]
    # One process goes forwards, the other backwards: what a world leaves behind must not show in the next.
    for kind, seed in worlds if sys.argv[1] == "forwards" else reversed(worlds):
        instances_max = INSTANCES_MAX.get(kind, INSTANCES_MAX_ELSEWHERE)
        with scenario_of(kind, choices_of(kind, seed), instances_max=instances_max, rests=False) as scenario:
            outcome = scenario.run()
        print(kind, seed, outcome.digest, outcome.kills, outcome.instances)
