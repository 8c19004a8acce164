"""A sweep: every single fault of a calm world, and then every pair, each in a world of its own.

The rule: its result says whether it is complete or was cut short.

A calm run counts the places at which each kind of fault can strike. Each is tried alone; then, where that world was
green, each with one of the places that the world has reached.
"""

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from ..choices import Choices, Schedule, union
from ..wall import WorldTooLong
from .attempt import Attempt, FoundFailure, Run, failing_again


class Sweep(NamedTuple):
    """The worlds that a sweep has tried.

    Args:
        places: The single faults.
        pairs: The pairs of faults that were tried.
        failures: Faults that broke something: single ones, then pairs of two that break nothing alone.
        complete: Whether all were tried.
    """

    places: int
    pairs: int
    failures: list[FoundFailure]
    complete: bool

    def __str__(self) -> str:
        return (
            f"{self.places} places, {self.pairs} pairs, {'complete' if self.complete else 'cut short'}, "
            f"{len(self.failures)} failures"
        )


def sweep(
    run: Run,
    *,
    pairs: bool = True,
    pairs_of_failing: bool = True,
    without: Collection[str] = (),
    only: Callable[[str], bool] = lambda stream: True,
    runs_max: int = 10_000,
    enough: int = 10,
    enough_pairs: int | None = None,
) -> Sweep:
    """Try every single fault, and then every pair.

    Args:
        run: Runs a world.
        pairs: Whether pairs are tried.
        pairs_of_failing: Whether pairs are tried even if a single fault has broken something.
        without: Streams that are left out: `kill.between` has a place for each moment.
        only: Says of a stream whether it is taken.
        runs_max: The maximum number of worlds.
        enough: The number of failures at which it ends.
        enough_pairs: The same once pairs are tried; None: as `enough`.

    Raises:
        NotRepeatable: A failure did not happen again.
    """

    def taken(stream: str) -> bool:
        return stream not in without and only(stream)

    calm = run(Choices())
    if calm.error is not None:
        return Sweep(0, 0, [FoundFailure({}, calm.error, calm.story, 1, calm)], True)
    singles = list(_places(calm, taken))
    found = Sweep(len(singles), 0, [], True)
    runs, green = 1, list[tuple[Schedule, Attempt]]()
    for single in singles:
        if runs >= runs_max or len(found.failures) >= enough:
            return found._replace(complete=False)
        runs += 1
        tried = run(Choices(schedule=single))
        if tried.error is None:
            green.append((single, tried))
        elif not _take(found, run, single, tried, runs):
            return found._replace(complete=False)
    enough = enough_pairs if enough_pairs is not None else enough
    seen = {frozenset(single.items()) for single in singles}
    bad = {place for failure in found.failures for place in failure.schedule.items()}
    for single, tried in green if pairs and (pairs_of_failing or not found.failures) else ():
        for second in _places(tried, taken):
            pair = union([single, second])
            key = frozenset(pair.items())
            if key in seen or len(pair) < 2 or bad.intersection(pair.items()):
                continue
            seen.add(key)
            if runs >= runs_max or len(found.failures) >= enough:
                return found._replace(complete=False)
            runs += 1
            found = found._replace(pairs=found.pairs + 1)
            both = run(Choices(schedule=pair))
            if both.error is not None and not _take(found, run, pair, both, runs):
                return found._replace(complete=False)
    return found


def _places(of: Attempt, taken: Callable[[str], bool]) -> Iterator[Schedule]:
    """Each single fault that could have struck in a world."""
    for stream, kinds in of.choices.faults.items():
        if taken(stream):
            for index in range(of.choices.drawn[stream]):
                yield from ({(stream, index): value} for value in range(1, kinds + 1))


def _take(found: Sweep, run: Run, schedule: Schedule, tried: Attempt, runs: int) -> bool:
    """Add a failure once it is believed; return whether the sweep goes on: the next world may take too long, too."""
    failed: Attempt | None = tried
    goes_on = not isinstance(tried.error, WorldTooLong)
    if goes_on:
        failed = failing_again(run, schedule)
    assert failed is not None, "it has failed a moment ago"
    assert failed.error is not None
    found.failures.append(FoundFailure(schedule, failed.error, failed.story, runs, failed))
    return goes_on
