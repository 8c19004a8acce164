"""Cases: like is put to like, and nothing else."""

from dataclasses import replace

from perdure.benchmarks.report.cases import Range, cases_of, commands_of, range_of

from ...support.benchmarks.cases import measured, with_options
from ...support.benchmarks.results import MACHINE, on_processes, results


def test_runs_with_the_same_options_are_one_case_whichever_document_they_are_from() -> None:
    first = results(measured(units_per_s=100.0), measured(units_per_s=300.0))
    second = results(measured(units_per_s=200.0))
    (case,) = cases_of([first, second])
    assert case.figure("units_per_s") == Range(200.0, 100.0, 300.0, 3)


def test_runs_with_other_options_or_of_another_machine_are_another_case() -> None:
    here = results(
        measured(),
        measured(in_flight=500),
        measured(driver="http"),
        measured(rate=100.0),
        with_options(measured(), durability="relaxed"),
        with_options(measured(), seconds=1.0),
    )
    elsewhere = replace(results(measured()), machine=replace(MACHINE, cores=64))
    assert len(cases_of([here, elsewhere])) == 7


def test_another_moment_of_the_same_machine_is_no_other_machine() -> None:
    later = replace(results(measured()), machine=replace(MACHINE, flush_ms=9.9))
    assert len(cases_of([results(measured()), later])) == 1


def test_cases_stand_in_the_order_of_the_workloads_and_of_the_load() -> None:
    cases = cases_of([results(measured("W3"), measured(in_flight=500), measured(driver="http"), measured())])
    assert [(case.run.workload, case.run.driver, case.run.in_flight) for case in cases] == [
        ("W1", "process", 50),
        ("W1", "process", 500),
        ("W1", "http", 50),
        ("W3", "process", 50),
    ]


def test_a_figure_that_not_every_run_has_is_that_of_those_that_have_it() -> None:
    (case,) = cases_of([results(measured(p50_ms=2.0), measured())])
    assert case.figure("p50_ms") == Range(2.0, 2.0, 2.0, 1)
    assert not case.has("p99_ms")
    assert list(case.figures()) == ["p50_ms"]


def test_marks_hold_for_long_runs_at_full_durability_only() -> None:
    def marked(*, durability: str = "full", seconds: float = 4.0) -> bool:
        run = with_options(measured(units_per_s=1.0), durability=durability, seconds=seconds)
        (case,) = cases_of([results(run)])
        return bool(list(case.row().marks()))

    assert marked()
    assert not marked(durability="relaxed")
    assert not marked(seconds=0.3)


def test_the_command_measures_the_same_again() -> None:
    cases = cases_of(
        [
            results(
                *(measured("W2", in_flight=10), measured("W4")) * 2,
                measured(in_flight=20),
                measured(in_flight=500),
                measured("W2", in_flight=20),
                with_options(measured(driver="http", rate=100.0), durability="relaxed", seconds=1.5),
            )
        ]
    )
    assert set(commands_of(cases)) == {
        "perdure bench --workload W2 --workload W4 --driver process --seconds 4 --durability full --repeat 2",
        "perdure bench --workload W1 --driver process --in-flight 20 --in-flight 500 --seconds 4 --durability full",
        "perdure bench --workload W2 --driver process --in-flight 20 --seconds 4 --durability full",
        "perdure bench --workload W1 --driver http --rate 100 --seconds 1.5 --durability relaxed",
    }


def test_the_command_leaves_out_what_is_the_workloads_own() -> None:
    own = [measured("D1", in_flight=350), measured(in_flight=50), measured(in_flight=500)]
    cases = cases_of([results(replace(own[0], run=replace(own[0].run, instances=1_400)), *own[1:])])
    assert commands_of(cases) == [
        "perdure bench --workload W1 --workload D1 --driver process --seconds 4 --durability full"
    ]


def test_another_engine_is_named_as_a_peer() -> None:
    found = measured("W2", "restate", in_flight=10)
    (command,) = commands_of(cases_of([results(replace(found, run=replace(found.run, peers="/somewhere")))]))
    assert command == "perdure bench --workload W2 --peers DIR --peer restate --seconds 4 --durability full"


def test_ranges_that_touch_overlap() -> None:
    assert range_of([1.0, 2.0]).overlaps(range_of([2.0, 3.0]))
    assert range_of([1.0, 9.0]).overlaps(range_of([4.0, 5.0]))
    assert not range_of([1.0, 2.0]).overlaps(range_of([2.1, 3.0]))


def test_runs_by_several_processes_are_cases_of_their_own_without_marks_and_the_command_says_so() -> None:
    cases = cases_of(
        [results(on_processes(4, measured()), measured(units_per_s=1e9), on_processes(2, measured(units_per_s=1e9)))]
    )
    assert [case.run.processes for case in cases] == [1, 2, 4]
    assert [bool(list(case.row().marks())) for case in cases] == [True, False, False]
    assert commands_of(cases[:2]) == [
        "perdure bench --workload W1 --driver process --in-flight 50 --seconds 4 --durability full",
        "perdure bench --workload W1 --driver process --in-flight 50 --seconds 4 --durability full --processes 2",
    ]


def test_the_command_of_hosts_on_a_database_names_the_database() -> None:
    database = "postgresql://me@here/bench"
    found = measured(driver="postgresql")
    alone = replace(found, run=replace(found.run, database=database))
    command = "perdure bench --workload W1 --driver process --in-flight 50 --seconds 4 --durability full"
    assert commands_of(cases_of([results(alone, on_processes(4, alone))])) == [
        f"{command} --data {database}",
        f"{command} --hosts 4 --data {database}",
    ]
