"""Before and after: two results documents beside each other.

The rule: a difference within the spread of the runs is noise, whatever its size. A figure is called better or worse
only when every run of one document lies beyond every run of the other. Single runs get no verdict, because how far two
of them would lie apart is not known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from math import comb
from typing import TYPE_CHECKING, NamedTuple

from ..terminal import Line, short, table
from .machine import Machine
from .results import Range, Result, Results, range_of

if TYPE_CHECKING:
    from rich.table import Table

FLUSH_TIMES = 1.5  # as slow, and it is another disk, or one that was busy


class DifferenceVerdict(Enum):
    """Whether a difference is more than noise, and in which direction."""

    BETTER = "better"
    WORSE = "worse"
    NOISE = "noise"
    UNKNOWN = "one run"


STYLES = {
    DifferenceVerdict.BETTER: "green",
    DifferenceVerdict.WORSE: "red",
    DifferenceVerdict.NOISE: "dim",
    DifferenceVerdict.UNKNOWN: "yellow",
}


class Key(NamedTuple):
    """What is compared with each other."""

    workload: str
    driver: str
    in_flight: int
    rate: float | None
    processes: int = 1

    def __str__(self) -> str:
        load = f"{self.in_flight} in flight" if self.rate is None else f"{self.rate:g} a second"
        several = f" x{self.processes}" if self.processes > 1 else ""
        return f"{self.workload} {self.driver}{several}, {load}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A figure before and after."""

    key: Key
    figure: str
    before: Range
    after: Range

    @property
    def ratio(self) -> float | None:
        """After / before; None if there was nothing before."""
        return self.after.median / self.before.median if self.before.median else None

    @property
    def verdict(self) -> DifferenceVerdict:
        if self.before.runs < 2 or self.after.runs < 2:
            return DifferenceVerdict.UNKNOWN
        if self.before.overlaps(self.after):
            return DifferenceVerdict.NOISE
        rose = self.after.median > self.before.median
        return DifferenceVerdict.BETTER if rose is higher_is_better(self.figure) else DifferenceVerdict.WORSE

    @property
    def worse_percent(self) -> float:
        """By how much it is worse, in percent of what it was; 0 if it is not."""
        if self.verdict is not DifferenceVerdict.WORSE:
            return 0.0
        if not self.before.median:
            return float("inf")
        return abs(self.after.median - self.before.median) / abs(self.before.median) * 100


# Of these, neither more nor less is better: they say what was done, or how.
NEUTRAL = frozenset(
    {"elapsed_s", "instances", "wakers", "events", "commits_per_s", "units_per_commit", "in_flight_at_kill"}
    | {"offered_per_s", "load_cpu_ms_per_unit"}
)
LOWER_ALTHOUGH_PER_S = frozenset({"written_bytes_per_s"})


def higher_is_better(figure: str) -> bool | None:
    """Which way a figure should go; None for either."""
    if figure in NEUTRAL or "_slope_" in figure or figure.startswith("sent_late_"):
        return None
    return figure.endswith("_per_s") and figure not in LOWER_ALTHOUGH_PER_S


def compared(before: Results, after: Results) -> list[Difference]:
    """Everything that both have, in the order of the first."""
    first, second = by_key(before), by_key(after)
    return [
        Difference(key=key, figure=figure, before=range_of(values), after=range_of(others))
        for key in first
        if key in second
        for figure, values in figures_of(first[key]).items()
        if higher_is_better(figure) is not None and (others := figures_of(second[key]).get(figure))
    ]


def by_key(document: Results) -> dict[Key, list[Result]]:
    found: dict[Key, list[Result]] = {}
    for result in document.results:
        run = result.run
        key = Key(run.workload, run.driver, run.in_flight, run.rate, run.processes)
        found.setdefault(key, []).append(result)
    return found


def figures_of(results: Sequence[Result]) -> dict[str, list[float]]:
    """The figures of some runs, without one that says the same as another."""
    found: dict[str, list[float]] = {}
    for result in results:
        for figure, value in result.outcome.figures.items():
            found.setdefault(figure, []).append(value)
    if "units_per_s" in found:
        found.pop("instances_per_s", None)
    return found


def warnings(before: Results, after: Results) -> Iterator[str]:
    """Why the two may not be comparable, a sentence for each."""
    yield from machine_warnings(before.machine, after.machine)
    first, second = by_key(before), by_key(after)
    for key in (key for key in first if key in second):
        for name in ("seconds", "instances", "durability", "always_replay"):
            was, became = ({getattr(result.run, name) for result in of[key]} for of in (first, second))
            if was != became:
                yield f"{key}: {name} was {listed(was)} and is {listed(became)}"
    yield from sorted(f"{key}: only in one of them" for key in first.keys() ^ second.keys())


def machine_warnings(before: Machine, after: Machine) -> Iterator[str]:
    for name in ("python", "sqlite", "uvloop", "system", "processor", "cores"):
        was, became = getattr(before, name), getattr(after, name)
        if was != became:
            yield f"{name} was {was} and is {became}"
    slow, fast = sorted((before.flush_ms, after.flush_ms), reverse=True)
    if slow > fast * FLUSH_TIMES:
        yield f"a flush took {before.flush_ms:.2f} ms and takes {after.flush_ms:.2f} ms"


def listed(values: set[object]) -> str:
    return " and ".join(sorted(map(str, values)))


def chance(differences: Sequence[Difference]) -> float | None:
    """How likely it is, at most, that one figure is called better or worse though nothing changed.

    If nothing changed, every order of the runs is as likely as any other, and
    two of them part the documents (the extreme of Mann and Whitney's test).
    """
    told = [each for each in differences if each.verdict is not DifferenceVerdict.UNKNOWN]
    return max((2 / comb(each.before.runs + each.after.runs, each.before.runs) for each in told), default=None)


def summary(differences: Sequence[Difference]) -> str:
    """The verdicts in a sentence or two."""
    counted = {verdict: sum(each.verdict is verdict for each in differences) for verdict in DifferenceVerdict}
    if counted[DifferenceVerdict.UNKNOWN] == len(differences):
        return "Of single runs nothing can be said: measure both with --repeat 5."
    better, worse = counted[DifferenceVerdict.BETTER], counted[DifferenceVerdict.WORSE]
    by_chance = chance(differences)
    assert by_chance is not None
    return (
        f"{better} better, {worse} worse, {counted[DifferenceVerdict.NOISE]} within the noise. "
        f"With so few runs, {by_chance:.1%} of all figures are called better or worse although nothing changed."
    )


def differences_table(differences: Sequence[Difference]) -> "Table":
    """The differences, for a terminal of 80 columns."""
    lines: list[Line] = []
    key: Key | None = None
    for each in differences:
        if each.key != key:
            key = each.key
            lines.append(Line((str(key),), "bold", begins_section=True))
        ratio = f"{each.ratio:.2f}" if each.ratio is not None else "-"
        values = (cell for found in (each.before, each.after) for cell in (short(found.median, 4), spread(found)))
        lines.append(Line((f"  {each.figure}", *values, ratio, each.verdict.value), STYLES[each.verdict]))
    return table(("", "before", "", "after", "", "after /\nbefore", ""), lines)


def spread(found: Range) -> str:
    """How far the runs lie apart, in percent of their median."""
    if found.runs < 2 or not found.median:
        return ""
    return f"±{(found.high - found.low) / 2 / found.median:.0%}"
