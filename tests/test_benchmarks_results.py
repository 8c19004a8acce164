"""Results: a document that can be read again, and its summary."""

import json
from pathlib import Path

from perdure.benchmarks.results import Results, interleaved, rows
from perdure.benchmarks.workloads import BY_NAME, WORKLOADS

from .benchmark_results import result, results


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
    assert [reached for _, reached in chain.marks()] == [True]
    assert not list(chain_http.marks()), "the mark is of the engine in process"
    assert [reached for _, reached in latency.marks()] == [False]
