"""Compares two results documents, before and after.

The rule: a difference within the spread of the runs is noise, whatever its size. A figure is better or worse only if
every run of one document is beyond every run of the other. Single runs get no verdict, because their spread is unknown.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import comb
from typing import TYPE_CHECKING, NamedTuple

from ..terminal import Line, short, table
from ..workloads.run import Run
from .machine import Machine
from .results import Range, Result, Results, figures_of

if TYPE_CHECKING:
    from rich.table import Table

FLUSH_TIMES = 1.5  # a larger ratio of flush times means another disk, or a busy one


BETTER, WORSE, NOISE, UNKNOWN = "better", "worse", "noise", "one run"
STYLES = {BETTER: "green", WORSE: "red", NOISE: "dim", UNKNOWN: "yellow"}


class Difference(NamedTuple):
    key: str
    figure: str
    before: Range
    after: Range

    @property
    def ratio(self) -> float | None:
        return self.after.median / self.before.median if self.before.median else None

    @property
    def verdict(self) -> str:
        if self.before.runs < 2 or self.after.runs < 2:
            return UNKNOWN
        if self.before.overlaps(self.after):
            return NOISE
        rose = self.after.median > self.before.median
        return BETTER if rose is higher_is_better(self.figure) else WORSE

    @property
    def worse_percent(self) -> float:
        """How much worse it is, in percent of the value before; 0 if it is not."""
        if self.verdict != WORSE:
            return 0.0
        return abs(self.ratio - 1) * 100 if self.ratio is not None else float("inf")


# Figures that describe a run, of which neither more nor less is better.
NEUTRAL = frozenset(
    {"elapsed_s", "instances", "wakers", "events", "commits_per_s", "units_per_commit", "in_flight_at_kill"}
    | {"offered_per_s", "load_cpu_ms_per_unit"}
)
LOWER_ALTHOUGH_PER_S = frozenset({"written_bytes_per_s"})


def higher_is_better(figure: str) -> bool | None:
    """Whether higher is better; None: neither."""
    if figure in NEUTRAL or "_slope_" in figure or figure.startswith("sent_late_"):
        return None
    return figure.endswith("_per_s") and figure not in LOWER_ALTHOUGH_PER_S


def compared(before: Results, after: Results) -> list[Difference]:
    first, second = ({key: compared_of(found) for key, found in by_key(one).items()} for one in (before, after))
    return [
        Difference(key, figure, found, second[key][figure])
        for key in first
        for figure, found in first[key].items()
        if figure in second.get(key, {})
    ]


def by_key(document: Results) -> dict[str, list[Result]]:
    """The runs by workload, driver and load, which are compared with each other."""
    found: dict[str, list[Result]] = {}
    for result in document.results:
        found.setdefault(key_of(result.run), []).append(result)
    return found


def key_of(run: Run) -> str:
    load = f"{run.in_flight} in flight" if run.rate is None else f"{run.rate:g} a second"
    several = f" x{run.processes}" if run.processes > 1 else ""
    return f"{run.workload} {run.driver}{several}, {load}"


def compared_of(found: Sequence[Result]) -> dict[str, Range]:
    """The figures of runs that can be better, without redundant ones."""
    figures = figures_of([result.outcome for result in found])
    twice = {"instances_per_s"} if "units_per_s" in figures else set()
    return {name: over for name, over in figures.items() if higher_is_better(name) is not None and name not in twice}


def warnings(before: Results, after: Results) -> Iterator[str]:
    """Yield the reasons why the documents may not be comparable."""
    yield from machine_warnings(before.machine, after.machine)
    first, second = by_key(before), by_key(after)
    for key in (key for key in first if key in second):
        for name in ("seconds", "instances", "durability", "always_replay"):
            was, became = (listed({getattr(result.run, name) for result in of[key]}) for of in (first, second))
            if was != became:
                yield f"{key}: {name} was {was} and is {became}"
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
    """The upper bound of the probability that an unchanged figure is called better or worse.

    Without a change all orders of the runs are equally likely, and two of them separate the documents (the extreme case
    of the Mann-Whitney test).
    """
    told = [each for each in differences if each.verdict != UNKNOWN]
    return max((2 / comb(each.before.runs + each.after.runs, each.before.runs) for each in told), default=None)


def summary(differences: Sequence[Difference]) -> str:
    """The verdicts in one or two sentences."""
    by_chance = chance(differences)
    if by_chance is None:
        return "Of single runs nothing can be said: measure both with --repeat 5."
    found = Counter(each.verdict for each in differences)
    return (
        f"{found[BETTER]} better, {found[WORSE]} worse, {found[NOISE]} within the noise. "
        f"With so few runs, {by_chance:.1%} of all figures are called better or worse although nothing changed."
    )


def differences_table(differences: Sequence[Difference]) -> "Table":
    lines: list[Line] = []
    key = ""
    for each in differences:
        if each.key != key:
            key = each.key
            lines.append(Line((key,), "bold", begins_section=True))
        ratio = f"{each.ratio:.2f}" if each.ratio is not None else "-"
        values = (cell for found in (each.before, each.after) for cell in (short(found.median, 4), spread(found)))
        lines.append(Line((f"  {each.figure}", *values, ratio, each.verdict), STYLES[each.verdict]))
    return table(("", "before", "", "after", "", "after /\nbefore", ""), lines)


def spread(found: Range) -> str:
    """The spread of the runs, in percent of their median."""
    return "" if found.runs < 2 or not found.median else f"±{(found.high - found.low) / 2 / found.median:.0%}"
