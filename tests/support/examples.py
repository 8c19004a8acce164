"""The number of examples of a property: all in `make test-slow`, a fifth in `make test`.

Simulated tests that are run as users run them have all their seeds in `make test-slow`, and twenty in `make test`.
Sweeps over seeds do the same.
"""

import os

SHARE = 1 if os.environ.get("EXAMPLES") == "all" else 5
SEEDS = ["--perdure-seeds=20"] if SHARE > 1 else []


def examples(number: int) -> int:
    """The number of examples that are tried here, out of a full number."""
    return max(1, number // SHARE)
