"""Computes the shown figures from samples and counters.

The rule: the name of a figure ends in its unit. Figures that were not measured are missing, never guessed.

psutil, of the extra `bench`, is imported only to look at processes; reading results does not need it.
"""

import resource
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The usage of processes so far, with all their threads."""

    cpu_s: float  # user and system
    rss_bytes: int


class Counts(NamedTuple):
    """Counters of an engine, or their difference."""

    commits: int
    turns: int
    rows: int  # of history

    def minus(self, before: Self) -> "Counts":
        return Counts(*(now - then for now, then in zip(self, before, strict=True)))


class Span(NamedTuple):
    begun_us: int
    ended_us: int

    @property
    def took_us(self) -> int:
        return self.ended_us - self.begun_us


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTally:
    """The raw measurements of one load."""

    spans: list[Span]  # in the order of their starts
    engine: Usage  # CPU time while the clock ran, and memory at its end
    load_cpu_s: float | None = None  # None: the load shares the engine's process
    server_cpu_s: float | None = None  # of the database's server; None: none, or not visible
    counts: Counts | None = None  # while the clock ran; None: the engine does not count


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """The measurements of a run: its figures, and their samples."""

    figures: dict[str, float]
    latencies_us: list[int] = field(default_factory=list)  # in the order of their starts
    series: dict[str, list[float]] = field(default_factory=dict)  # values sampled over time; all of equal length


def outcome_of(tallies: Sequence[LoadTally], units: int) -> RunOutcome:
    """Compute the figures of concurrent loads with the same clock.

    Args:
        tallies: One for each load; with at least one instance.
        units: The units of an instance.
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
    import psutil  # noqa: PLC0415  the extra

    used = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(cpu_s=used.ru_utime + used.ru_stime, rss_bytes=psutil.Process().memory_info().rss)


def usage_of_trees(pids: Iterable[int]) -> Usage:
    """The usage of processes with all their children; CPU time, in ticks of 10 ms, with that of ended children."""
    import psutil  # noqa: PLC0415  the extra

    cpu_s, rss_bytes = 0.0, 0
    for pid in pids:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # the child has ended, so its CPU counts for its parent
                times = process.cpu_times()
                cpu_s += times.user + times.system + times.children_user + times.children_system
                rss_bytes += process.memory_info().rss
    return Usage(cpu_s=cpu_s, rss_bytes=rss_bytes)


def cpu_between(before: Usage | None, after: Usage | None) -> float | None:
    return after.cpu_s - before.cpu_s if before is not None and after is not None else None


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all do not exceed (nearest rank).

    Args:
        ordered: At least one value, in ascending order.
    """
    assert ordered
    assert 0 < percent <= 100, percent
    return ordered[ceil(len(ordered) * percent / 100) - 1]


def distribution(values_us: Sequence[int], prefix: str = "") -> dict[str, float]:
    """p50, p95, p99 and the maximum, in milliseconds; empty without values."""
    if not values_us:
        return {}
    ordered = sorted(values_us)
    figures = {f"{prefix}p{percent}_ms": percentile(ordered, percent) / 1000 for percent in (50, 95, 99)}
    return figures | {f"{prefix}max_ms": ordered[-1] / 1000}
