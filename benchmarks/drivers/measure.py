"""Figures: from samples and counters to the numbers that are shown.

The rule: a figure's name ends in its unit, and a figure that was not measured is not there; nothing is guessed.

psutil, of the extra `bench`, is imported when a process is looked at; reading results does not need it.
"""

import resource
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What processes have used so far, all their threads together."""

    cpu_s: float  # user and system
    rss_bytes: int


class Counts(NamedTuple):
    """What an engine has done so far, or since then."""

    commits: int
    turns: int
    rows: int  # of history

    def minus(self, before: Self) -> "Counts":
        return Counts(*(now - then for now, then in zip(self, before, strict=True)))


class Span(NamedTuple):
    """From when an instance was meant to begin until it ended; microseconds of the driver's clock."""

    begun_us: int
    ended_us: int

    @property
    def took_us(self) -> int:
        return self.ended_us - self.begun_us


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTally:
    """The raw measurements of one load, from which `outcome_of` computes the figures."""

    spans: list[Span]  # in the order of their beginnings
    engine: Usage  # the engine's CPU time while the clock ran, and its memory at the end of that time
    load_cpu_s: float | None = None  # None: the load shares the engine's process
    server_cpu_s: float | None = None  # of the database's server; None: there is none, or it cannot be seen
    counts: Counts | None = None  # while the clock ran; None: the engine does not count


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """The measurements of one run of one workload: its figures, and the samples behind them."""

    figures: dict[str, float]
    latencies_us: list[int] = field(default_factory=list)  # in the order of their beginnings
    series: dict[str, list[float]] = field(default_factory=dict)  # values sampled over time; all of one length


def outcome_of(tallies: Sequence[LoadTally], units: int) -> RunOutcome:
    """Compute the figures of loads that ran at the same time, by the same clock.

    Args:
        tallies: One of each load; at least one instance among them.
        units: How many units each instance counts for.
    """
    spans = sorted((span for tally in tallies for span in tally.spans), key=lambda span: span.begun_us)
    latencies_us = [span.took_us for span in spans]
    elapsed_s = (max(span.ended_us for span in spans) - spans[0].begun_us) / 1e6
    done = len(spans) * units
    figures = {
        "elapsed_s": elapsed_s,
        "instances": float(len(spans)),
        "instances_per_s": len(spans) / elapsed_s,
        "units_per_s": done / elapsed_s,
        **distribution(latencies_us),
        "cpu_ms_per_unit": sum(tally.engine.cpu_s for tally in tallies) * 1000 / done,
        "rss_mib": sum(tally.engine.rss_bytes for tally in tallies) / 2**20,
    }
    for name in ("load", "server"):
        used_s = [cpu_s for tally in tallies if (cpu_s := getattr(tally, f"{name}_cpu_s")) is not None]
        if used_s:
            figures[f"{name}_cpu_ms_per_unit"] = sum(used_s) * 1000 / done
    counted = [tally.counts for tally in tallies if tally.counts is not None]
    if counted:
        commits, turns, rows = map(sum, zip(*counted, strict=True))
        figures["commits_per_s"] = commits / elapsed_s
        figures["units_per_commit"] = done / max(1, commits)
        figures["turns_per_unit"] = turns / done
        figures["rows_per_turn"] = rows / max(1, turns)
    return RunOutcome(figures=figures, latencies_us=latencies_us)


def usage_of_self() -> Usage:
    """This process, without its children."""
    import psutil  # noqa: PLC0415  the extra

    used = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(cpu_s=used.ru_utime + used.ru_stime, rss_bytes=psutil.Process().memory_info().rss)


def usage_of_trees(pids: Iterable[int]) -> Usage:
    """Processes, with all their children, and with the CPU time of children that have ended, in ticks of 10 ms."""
    import psutil  # noqa: PLC0415  the extra

    cpu_s, rss_bytes = 0.0, 0
    for pid in pids:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # a child that ended just now: its CPU is its parent's from now on
                times = process.cpu_times()
                cpu_s += times.user + times.system + times.children_user + times.children_system
                rss_bytes += process.memory_info().rss
    return Usage(cpu_s=cpu_s, rss_bytes=rss_bytes)


def cpu_between(before: Usage | None, after: Usage | None) -> float | None:
    """The CPU time between two looks, seconds; None if nothing was seen."""
    return after.cpu_s - before.cpu_s if before is not None and after is not None else None


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all do not exceed (nearest rank: a value that was seen).

    Args:
        ordered: At least one value, in ascending order.
    """
    assert ordered
    assert 0 < percent <= 100, percent
    return ordered[ceil(len(ordered) * percent / 100) - 1]


def distribution(values_us: Sequence[int], prefix: str = "") -> dict[str, float]:
    """p50, p95, p99 and the maximum, in milliseconds; of no values, nothing."""
    if not values_us:
        return {}
    ordered = sorted(values_us)
    figures = {f"{prefix}p{percent}_ms": percentile(ordered, percent) / 1000 for percent in (50, 95, 99)}
    return figures | {f"{prefix}max_ms": ordered[-1] / 1000}
