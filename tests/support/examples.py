"""With how many examples a property is tried: all of them in `make test-slow`, a third in `make test`."""

import os

SHARE = 1 if os.environ.get("EXAMPLES") == "all" else 3


def examples(number: int) -> int:
    """Of so many examples, how many are tried here."""
    return max(1, number // SHARE)
