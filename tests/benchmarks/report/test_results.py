"""Results: a document that can be read again, and cases that combine only runs of the same kind."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perdure.benchmarks.report.results import Range, Result, Results, cases_of, commands_of, range_of

from ...support.benchmarks.results import MACHINE, measured, results


def test_a_document_is_the_same_when_read_again_and_names_what_it_holds(tmp_path: Path) -> None:
    found = results(measured(units_per_s=9_000.0, latencies_us=[1, 2]))
    found.write(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json") == found
    document = json.loads((tmp_path / "results.json").read_text())
    assert (document["format"], document["machine"]["cores"]) == (1, 2)
    (only,) = document["results"]
    assert only["run"]["workload"] == "W1"
    assert only["outcome"] == {"figures": {"units_per_s": 9_000.0}, "latencies_us": [1, 2], "series": {}}


@pytest.mark.parametrize("field", ["rate", "processes", "database", "peers", "sdk_python"])
def test_a_document_of_an_older_release_can_be_read(field: str, tmp_path: Path) -> None:
    found = results(measured(units_per_s=9_000.0))
    found.write(tmp_path / "new.json")
    document = json.loads((tmp_path / "new.json").read_text())
    del document["results"][0]["run"][field]
    del document["results"][0]["machine_load"]
    (tmp_path / "old.json").write_text(json.dumps(document))
    assert Results.read(tmp_path / "old.json") == found


def test_runs_with_the_same_options_are_one_case_whichever_document_they_are_from() -> None:
    first = results(measured(units_per_s=100.0), measured(units_per_s=300.0))
    second = replace(results(measured(units_per_s=200.0)), machine=replace(MACHINE, flush_ms=9.9))
    (case,) = cases_of([first, second])
    assert case.figures["units_per_s"] == Range(200.0, 100.0, 300.0, 3)


def test_runs_with_other_options_or_of_another_machine_are_another_case() -> None:
    durable = {"durability": "relaxed"}
    options: list[dict[str, Any]] = [{}, {"in_flight": 500}, {"rate": 9.0}, durable, {"seconds": 1.0}, {"processes": 2}]
    here = results(*(measured(**one) for one in options), measured(driver="http"))
    elsewhere = replace(results(measured()), machine=replace(MACHINE, cores=64))
    assert len(cases_of([here, elsewhere])) == 8
    assert len(cases_of([results(measured(peers="/here"), measured(peers="/there"))])) == 1


def test_cases_stand_in_the_order_of_the_workloads_of_the_load_and_of_the_drivers() -> None:
    cases = cases_of([results(measured("W3"), measured(in_flight=500), measured(driver="http"), measured())])
    assert [(case.title, case.driver_title) for case in cases] == [
        ("W1 chain", "process"),
        ("W1 chain", "HTTP"),
        ("W1 chain at 500", "process"),
        ("W3 latency", "process"),
    ]


def test_a_figure_that_not_every_run_has_is_that_of_those_that_have_it() -> None:
    (case,) = cases_of([results(measured(p50_ms=2.0), measured())])
    assert case.figures == {"p50_ms": Range(2.0, 2.0, 2.0, 1)}


def test_ranges_have_a_spread_and_those_that_touch_overlap() -> None:
    assert range_of([90.0, 100.0, 110.0]).spread == 0.2
    assert range_of([1.0]).spread is range_of([0.0, 0.0]).spread is None
    assert range_of([1.0, 2.0]).overlaps(range_of([2.0, 3.0]))
    assert not range_of([1.0, 2.0]).overlaps(range_of([2.1, 3.0]))


@pytest.mark.parametrize(
    ("found", "marks"),
    [
        (measured(units_per_s=9_000.0), [(None, False)]),
        (measured(units_per_s=90_000.0), [(None, True)]),
        (measured(in_flight=500, units_per_s=90_000.0), [(500, True)]),
        (measured(driver="http", units_per_s=1.0), []),  # the mark holds for the engine in process
        (measured(units_per_s=1.0, durability="relaxed"), []),
        (measured(units_per_s=1.0, seconds=0.3), []),
        (measured(units_per_s=1.0, processes=2), []),
    ],
)
def test_marks_are_of_the_way_and_hold_for_long_runs_at_full_durability(
    found: Result, marks: list[tuple[int | None, bool]]
) -> None:
    (case,) = cases_of([results(found)])
    assert [(mark.in_flight, mark.reached(case.figures[mark.figure].median)) for mark in case.marks()] == marks


DATABASE = "postgresql://me@here/bench"
USUAL = "--seconds 4 --durability full"


@pytest.mark.parametrize(
    ("found", "commands"),
    [
        # Runs that differ only in workload and load are one command; the workload's own options are left out.
        (
            [*(measured("W2"), measured("W4")) * 2],
            [f"perdure bench --workload W2 --workload W4 --driver process {USUAL} --repeat 2"],
        ),
        (
            [measured(in_flight=20), measured(in_flight=500), measured("W2", in_flight=20)],
            [
                f"perdure bench --workload W1 --driver process --in-flight 20 --in-flight 500 {USUAL}",
                f"perdure bench --workload W2 --driver process --in-flight 20 {USUAL}",
            ],
        ),
        (
            [measured(), measured(in_flight=500), measured("D1", instances=1_400)],
            [f"perdure bench --workload W1 --workload D1 --driver process {USUAL}"],
        ),
        (
            [measured(driver="http", rate=100.0, durability="relaxed", seconds=1.5)],
            ["perdure bench --workload W1 --driver http --rate 100 --seconds 1.5 --durability relaxed"],
        ),
        (
            [measured("W2", "restate", peers="/somewhere")],
            [f"perdure bench --workload W2 --peers DIR --peer restate {USUAL}"],
        ),
        (
            [measured("W2", "sdk", sdk_python="/somewhere")],
            [f"perdure bench --workload W2 --driver sdk --sdk-python PYTHON {USUAL}"],
        ),
        (
            [measured("W2", processes=2), measured("W2", "postgresql", database=DATABASE, processes=4)],
            [
                f"perdure bench --workload W2 --driver process {USUAL} --processes 2",
                f"perdure bench --workload W2 --driver process {USUAL} --hosts 4 --data {DATABASE}",
            ],
        ),
    ],
)
def test_a_command_measures_the_same_again(found: list[Result], commands: list[str]) -> None:
    assert commands_of(cases_of([results(*found)])) == commands
