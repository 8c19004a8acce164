"""Beside other engines: which runs are paired, and what becomes of the pairs."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from perdure.benchmarks.peers.peers import DBOS_POSTGRES, DBOS_SQLITE, RESTATE
from perdure.benchmarks.report.beside import beside, times, with_peers
from perdure.benchmarks.report.results import Result, interleaved
from perdure.benchmarks.workloads.table import BY_NAME, WORKLOADS
from perdure.benchmarks.workloads.workload import HTTP, POSTGRES, PROCESS

from ...support.benchmarks.results import in_flight, result, results

W1 = [BY_NAME["W1"].with_in_flight(50)]
FIGURES = {"p50_ms": 12_345.6, "p99_ms": 12_345.6, "cpu_ms_per_unit": 12.345}


def measured(driver: str, rate: float, workload: str = "W1") -> Result:
    return result(workload, driver, units_per_s=rate, **FIGURES)


def shown(*found: Result) -> str:
    out = io.StringIO()
    document = results(*found)
    document.peers[RESTATE] = "restate_sdk 9.9; flushed"
    Console(file=out, width=80).print(beside(W1, document))
    return out.getvalue()


def test_peers_run_between_perdures_runs_of_the_same_workload() -> None:
    chosen = with_peers([BY_NAME["W1"], BY_NAME["W5"]], [RESTATE])
    order = [(workload.name, driver) for workload, driver in interleaved(chosen, [PROCESS, RESTATE], 2)]
    assert order == [("W1", PROCESS), ("W1", RESTATE), ("W5", PROCESS)] * 2


def test_each_run_is_compared_with_the_one_next_to_it() -> None:
    # Given two rounds, in the second of which the machine was half as fast,
    found = times(
        W1,
        results(
            *(measured(PROCESS, 9_000), measured(RESTATE, 1_000)),
            *(measured(PROCESS, 4_400), measured(RESTATE, 400)),
        ),
    )
    # then the ratios are those of the rounds, and not of medians.
    (one,) = found
    assert one.ratios == (9.0, 11.0)
    assert one.middle == 10.0
    assert one.spread == pytest.approx(0.2)


def test_each_way_to_reach_perdure_is_compared_with_each_peer() -> None:
    drivers = {PROCESS: 900, HTTP: 600, DBOS_SQLITE: 100, RESTATE: 300}
    found = times(W1, results(*(measured(driver, rate) for driver, rate in drivers.items())))
    assert {(one.driver, one.peer): one.middle for one in found} == {
        (PROCESS, DBOS_SQLITE): 9.0,
        (HTTP, DBOS_SQLITE): 6.0,
        (PROCESS, RESTATE): 3.0,
        (HTTP, RESTATE): 2.0,
    }
    assert all(one.spread is None for one in found)


def test_a_run_that_is_missing_is_not_made_up() -> None:
    assert times(W1, results(measured(RESTATE, 300))) == []
    assert times(W1, results(measured(PROCESS, 300))) == []
    assert times(list(WORKLOADS), results(measured(PROCESS, 300), measured(RESTATE, 100, "W2"))) == []


def test_the_table_has_everybody_with_versions_and_ratios_in_80_columns() -> None:
    drivers = {PROCESS: 123_456, HTTP: 123_456, DBOS_POSTGRES: 1_000, RESTATE: 5_000}
    text = shown(*(measured(driver, rate) for driver, rate in drivers.items() for _ in range(2)))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "W1 Perdure, process 123 456 12 345.6 12 345.6 12.345" in lines
    assert "W1 Restate 5 000 12 345.6 12 345.6 12.345 24.7 (0%) 24.7 (0%)" in lines
    assert "Restate: restate_sdk 9.9; flushed" in lines
    assert "Perdure: SQLite 3.40.1, durability full" in lines
    assert "…" not in text


def test_a_mark_is_of_the_median_of_the_ratios() -> None:
    rounds = [(15_000, 1_000), (16_000, 1_000), (9_000, 1_000)]
    text = shown(*(one for ours, theirs in rounds for one in (measured(PROCESS, ours), measured(RESTATE, theirs))))
    assert "W1 chain, process: 15.0 times Restate, at least 15: reached" in text
    assert "DBOS, SQLite, at least" not in text


def test_a_store_on_a_server_is_compared_with_the_peer_on_the_same_server() -> None:
    # Given a run of Perdure on SQLite, one on a database, and the peer on the server of that database,
    database = "postgresql://h/d"
    ours = with_database(measured(POSTGRES, 5_200), database)
    theirs = with_database(measured(DBOS_POSTGRES, 200), database)
    found = times(W1, results(measured(PROCESS, 10_000), ours, theirs))
    # then both are pairs, though only two of the runs name a database.
    assert {one.driver: one.middle for one in found} == {PROCESS: 50.0, POSTGRES: 26.0}
    text = " ".join(shown(measured(PROCESS, 10_000), ours, theirs).split())
    assert "W1 Perdure, PostgreSQL 5 200" in text
    assert "W1 chain, PostgreSQL: 26.0 times DBOS, PostgreSQL, at least 25: reached" in text


def test_nothing_is_cut_off_where_perdure_was_run_in_all_its_ways() -> None:
    crowded = [BY_NAME["W1"].with_in_flight(500)]
    figures = {"p50_ms": 8_602.1, "p99_ms": 12_345.6, "cpu_ms_per_unit": 12.345}
    found = [
        in_flight(500, result("W1", driver, units_per_s=123_456.0, **figures))
        for driver in (PROCESS, HTTP, POSTGRES, DBOS_POSTGRES)
        for _ in range(2)
    ]
    out = io.StringIO()
    Console(file=out, width=80).print(beside(crowded, results(*found)))
    text = " ".join(out.getvalue().split())
    assert "…" not in text
    assert text.count("8 602.1") == 4


def with_database(one: Result, database: str) -> Result:
    return replace(one, run=replace(one.run, database=database))


def test_a_run_without_a_rate_of_units_is_no_hindrance() -> None:
    both = results(measured(PROCESS, 300), measured(RESTATE, 100), result("W6", HTTP, steps_lost=0.0))
    assert [one.middle for one in times([*W1, BY_NAME["W6"]], both)] == [3.0]


def test_another_number_in_flight_has_a_row_of_its_own_and_no_marks() -> None:
    crowded = BY_NAME["W1"].with_in_flight(500)
    found = [in_flight(500, measured(driver, rate)) for driver, rate in ((PROCESS, 16_000), (RESTATE, 1_000))]
    out = io.StringIO()
    Console(file=out, width=80).print(beside([*W1, crowded], results(*found)))
    assert "W1 at 500 Restate" in " ".join(out.getvalue().split())
    assert "at least" not in out.getvalue()


def test_a_run_that_marks_do_not_hold_for_has_none() -> None:
    short = [W1[0].without_marks()]
    out = io.StringIO()
    Console(file=out, width=80).print(beside(short, results(measured(PROCESS, 2.0), measured(RESTATE, 1.0))))
    assert "at least" not in out.getvalue()
