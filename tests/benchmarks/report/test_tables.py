"""The report: the measured figures, in 80 columns."""

import io
from typing import Any

import pytest
from rich.console import Console

from perdure.benchmarks.report.results import Range, Result
from perdure.benchmarks.report.tables import Amount, Column, report, section
from perdure.benchmarks.workloads.table import WORKLOADS
from perdure.benchmarks.workloads.workload import Shape

from ...support.benchmarks.results import measured, results

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
    document = results(*found)
    document.peers["restate"] = "restate_sdk 9.9; flushed"
    for part in report(document):
        Console(file=out, width=width).print(part)
    return out.getvalue()


def lines_of(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_an_amount_is_a_median_with_the_ends_of_its_runs() -> None:
    several = Amount(Range(12_345.6, 900.25, 20_000.0, 3), digits=1, unit=" steps")
    assert (str(several), several.ends) == ("12 346 steps", "900.2 to 20 000")
    assert Amount(Range(1.0, 1.0, 1.0, 1)).ends == ""


def test_columns_are_read_one_by_one() -> None:
    read = section("", (), "", "due a~second = offered_per_s, +- = cpu_ms:3?, 1 000 = at_1000_p50_ms:2").columns
    assert read == [
        Column("due a\nsecond", "offered_per_s"),
        Column("+-", "cpu_ms", 3, always=False),
        Column("1 000", "at_1000_p50_ms", 2),
    ]


def test_the_machine_stands_first_and_a_row_has_its_figures_and_a_dash_for_what_was_not_measured() -> None:
    text = shown(measured(figures=LOADED))
    assert " ".join(text.split("\n\n")[0].split()) == (
        "Perdure 1.2.3, CPython 3.11.7, uvloop 0.21.0, Linux 6, 2 cores (a processor) SQLite 3.40.1, durability full; "
        "this disk takes 0.25 ms to append 4 KiB and flush them"
    )
    assert {"W1 chain process 123 457 steps 12.3 123.5 1 234 12 346", "W1 chain process 0.051 - 25.0 1 000 57"} <= set(
        lines_of(text)
    )


def test_the_cpu_of_a_server_has_a_column_where_it_was_seen_and_several_runs_have_a_spread() -> None:
    alone, beside = measured(figures=LOADED), measured(driver="http", figures=LOADED, server_cpu_ms_per_unit=0.0134)
    assert "server's" not in shown(alone)
    lines = lines_of(shown(alone, measured(figures=LOADED | {"cpu_ms_per_unit": 0.0612}), beside, width=100))
    assert "W1 chain process 0.056 - - 25.0 1 000 57 18%" in lines
    assert "W1 chain HTTP 0.051 - 0.013 25.0 1 000 57 -" in lines


def test_nothing_is_cut_off_in_80_columns() -> None:
    figures = {**LOADED, **ARRIVED, "instances": 12_345.0, "recovered_s": 1.0, "late_p99_ms": 123.4}
    ways = [(workload, driver) for workload in WORKLOADS for driver in workload.drivers]
    loads: list[dict[str, Any]] = [{}, {"processes": 64}, {"rate": 10_000.0}]
    every = [
        measured(workload.name, driver, figures=figures, **load)
        for load in loads
        for workload, driver in ways
        if "rate" not in load or workload.shape is Shape.LOOP
    ]
    peers = [measured(driver=driver, figures=figures) for driver in ("restate", "dbos-postgres", "postgresql")]
    text = shown(*every, *peers, *every, *peers)
    assert "…" not in text
    assert "process x64" in text
    assert "medians of 2 runs" in text


def test_ratios_stand_in_a_table_with_the_versions_of_peers_and_their_marks() -> None:
    pairs = [(15_000.0, 1_000.0), (16_000.0, 1_000.0), (9_000.0, 1_000.0)]
    found = [
        measured(driver=name, units_per_s=one)
        for pair in pairs
        for name, one in zip(("process", "restate"), pair, strict=True)
    ]
    text = shown(*found, width=120)
    assert "W1 chain: times as fast process Restate 15.0 9.0 to 16.0 3" in lines_of(text)
    assert "W1 chain, process: 15.0 times as fast beside Restate, at least 15: reached" in text
    assert "Restate: restate_sdk 9.9; flushed" in text
    assert "Side by side" not in shown(found[0])


def test_a_mark_is_said_to_be_reached_or_missed_each_number_in_flight_by_its_own() -> None:
    text = shown(
        *(measured(units_per_s=19_999.0), measured("W3", p50_ms=1.4), measured("S6", turn_growth_times=1.4)),
        measured(in_flight=500, units_per_s=25_000.0),
        measured(processes=2, units_per_s=1.0),
        width=200,
    )
    assert [line for line in text.splitlines() if line.endswith(("missed", "reached"))] == [
        "W1 chain, process: 19 999 steps a second, at least 20 000: missed",
        "W1 chain at 500, process: 25 000 steps a second, at least 30 000: missed",
        "W3 latency, process: 1.4 ms from start to result, at most 1.5: reached",
        "S6 history, process: 1.40 times the turn of 10 events at 50 000, at most 1.50: reached",
    ]


@pytest.mark.parametrize(
    ("note", "said_of", "not_of"),
    [
        ("HTTP: the load", measured(driver="http", figures=LOADED), measured(figures=LOADED)),
        ("process: the load", measured(figures=LOADED), measured("W6", "http", steps_lost=0.0)),
        ("SDK: a worker", measured(driver="sdk", figures=LOADED), measured(figures=LOADED)),
        ("x2: two processes", measured(processes=2, figures=LOADED), measured(figures=LOADED)),
        ("At a rate: latency", measured(rate=9.0, figures=LOADED), measured(figures=LOADED)),
    ],
)
def test_how_it_was_measured_is_said_only_of_what_was_measured(note: str, said_of: Result, not_of: Result) -> None:
    assert note in shown(said_of)
    assert note not in shown(not_of)


@pytest.mark.parametrize(
    ("found", "doubt"),
    [
        (
            measured(driver="http", rate=1_000.0, offered_per_s=1_000.0, instances_per_s=700.0, backlog_end=1_200.0),
            "W1 chain 1000/s, HTTP: did not keep up; 1 200 were waiting when the last one came",
        ),
        (measured(rate=1_000.0, offered_per_s=1_000.0, instances_per_s=998.0, backlog_end=5.0), ""),
        (measured(driver="http", rate=9.0, sent_late_p99_ms=50.0), "W1 chain 9/s, HTTP: the load was late itself"),
        (measured(driver="http", rate=9.0, sent_late_p99_ms=1.9), ""),
        # In process the load waits for the same event loop as the engine: its lateness is the engine's.
        (measured(rate=9.0, sent_late_p99_ms=50.0), ""),
    ],
)
def test_what_must_be_known_before_a_rate_is_believed_is_said(found: Result, doubt: str) -> None:
    text = shown(found, width=200)
    assert doubt in text if doubt else "keep up" not in text and "late itself" not in text
