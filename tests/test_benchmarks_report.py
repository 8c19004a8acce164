"""The report: what was measured, in 80 columns."""

import io

from rich.console import Console

from perdure.benchmarks.report import print_report
from perdure.benchmarks.results import Result
from perdure.benchmarks.workloads import WORKLOADS

from .benchmark_results import result, results

LOADED = {
    "units_per_s": 123_456.7,
    "p50_ms": 12.345,
    "p95_ms": 123.45,
    "p99_ms": 1_234.5,
    "max_ms": 12_345.6,
    "cpu_ms_per_unit": 0.0512,
    "rss_mib": 57.0,
    "commits_per_s": 1_000.0,
    "units_per_commit": 25.0,
}


def shown(*found: Result, width: int = 80) -> str:
    out = io.StringIO()
    print_report(WORKLOADS, results(*found), Console(file=out, width=width))
    return out.getvalue()


def test_the_machine_and_the_durability_stand_first() -> None:
    first = " ".join(shown(result("W1", "process", **LOADED)).split("\n\n")[0].split())
    assert first == (
        "Perdure 1.2.3, CPython 3.11.7, uvloop 0.21.0, Linux 6, 2 cores (a processor) SQLite 3.40.1, durability full; "
        "this disk takes 0.25 ms to append 4 KiB and flush them"
    )


def test_a_row_has_its_figures_and_a_dash_for_what_was_not_measured() -> None:
    lines = shown(result("W1", "process", **LOADED)).splitlines()
    throughput, cost = (" ".join(line.split()) for line in lines if line.lstrip().startswith("W1 chain "))
    assert throughput == "W1 chain process 123 457 steps 12.3 123.5 1 234.5 12 345.6"
    assert cost == "W1 chain process 0.051 - 25.0 1 000 57"


def test_nothing_is_cut_off_in_80_columns() -> None:
    every = [
        result(workload.name, driver, **LOADED, instances=12_345.0, recovered_s=1.0, late_p99_ms=123.4)
        for workload in WORKLOADS
        for driver in workload.drivers
    ]
    text = shown(*every, *every)
    assert "…" not in text
    assert "medians of 2 runs" in text


def test_a_mark_is_said_to_be_reached_or_missed() -> None:
    text = shown(result("W1", "process", units_per_s=7_999.0), result("W3", "process", p50_ms=2.5), width=200)
    assert "W1 chain, process: 7 999 steps a second, at least 8 000: missed" in text
    assert "W3 latency, process: 2.5 ms from start to result, at most 3: reached" in text


def test_how_it_was_measured_is_said_only_of_what_was_measured() -> None:
    assert "HTTP: the load" not in shown(result("W1", "process", **LOADED))
    assert "HTTP: the load" in shown(result("W1", "http", **LOADED))
    assert "process: the load" not in shown(result("W6", "http", steps_lost=0.0))


def test_a_mark_between_two_whole_numbers_is_not_rounded() -> None:
    text = shown(result("S6", "process", turn_growth_times=1.4), width=200)
    assert "1.40 times the turn of 10 events at 50 000, at most 1.50: reached" in text
