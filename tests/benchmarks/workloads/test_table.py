"""The workloads: values that name what is in the app under test."""

import pytest

from perdure.benchmarks.workloads.app import app
from perdure.benchmarks.workloads.table import BY_NAME, SUITES, WORKLOADS
from perdure.benchmarks.workloads.workload import DRIVERS, Mark, Shape, Workload


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_a_workload_names_a_workflow_of_the_app(workload: Workload) -> None:
    assert workload.workflow in app.workflows


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_a_mark_is_of_a_driver_that_runs_the_workload(workload: Workload) -> None:
    assert set(workload.drivers) <= set(DRIVERS)
    assert {mark.driver for mark in workload.marks} <= set(workload.drivers)


def test_every_workload_has_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(WORKLOADS)


def test_a_mark_may_be_a_floor_or_a_ceiling() -> None:
    floor = Mark(driver="process", figure="units_per_s", what="steps a second", at_least=8_000)
    assert (floor.reached(7_999.9), floor.reached(8_000)) == (False, True)
    ceiling = Mark(driver="process", figure="p50_ms", what="ms", at_most=3)
    assert (ceiling.reached(3.0), ceiling.reached(3.1)) == (True, False)


def test_a_mark_is_of_a_number_in_flight_that_is_run() -> None:
    for workload in WORKLOADS:
        run = {variant.in_flight for variant in workload.variants()}
        assert {mark.in_flight for mark in workload.marks} <= {None, *run}


@pytest.mark.parametrize("suite", SUITES)
def test_every_suite_has_workloads(suite: str) -> None:
    assert any(workload.suite == suite for workload in WORKLOADS)


def test_every_workload_is_in_a_suite() -> None:
    assert {workload.suite for workload in WORKLOADS} <= set(SUITES)


def test_marks_hold_for_their_number_in_flight_only() -> None:
    chain = BY_NAME["W1"]
    assert chain.with_in_flight(chain.in_flight) is chain
    crowded = chain.with_in_flight(500)
    assert (crowded.in_flight, crowded.title) == (500, "chain at 500")
    assert crowded.marks
    assert {mark.in_flight for mark in crowded.marks} == {500}
    assert chain.with_in_flight(51).marks == ()


def test_a_workload_is_run_with_its_own_numbers_in_flight_unless_others_are_named() -> None:
    chain = BY_NAME["W1"]
    assert [variant.in_flight for variant in chain.variants()] == [50, 500]
    assert [variant.in_flight for variant in chain.variants([1, 50, 1])] == [1, 50]


def test_at_a_rate_a_workload_has_another_shape_and_no_marks() -> None:
    chain = BY_NAME["W1"]
    assert chain.with_rate(None) is chain
    arriving = chain.with_rate(1_000.0)
    assert (arriving.shape, arriving.rate, arriving.title, arriving.marks) == (
        Shape.OPEN,
        1_000.0,
        "chain 1000/s",
        (),
    )


def test_marks_hold_for_a_number_of_instances_only_where_that_is_what_they_are_about() -> None:
    fleet, chain = BY_NAME["S7"], BY_NAME["W1"]
    assert fleet.marks_hold(seconds=4, instances=1_000_000)
    assert not fleet.marks_hold(seconds=4, instances=99_999)
    assert not chain.marks_hold(seconds=4, instances=1_000_000)


def test_marks_do_not_hold_for_a_run_that_was_spent_warming_up() -> None:
    chain = BY_NAME["W1"]
    assert chain.marks_hold(seconds=3, instances=None)
    assert not chain.marks_hold(seconds=2.9, instances=None)


def drivers(workload: Workload, processes: int = 2) -> tuple[str, ...]:
    return workload.with_processes(processes).drivers


def test_on_several_processes_no_marks_hold() -> None:
    chain = BY_NAME["W1"]
    assert chain.with_processes(1) is chain
    shared = chain.with_processes(2)
    assert (shared.processes, shared.title, shared.marks) == (2, "chain", ())


def test_several_processes_share_loops_and_over_http_also_events_and_rates() -> None:
    chain = BY_NAME["W1"]
    assert drivers(chain) == ("process", "http")
    assert drivers(BY_NAME["W4"]) == ("http",)
    assert drivers(chain.with_rate(5.0)) == ("http",)
    engines = [of for of in WORKLOADS if of.shape not in (Shape.LOOP, Shape.EVENTS, Shape.OPEN)]
    assert [of.name for of in engines if drivers(of)] == []


def test_each_process_needs_an_instance_in_flight() -> None:
    assert drivers(BY_NAME["W3"]) == ()
    assert drivers(BY_NAME["W1"].with_in_flight(4), 4) == ("process", "http")
    assert drivers(BY_NAME["W1"].with_in_flight(4), 5) == ()
    assert drivers(BY_NAME["W3"].with_rate(5.0)) == ("http",), "at a rate, nothing holds instances back"
