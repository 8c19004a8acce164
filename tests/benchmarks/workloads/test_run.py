"""A run has its workload, as it is run."""

from ...support.benchmarks.results import run_of


def test_its_workload_has_its_load_its_rate_and_its_processes() -> None:
    crowded = run_of(in_flight=500, processes=2).variant
    assert (crowded.title, crowded.processes, crowded.drivers) == ("chain at 500", 2, ("process", "http"))
    assert run_of(rate=9.0).variant.title == "chain 9/s"
    assert run_of(driver="postgresql", processes=4).variant.drivers == ("postgresql",)


def test_marks_are_made_for_usual_options_and_a_folder_is_none() -> None:
    assert run_of().plain
    assert not run_of(durability="relaxed").plain
    assert not run_of(always_replay=True).plain
    assert run_of(peers="/here", sdk_python="/there").anywhere() == run_of()
