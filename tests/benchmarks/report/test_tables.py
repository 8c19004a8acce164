"""The report: what was measured, in 80 columns."""

import io

import pytest
from rich.console import Console

from perdure.benchmarks.report.results import Result
from perdure.benchmarks.report.tables import print_report
from perdure.benchmarks.workloads.table import WORKLOADS
from perdure.benchmarks.workloads.workload import Shape

from ...support.benchmarks.results import arriving, in_flight, on_processes, result, results

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
ARRIVED = {
    "offered_per_s": 10_000.0,
    "instances_per_s": 9_000.0,
    "backlog_max": 123_456.0,
    "backlog_end": 120_000.0,
    "sent_late_p99_ms": 12_345.6,
}


def shown(*found: Result, width: int = 80) -> str:
    out = io.StringIO()
    # Each as it was run, in the order of the first runs.
    runs = [each.run for each in found]
    workloads = list({(run.workload, run.in_flight, run.rate, run.processes): run.variant for run in runs}.values())
    print_report(workloads, results(*found), Console(file=out, width=width))
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
    assert throughput == "W1 chain process 123 457 steps 12.3 123.5 1 234 12 346"
    assert cost == "W1 chain process 0.051 - 25.0 1 000 57"


def test_the_cpu_of_a_database_s_server_has_a_column_where_it_was_seen() -> None:
    alone, beside = result("W1", "process", **LOADED), result("W1", "http", **LOADED, server_cpu_ms_per_unit=0.0134)
    assert "server's" not in shown(alone)
    costs = [" ".join(line.split()) for line in shown(alone, beside).splitlines() if " 25.0 " in line]
    assert costs == ["W1 chain process 0.051 - - 25.0 1 000 57", "W1 chain HTTP 0.051 - 0.013 25.0 1 000 57"]


def test_nothing_is_cut_off_in_80_columns() -> None:
    figures = {**LOADED, **ARRIVED, "instances": 12_345.0, "recovered_s": 1.0, "late_p99_ms": 123.4}
    own = [result(workload.name, driver, **figures) for workload in WORKLOADS for driver in workload.drivers]
    crowded = [in_flight(500, found) for found in own]
    arrived = [arriving(10_000.0, found) for found in own if found.run.variant.shape is Shape.LOOP]
    shared = [on_processes(64, found) for found in (*crowded, *arrived)]
    every = [*own, *crowded, *arrived, *shared]
    text = shown(*every, *every)
    assert "…" not in text
    assert "process x64" in text
    assert "medians of 2 runs" in text


def test_a_mark_is_said_to_be_reached_or_missed() -> None:
    text = shown(result("W1", "process", units_per_s=19_999.0), result("W3", "process", p50_ms=1.4), width=200)
    assert "W1 chain, process: 19 999 steps a second, at least 20 000: missed" in text
    assert "W3 latency, process: 1.4 ms from start to result, at most 1.5: reached" in text


def test_how_it_was_measured_is_said_only_of_what_was_measured() -> None:
    assert "HTTP: the load" not in shown(result("W1", "process", **LOADED))
    assert "HTTP: the load" in shown(result("W1", "http", **LOADED))
    assert "process: the load" not in shown(result("W6", "http", steps_lost=0.0))


def test_each_number_in_flight_has_a_row_and_a_mark_of_its_own() -> None:
    text = shown(
        result("W1", "process", units_per_s=25_000.0),
        in_flight(500, result("W1", "process", units_per_s=25_000.0)),
        width=200,
    )
    assert "W1 chain, process: 25 000 steps a second, at least 20 000: reached" in text
    assert "W1 chain at 500, process: 25 000 steps a second, at least 30 000: missed" in text


def test_an_engine_that_did_not_keep_up_with_a_rate_is_said_to_have_not() -> None:
    behind = result("W1", "http", offered_per_s=1_000.0, instances_per_s=700.0, backlog_end=1_200.0)
    text = shown(arriving(1_000.0, behind), width=200)
    assert "W1 chain 1000/s, HTTP: did not keep up; 1 200 were waiting when the last one came" in text
    abreast = result("W1", "http", offered_per_s=1_000.0, instances_per_s=998.0, backlog_end=5.0)
    assert "did not keep up" not in shown(arriving(1_000.0, abreast), width=200)


@pytest.mark.parametrize(
    ("driver", "late_ms", "said"),
    # In process the load waits for the same event loop as the engine: its lateness is the engine's.
    [("http", 50.0, True), ("http", 1.9, False), ("process", 50.0, False)],
)
def test_a_load_that_was_late_itself_is_said_to_have_been(driver: str, late_ms: float, said: bool) -> None:
    text = shown(arriving(9.0, result("W1", driver, sent_late_p99_ms=late_ms)), width=200)
    assert ("the load was late itself" in text) is said


def test_a_mark_between_two_whole_numbers_is_not_rounded() -> None:
    text = shown(result("S6", "process", turn_growth_times=1.4), width=200)
    assert "1.40 times the turn of 10 events at 50 000, at most 1.50: reached" in text


def test_several_processes_are_named_with_how_they_were_reached_and_have_no_marks() -> None:
    one, two = result("W1", "process", **LOADED), on_processes(2, result("W1", "process", **LOADED))
    text = shown(one, two, width=200)
    titles = [line.split()[:4] for line in text.splitlines() if line.lstrip().startswith("W1 chain ")]
    assert titles[:2] == [["W1", "chain", "process", "123"], ["W1", "chain", "process", "x2"]]
    assert "W1 chain, process: 123 457 steps a second, at least 20 000: reached" in text
    assert "W1 chain, process x2:" not in text
    assert "x2: two processes" in text
    assert "x2: two processes" not in shown(one)
