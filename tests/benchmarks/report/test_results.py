"""Results: a document that can be read again, and its summary."""

import json
from pathlib import Path

from perdure.benchmarks.report.results import Results, interleaved, rows
from perdure.benchmarks.workloads.table import BY_NAME, WORKLOADS

from ...support.benchmarks.results import arriving, in_flight, on_processes, result, results


def test_results_are_the_same_when_read_again(tmp_path: Path) -> None:
    found = results(result("W1", "process", units_per_s=9_000.0))
    found.write(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json") == found


def test_the_document_names_what_it_holds(tmp_path: Path) -> None:
    results(result("W1", "process", units_per_s=9_000.0)).write(tmp_path / "results.json")
    document = json.loads((tmp_path / "results.json").read_text())
    assert document["format"] == 1
    assert document["machine"]["cores"] == 2
    (only,) = document["results"]
    assert only["run"]["workload"] == "W1"
    assert only["outcome"] == {"figures": {"units_per_s": 9_000.0}, "latencies_us": [1, 2], "series": {}}


def test_all_are_run_once_before_any_is_run_again() -> None:
    order = interleaved([BY_NAME["W1"], BY_NAME["W5"]], ("process", "http"), repeat=2)
    once = [("W1", "process"), ("W1", "http"), ("W5", "process")]
    assert [(workload.name, driver) for workload, driver in order] == once * 2


def test_runs_of_one_workload_by_one_driver_make_a_row() -> None:
    found = rows(
        WORKLOADS,
        results(
            result("W3", "process", p50_ms=4.0),
            result("W1", "process", units_per_s=9_000.0),
            result("W1", "http", units_per_s=5_000.0),
            result("W1", "process", units_per_s=7_000.0),
        ),
    )
    assert [(row.workload.name, row.driver, row.runs) for row in found] == [
        ("W1", "process", 2),
        ("W1", "http", 1),
        ("W3", "process", 1),
    ]
    assert (found[0].figures, found[0].spreads) == ({"units_per_s": 8_000.0}, {"units_per_s": 0.25})


def test_a_row_knows_its_marks() -> None:
    chain, chain_http, latency = rows(
        WORKLOADS,
        results(
            result("W1", "process", units_per_s=9_000.0),
            result("W1", "http", units_per_s=1.0),
            result("W3", "process", p50_ms=4.0),
        ),
    )
    assert [(mark.in_flight, reached) for mark, reached in chain.marks()] == [(None, False)], "not that of 500"
    assert not list(chain_http.marks()), "the mark is of the engine in process"
    assert [reached for _, reached in latency.marks()] == [False]


def test_runs_with_another_number_in_flight_or_a_rate_are_rows_of_their_own() -> None:
    chain = BY_NAME["W1"]
    found = rows(
        [chain, chain.with_in_flight(500), chain.with_rate(100.0), chain.with_rate(200.0)],
        results(
            result("W1", "process", units_per_s=1.0),
            in_flight(500, result("W1", "process", units_per_s=2.0)),
            arriving(200.0, result("W1", "process", units_per_s=4.0)),
            arriving(100.0, result("W1", "process", units_per_s=3.0)),
        ),
    )
    assert [(row.workload.title, row.runs, row.figures["units_per_s"]) for row in found] == [
        ("chain", 1, 1.0),
        ("chain at 500", 1, 2.0),
        ("chain 100/s", 1, 3.0),
        ("chain 200/s", 1, 4.0),
    ]


def test_a_document_from_before_there_were_rates_can_be_read(tmp_path: Path) -> None:
    found = results(result("W1", "process", units_per_s=9_000.0))
    found.write(tmp_path / "new.json")
    document = json.loads((tmp_path / "new.json").read_text())
    del document["results"][0]["run"]["rate"]
    (tmp_path / "old.json").write_text(json.dumps(document))
    assert Results.read(tmp_path / "old.json") == found


def test_runs_by_another_number_of_processes_are_rows_of_their_own() -> None:
    chain = BY_NAME["W1"]
    found = rows(
        [chain, chain.with_processes(2)],
        results(
            result("W1", "process", units_per_s=30_000.0),
            on_processes(2, result("W1", "process", units_per_s=50_000.0)),
            on_processes(4, result("W1", "process", units_per_s=70_000.0)),
        ),
    )
    assert [(row.workload.processes, row.figures["units_per_s"]) for row in found] == [(1, 30_000.0), (2, 50_000.0)]
    assert [len(list(row.marks())) for row in found] == [1, 0], "marks are of one process"


def test_a_document_from_before_there_were_several_processes_can_be_read(tmp_path: Path) -> None:
    found = results(result("W1", "process", units_per_s=9_000.0))
    found.write(tmp_path / "new.json")
    document = json.loads((tmp_path / "new.json").read_text())
    assert document["results"][0]["run"].pop("processes") == 1
    (tmp_path / "old.json").write_text(json.dumps(document))
    assert Results.read(tmp_path / "old.json") == found
