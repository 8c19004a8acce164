"""Explores worlds by their seeds, until one fails; then makes its schedule small.

The rule: what it reports has failed twice in the same way, by its schedule and without its seed.
"""

from collections.abc import Iterable

from ..choices import Choices
from .attempt import FoundFailure, NotRepeatable, Run, failing_again, signature
from .shrink import shrink


def explore(run: Run, seeds: Iterable[int], *, runs_max: int = 400) -> FoundFailure | None:
    """Run a world of each seed, up to the first that fails.

    Args:
        run: Runs a world.
        seeds: The seeds of the worlds.
        runs_max: How many worlds may be run to make the failure smaller.

    Returns:
        The failure, made small; None: all are green.

    Raises:
        NotRepeatable: A world did not do the same again.
    """
    for seed in seeds:
        found = run(Choices(seed))
        if found.error is None:
            continue
        again = failing_again(run, found.choices.taken)
        if again is None or again.error is None or signature(again.error) != signature(found.error):
            raise NotRepeatable(found, again or run(Choices(schedule=found.choices.taken)))
        return shrink(run, FoundFailure(found.choices.taken, again.error, again.story, 0, again), runs_max=runs_max)
    return None
