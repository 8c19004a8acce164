"""A workload as it is run: with other loads, at rates, by several processes, and with the marks that still hold."""

import pytest

from perdure.benchmarks.workloads.table import BY_NAME, WORKLOADS
from perdure.benchmarks.workloads.workload import Mark, Shape, Workload

CHAIN = BY_NAME["W1"]


def drivers(workload: Workload, processes: int = 2) -> tuple[str, ...]:
    return workload.with_processes(processes).drivers


def test_a_mark_may_be_a_floor_or_a_ceiling() -> None:
    floor = Mark("process", "units_per_s", "steps a second", at_least=8_000)
    assert (floor.reached(7_999.9), floor.reached(8_000)) == (False, True)
    ceiling = Mark("process", "p50_ms", "ms", at_most=3)
    assert (ceiling.reached(3.0), ceiling.reached(3.1)) == (True, False)


def test_a_workload_is_run_with_its_own_numbers_in_flight_unless_others_are_named() -> None:
    assert [variant.in_flight for variant in CHAIN.variants()] == [50, 500]
    assert [variant.in_flight for variant in CHAIN.variants([1, 50, 1])] == [1, 50]


def test_marks_hold_for_their_number_in_flight_only() -> None:
    assert CHAIN.with_in_flight(CHAIN.in_flight) is CHAIN
    crowded = CHAIN.with_in_flight(500)
    assert (crowded.in_flight, crowded.title) == (500, "chain at 500")
    assert {mark.in_flight for mark in crowded.marks} == {500}
    assert CHAIN.with_in_flight(51).marks == ()


def test_at_a_rate_a_workload_has_another_shape_and_no_marks() -> None:
    assert CHAIN.with_rate(None) is CHAIN
    arriving = CHAIN.with_rate(1_000.0)
    assert (arriving.shape, arriving.rate, arriving.title, arriving.marks) == (Shape.OPEN, 1_000, "chain 1000/s", ())


@pytest.mark.parametrize(
    ("name", "seconds", "instances", "hold"),
    [
        ("W1", 3.0, None, True),
        ("W1", 2.9, None, False),  # spent warming up
        ("W1", 4.0, 1_000_000, False),
        ("S7", 4.0, 1_000_000, True),  # a number of instances is what its marks are about
        ("S7", 4.0, 99_999, False),
    ],
)
def test_marks_hold_for_runs_of_their_extent(name: str, seconds: float, instances: int | None, hold: bool) -> None:
    assert BY_NAME[name].marks_hold(seconds=seconds, instances=instances) is hold


def test_several_processes_share_loops_and_over_http_also_events_and_rates_and_no_marks_hold() -> None:
    assert CHAIN.with_processes(1) is CHAIN
    shared = CHAIN.with_processes(2)
    assert (shared.processes, shared.title, shared.marks) == (2, "chain", ())
    assert drivers(CHAIN) == ("process", "http")
    assert drivers(BY_NAME["W4"]) == drivers(CHAIN.with_rate(5.0)) == ("http",)
    engines = [of for of in WORKLOADS if of.shape not in (Shape.LOOP, Shape.EVENTS, Shape.OPEN)]
    assert [of.name for of in engines if drivers(of)] == []


def test_each_process_needs_an_instance_in_flight_but_at_a_rate() -> None:
    assert drivers(BY_NAME["W3"]) == drivers(CHAIN.with_in_flight(4), 5) == ()
    assert drivers(CHAIN.with_in_flight(4), 4) == ("process", "http")
    assert drivers(BY_NAME["W3"].with_rate(5.0)) == ("http",)


def test_only_loops_are_run_on_several_hosts() -> None:
    assert CHAIN.with_hosts(1) is CHAIN
    shared = CHAIN.with_hosts(4)
    assert (shared.drivers, shared.processes, shared.marks) == (("postgresql",), 4, ())
    assert BY_NAME["W4"].with_hosts(4).drivers == ()
