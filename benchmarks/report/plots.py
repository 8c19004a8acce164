"""What is to be drawn, as values: from cases to lines and bars.

The one law: nothing here knows how it is drawn (`drawing.py` does), and nothing
is smoothed away: a point is a median with its range, a distribution is that of
all latencies of all runs. What was not measured makes no plot.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count, groupby
from math import log10
from statistics import median
from typing import TypeAlias

from ..drivers.measure import percentile
from ..workloads.table import BY_NAME
from .cases import Case, Range, build_of
from .plot import Bar, Line, Panel, Plot, Point, Scale
from .tables import DRIVER_TITLES, driver_title, written

Plotter: TypeAlias = Callable[[Sequence[Case]], Iterator[Plot]]

IN_A_CURVE_MIN = 2
LATENCIES_MIN = 10  # of fewer there is not even a p90
QUANTILES = 200  # points of a distribution's curve
LINES_MAX = 8  # colors there are; more lines would not be told apart anyhow


def plots(cases: Sequence[Case]) -> list[Plot]:
    """Everything that can be drawn from these, each under a name of its own."""
    found: dict[str, Plot] = {}
    for plotter in PLOTTERS:
        for plot in plotter(cases):
            names = (plot.name if number == 1 else f"{plot.name}-{number}" for number in count(1))
            name = next(name for name in names if name not in found)
            found[name] = replace(plot, name=name)
    return list(found.values())


# Bars.

RATES_OF_UNITS = ("units_per_s", "reminders_per_s")  # the second: of those that are all due at once


def overview(cases: Sequence[Case], figure: str, title: Callable[[Case], str]) -> list[Panel]:
    """A panel for each workload, a bar for each way to reach the engine, and for each other engine."""
    panels = []
    names = names_of(cases)
    for _, of_workload in by_workload(usual_cases(cases)):
        having = [case for case in of_workload if case.has(figure)]
        bars = [
            Bar(
                label=names[id(case)],
                value=case.figure(figure),
                text=short(case.figure(figure).median),
                color=color_of(case, cases),
            )
            for case in having
        ]
        if bars:
            panels.append(Panel(title=title(having[0]), bars=bars))
    return panels


def throughput(cases: Sequence[Case]) -> Iterator[Plot]:
    closed = [case for case in cases if case.rate is None]
    by_figure = {figure: [case for case in closed if case.has(figure)] for figure in RATES_OF_UNITS}
    panels = [
        panel
        for figure, chosen in by_figure.items()
        for panel in overview(chosen, figure, lambda case: f"{titled(case)}: {case.workload.unit} a second")
    ]
    if panels:
        yield Plot(
            name="throughput",
            title="Throughput",
            note="More is better. The thin line is the range of the runs. Each workload has a scale of its own.",
            panels=panels,
            cases=[case for chosen in by_figure.values() for case in usual_cases(chosen)],
        )


def cost(cases: Sequence[Case]) -> Iterator[Plot]:
    chosen = [case for case in cases if case.rate is None and case.has("cpu_ms_per_unit")]
    if panels := overview(chosen, "cpu_ms_per_unit", lambda case: f"{titled(case)}: CPU ms each"):
        yield Plot(
            name="cpu",
            title="CPU time of a step",
            note="Less is better. User and system time of all threads of the engine, for each unit counted. "
            "In process, the load's own part is in it.",
            panels=panels,
            cases=usual_cases(chosen),
        )


# Curves over a figure.


def concurrency(cases: Sequence[Case]) -> Iterator[Plot]:
    closed = [case for case in cases if case.rate is None and case.has("units_per_s")]
    for name, of_workload in by_workload(closed):
        groups = curves(of_workload, lambda case: case.run.in_flight)
        if not groups:
            continue
        shown = [case for group in groups for case in group]
        yield Plot(
            name=f"concurrency-{name}",
            title=f"{name} {BY_NAME[name].title}: throughput and latency against concurrency",
            note="Medians of the runs, with their range. Each number of instances in flight was run by itself; "
            "when one completes, the next is started.",
            panels=[
                Panel(
                    title=f"{BY_NAME[name].unit} a second",
                    x_title="instances in flight",
                    x_scale=Scale.LOG,
                    lines=lines_over(groups, cases, in_flight_of, {"units_per_s": ""}),
                ),
                Panel(
                    title="latency, ms",
                    x_title="instances in flight",
                    x_scale=Scale.LOG,
                    y_scale=Scale.LOG,
                    lines=lines_over(groups, cases, in_flight_of, {"p50_ms": "p50", "p99_ms": "p99"}),
                ),
            ],
            cases=shown,
        )


def rates(cases: Sequence[Case]) -> Iterator[Plot]:
    for name, of_workload in by_workload([case for case in cases if case.rate is not None]):
        groups = alike(of_workload)
        yield Plot(
            name=f"rate-{name}",
            title=f"{name} {BY_NAME[name].title}: latency against a rate of arrivals",
            note="Instances arrive whether or not others have ended, and their latency runs from when they were due. "
            "Where the engine cannot keep up, the points on the right fall below the grey line.",
            panels=[
                Panel(
                    title="latency, ms",
                    x_title="instances due, a second",
                    y_scale=Scale.LOG,
                    lines=lines_over(groups, cases, rate_of, {"p50_ms": "p50", "p99_ms": "p99"}),
                ),
                Panel(
                    title="instances ended, a second",
                    x_title="instances due, a second",
                    lines=lines_over(groups, cases, rate_of, {"instances_per_s": ""}),
                    diagonal=True,
                ),
            ],
            cases=of_workload,
        )


def in_flight_of(case: Case) -> float:
    return case.run.in_flight


def rate_of(case: Case) -> float:
    assert case.rate is not None
    return case.rate


def lines_over(
    groups: Sequence[Sequence[Case]],
    everything: Sequence[Case],
    x_of: Callable[[Case], float],
    figures: dict[str, str],
    *,
    of_any_extent: bool = False,
) -> list[Line]:
    """A line for each group and figure; the second figure's is dashed."""
    names = names_of(everything, of_any_extent=of_any_extent)
    return [
        Line(
            label=" ".join(filter(None, (names[id(group[0])], what))),
            points=points,
            color=color_of(group[0], everything),
            dashed=position > 0,
        )
        for group in groups
        for position, (figure, what) in enumerate(figures.items())
        if (points := points_of([(x_of(case), case.figure(figure)) for case in group if case.has(figure)]))
    ]


def points_of(found: Iterable[tuple[float, Range]]) -> list[Point]:
    return [Point(x, at.median, at.low, at.high) for x, at in sorted(found, key=lambda pair: pair[0])]


def curves(cases: Sequence[Case], x_of: Callable[[Case], float], *, of_any_extent: bool = False) -> list[list[Case]]:
    """Groups that have more than one place along the axis."""
    groups = alike(cases, of_any_extent=of_any_extent)
    return [group for group in groups if len({x_of(case) for case in group}) >= IN_A_CURVE_MIN]


def alike(cases: Iterable[Case], *, of_any_extent: bool = False) -> list[list[Case]]:
    """Groups that differ only in how much is put onto them at once; or, of any extent, in all as well."""
    groups: dict[tuple[object, ...], list[Case]] = {}
    for case in cases:
        run = case.run
        key = (run.workload, run.driver, run.processes, run.durability, run.always_replay, build_of(case.machine))
        groups.setdefault(key if of_any_extent else (*key, extent_of(case)), []).append(case)
    return list(groups.values())


def extent_of(case: Case) -> str:
    """How long its runs went on, or how many instances they had."""
    run = case.run
    return f"{run.seconds:g} s" if run.instances is None else f"{run.instances} instances"


# Distributions.


def distributions(cases: Sequence[Case]) -> Iterator[Plot]:
    panels, used = [], []
    names = names_of(cases)
    for _, of_workload in by_workload(usual_cases([case for case in cases if case.rate is None])):
        having = [case for case in of_workload if has_distribution(case)]
        if having:
            what = "lateness" if having[0].has("late_p50_ms") else "latency"
            panels.append(
                percentile_panel(
                    f"{titled(having[0])}: {what}, ms",
                    [(names[id(case)], color_of(case, cases), case) for case in having],
                )
            )
            used += having
    if panels:
        yield Plot(name="distribution", title="Latency distribution", note=PERCENTILES, panels=panels, cases=used)


def distributions_at_rates(cases: Sequence[Case]) -> Iterator[Plot]:
    for name, of_workload in by_workload([case for case in cases if case.rate is not None]):
        panels = []
        for group in alike(of_workload):
            having = [case for case in group if has_distribution(case)][:LINES_MAX]
            labelled = [(f"{short(rate_of(case))} a second", position, case) for position, case in enumerate(having)]
            if labelled:
                panels.append(percentile_panel(f"{names_of(cases)[id(group[0])]}: latency, ms", labelled))
        if panels:
            yield Plot(
                name=f"rate-distribution-{name}",
                title=f"{name} {BY_NAME[name].title}: latency distribution at each rate",
                note=PERCENTILES,
                panels=panels,
                cases=of_workload,
            )


PERCENTILES = (
    "So many of all instances took no longer than this; all runs together. "
    "Each step to the right leaves out all but a tenth of what is left."
)


def percentile_panel(title: str, labelled: Sequence[tuple[str, int, Case]]) -> Panel:
    return Panel(
        title=title,
        x_title="percentile",
        x_scale=Scale.NINES,
        y_scale=Scale.LOG,
        lines=[
            Line(label=label, points=percentile_curve(latencies_of(case)), color=color, raw=True)
            for label, color, case in labelled
        ],
    )


def has_distribution(case: Case) -> bool:
    return sum(len(outcome.latencies_us) for outcome in case.outcomes) >= LATENCIES_MIN


def latencies_of(case: Case) -> list[int]:
    return sorted(latency for outcome in case.outcomes for latency in outcome.latencies_us)


def percentile_curve(ordered_us: Sequence[int]) -> list[Point]:
    """A percentile curve from p1 on, which ends where there are no more values: of 1000, p99.9 is the last."""
    nines_max = decades(1 / len(ordered_us)) if len(ordered_us) > 1 else 0.0
    found = []
    for step in range(QUANTILES + 1):
        nines = nines_max * step / QUANTILES
        at_ms = percentile(ordered_us, min(100.0, max(1.0, 100 * (1 - 10**-nines)))) / 1000
        found.append(Point(nines, at_ms, at_ms, at_ms))
    return found


def decades(share: float) -> float:
    """How many nines leave out this share: 1 for 90 %, 3 for 99.9 %."""
    return -log10(share)


# Growth, and time.

# A figure that was taken at several sizes: `at_10_p50_ms`, `cold_1000_events_per_s`.
AT_SIZE = re.compile(r"([a-z]+)_(\d+)_([a-z]\w*)")


def growth(cases: Sequence[Case]) -> Iterator[Plot]:
    """Figures that name the size at which they were taken."""
    for case in cases:
        sizes: dict[str, dict[str, list[tuple[float, Range]]]] = {}
        for figure, found in case.figures().items():
            if match := AT_SIZE.fullmatch(figure):
                what, size, rest = match.groups()
                unit = "ms" if rest.endswith("_ms") else rest.replace("_per_s", " a second").replace("_", " ")
                label = rest.removesuffix("_ms") if rest.endswith("_ms") else what
                sizes.setdefault(unit, {}).setdefault(label, []).append((float(size), found))
        panels = [
            Panel(
                title="latency, ms" if unit == "ms" else unit,
                x_title="events in the history" if case.has("events") else "size",
                x_scale=Scale.LOG,
                y_scale=scale_for(at for found in by_label.values() for _, at in found),
                lines=[
                    Line(label=label, points=points_of(found), color=position)
                    for position, (label, found) in enumerate(by_label.items())
                ],
            )
            for unit, by_label in sizes.items()
        ]
        if panels:
            yield Plot(
                name=f"growth-{case.run.workload}",
                title=f"{titled(case)}: how cost grows with size",
                note="Medians of the runs, with their range. A level line: the size costs nothing.",
                panels=panels,
                cases=[case],
            )


def scale_for(found: Iterable[Range]) -> Scale:
    """From zero, unless the small ones could not be told from it."""
    medians = [at.median for at in found]
    return Scale.LINEAR if max(medians) < LINEAR_TIMES_MAX * min(medians) else Scale.LOG


LINEAR_TIMES_MAX = 20

PER_SLEEPER = {"kib_per_sleeper": "KiB of RSS for each", "rss_bytes_per_sleeper": "bytes of RSS for each"} | {
    "disk_bytes_per_sleeper": "bytes on the disk for each"
}


def sleepers(cases: Sequence[Case]) -> Iterator[Plot]:
    """What a sleeper costs, over the number of sleepers, if several numbers were run."""
    for name, of_workload in by_workload(cases):
        panels = []
        for figure, title in PER_SLEEPER.items():
            having = [case for case in of_workload if case.has(figure) and case.has("instances")]
            groups = curves(having, asleep_in, of_any_extent=True)
            if groups:
                lines = lines_over(groups, cases, asleep_in, {figure: ""}, of_any_extent=True)
                panels.append(Panel(title=title, x_title="instances asleep", x_scale=Scale.LOG, lines=lines))
        if panels:
            yield Plot(
                name=f"sleepers-{name}",
                title=f"{name} {BY_NAME[name].title}: what a sleeper costs",
                note="Medians of the runs, with their range.",
                panels=panels,
                cases=of_workload,
            )


def asleep_in(case: Case) -> float:
    return case.figure("instances").median


SERIES_TIME = "at_s"
SERIES_TITLES = {"units_per_s": "a second", "rss_mib": "RSS, MiB"}
SMOOTHED_OVER = 0.02  # of the series: half of the window of the running median


def series(cases: Sequence[Case]) -> Iterator[Plot]:
    """What was sampled over time."""
    for case in cases:
        sampled = [outcome.series for outcome in case.outcomes if outcome.series.get(SERIES_TIME)]
        names = dict.fromkeys(name for found in sampled for name in found if name != SERIES_TIME)
        panels = [
            Panel(
                title=SERIES_TITLES.get(name, name),
                x_title="seconds since the start",
                lines=[
                    line
                    for run, found in enumerate(sampled)
                    if name in found
                    for line in sampled_lines(found[SERIES_TIME], found[name], run, len(sampled))
                ],
            )
            for name in names
        ]
        if panels:
            yield Plot(
                name=f"series-{case.run.workload}",
                title=f"{titled(case)}: over time",
                note="A running median of the samples, in a band that holds 8 of 10 of them.",
                panels=panels,
                cases=[case],
            )


def sampled_lines(at_s: Sequence[float], values: Sequence[float], run: int, runs: int) -> Iterator[Line]:
    label = f"run {run + 1}" if runs > 1 else ""
    half = max(1, int(len(values) * SMOOTHED_OVER))
    windows = (sorted(values[max(0, at - half) : at + half + 1]) for at in range(len(values)))
    smooth = [
        Point(x, median(window), percentile(window, 10), percentile(window, 90))
        for x, window in zip(at_s, windows, strict=True)
    ]
    yield Line(label=label, points=smooth, color=run, raw=True)


PLOTTERS: tuple[Plotter, ...] = (
    throughput,
    concurrency,
    rates,
    distributions,
    distributions_at_rates,
    cost,
    growth,
    sleepers,
    series,
)


# Names and colors.


def by_workload(cases: Iterable[Case]) -> list[tuple[str, list[Case]]]:
    return [(name, list(group)) for name, group in groupby(cases, key=lambda case: case.run.workload)]


def usual_cases(cases: Sequence[Case]) -> list[Case]:
    """Of each workload and driver those with its own number in flight; if there are none, those with the least."""
    found: list[Case] = []
    for group in alike(cases):
        usual = BY_NAME[group[0].run.workload].in_flight
        numbers = {case.run.in_flight for case in group}
        chosen = usual if usual in numbers else min(numbers)
        found += [case for case in group if case.run.in_flight == chosen]
    return found


def names_of(cases: Sequence[Case], *, of_any_extent: bool = False) -> dict[int, str]:
    """What tells cases of one workload apart, by their identity: the driver, and what else is not the same for all."""
    builds = list(dict.fromkeys(build_of(case.machine) for case in cases))
    options = {(case.run.durability, case.run.always_replay) for case in cases}
    extents: dict[tuple[str, float | None], set[str]] = {}
    for case in cases:
        extents.setdefault((case.run.workload, case.rate), set()).add(extent_of(case))
    found = {}
    for case in cases:
        words = [titled_driver(case)]
        if len(options) > 1:
            words += [case.run.durability, *(["replayed"] if case.run.always_replay else [])]
        if not of_any_extent and len(extents[case.run.workload, case.rate]) > 1:
            words.append(extent_of(case))
        if len(builds) > 1:
            words.append(f"machine {builds.index(build_of(case.machine)) + 1}")
        found[id(case)] = ", ".join(words)
    return found


def color_of(case: Case, cases: Sequence[Case]) -> int:
    """A color that is the driver's, and number of processes', in every plot of a report."""
    known = [*DRIVER_TITLES.values(), *map(titled_driver, cases)]
    return list(dict.fromkeys(known)).index(titled_driver(case))


def titled(case: Case) -> str:
    return f"{case.run.workload} {case.workload.title}"


def titled_driver(case: Case) -> str:
    return driver_title(case.run.driver, case.run.processes)


def short(value: float) -> str:
    """Three digits that count."""
    return written(value) if value >= 100 else f"{value:.3g}"
