"""`perdure bench`: real runs, but short ones."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perdure.benchmarks.cli import Options
from perdure.benchmarks.cli import bench as command
from perdure.benchmarks.workloads.table import WORKLOADS
from perdure.cli.main import main


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["bench", *arguments])


def test_a_quick_run_shows_figures_and_writes_them_down(tmp_path: Path) -> None:
    # When two workloads are run in process, twice,
    file = tmp_path / "results.json"
    result = bench(
        *("--workload", "W1", "--workload", "W3", "--driver", "process"),
        *("--quick", "--repeat", "2", "--data", str(tmp_path / "data"), "--json", str(file)),
    )
    assert result.exit_code == 0, result.output
    # then both are shown, without marks, for which it was too short,
    assert "W1 chain" in result.stdout
    assert "W3 latency" in result.stdout
    assert "reached" not in result.stdout
    # and the document has every run, in the order of the runs, with all that was measured.
    document = json.loads(file.read_text())
    order = [(found["run"]["workload"], found["run"]["in_flight"]) for found in document["results"]]
    assert order == [("W1", 50), ("W1", 500), ("W3", 1)] * 2
    for found in document["results"]:
        figures = found["outcome"]["figures"]
        assert figures["units_per_s"] > 0
        assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["max_ms"]
        assert figures["cpu_ms_per_unit"] > 0
        assert figures["rss_mib"] > 10
        assert figures["commits_per_s"] > 0
        assert len(found["outcome"]["latencies_us"]) == figures["instances"]
    # Nothing is left of the stores.
    assert not list((tmp_path / "data").iterdir())


def test_help_lists_the_workloads() -> None:
    output = bench("--help").output
    for workload in WORKLOADS:
        assert f"{workload.name}  {workload.title}: {workload.what}" in output


def test_a_workload_that_has_no_such_driver_is_a_usage_error() -> None:
    result = bench("--workload", "W5", "--driver", "http")
    assert result.exit_code == 2
    assert "W5 cannot be run with --driver http" in result.output


def test_a_curve_is_a_row_for_each_number_in_flight() -> None:
    result = bench("--workload", "W1", "--driver", "process", "--quick", "--in-flight", "2", "--in-flight", "7")
    assert result.exit_code == 0, result.output
    assert "W1 chain at 2 " in result.stdout
    assert "W1 chain at 7 " in result.stdout


def test_at_a_rate_the_chain_is_run_and_what_was_due_is_shown() -> None:
    result = bench("--rate", "50", "--driver", "process", "--quick")
    assert result.exit_code == 0, result.output
    assert "At a rate of arrivals" in result.stdout
    assert "W1 chain 50/s" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--rate", "5", "--in-flight", "5"], "--rate and --in-flight exclude each other"),
        (["--rate", "5", "--peer", "restate"], "--rate cannot be used with --peer"),
        (["--rate", "5", "--workload", "W4"], "W4 cannot be run with --rate"),
    ],
)
def test_a_rate_with_what_it_does_not_go_with_is_a_usage_error(arguments: list[str], why: str) -> None:
    result = bench(*arguments)
    assert result.exit_code == 2
    assert why in " ".join(result.output.split())


def options(*arguments: str) -> Options:
    return Options(**command.make_context("bench", list(arguments)).params)


def test_what_several_processes_cannot_share_is_left_out() -> None:
    def run(*arguments: str) -> list[tuple[str, str, int]]:
        runs = options("--processes", "2", *arguments).runs()
        assert {run.processes for run in runs} == {2}
        return [(run.workload, run.driver, run.in_flight) for run in runs]

    assert run() == [
        ("W1", "process", 50),
        ("W1", "http", 50),
        ("W1", "process", 500),
        ("W1", "http", 500),
        ("W2", "process", 10),
        ("W2", "http", 10),
        ("W4", "http", 50),
    ]
    assert run("--rate", "5") == [("W1", "http", 50)]
    assert run("--workload", "W1", "--workload", "W3", "--driver", "process", "--in-flight", "2") == [
        ("W1", "process", 2),
        ("W3", "process", 2),
    ]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--workload", "W3"], "W3 cannot be run with --driver both and --processes 2"),
        (["--workload", "S7", "--workload", "W6"], "S7, W6 cannot be run with --driver both and --processes 2"),
        (["--rate", "5", "--driver", "process"], "W1 cannot be run with --driver process and --processes 2"),
        (["--peer", "restate"], "--processes cannot be used with --peer"),
        (["--durability", "relaxed"], "--processes cannot be used with --durability relaxed"),
        (["--driver", "sdk"], "--processes with --driver sdk needs --workload W1 or W2"),
    ],
)
def test_several_processes_with_what_they_do_not_go_with_are_a_usage_error(arguments: list[str], why: str) -> None:
    result = bench("--processes", "2", *arguments)
    assert result.exit_code == 2
    assert why in " ".join(result.output.split())


def test_several_processes_are_shown_as_such_and_written_down(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    result = bench(
        *("--processes", "2", "--workload", "W1", "--in-flight", "5", "--driver", "process"),
        *("--instances", "10", "--data", str(tmp_path / "data"), "--json", str(file)),
    )
    assert result.exit_code == 0, result.output
    assert "process x2" in result.stdout
    (found,) = json.loads(file.read_text())["results"]
    assert found["run"]["processes"] == 2
    assert found["outcome"]["figures"]["instances"] == 10


def test_the_basic_suite_is_run_unless_another_is_named() -> None:
    def names(*arguments: str) -> list[str]:
        return list(dict.fromkeys(workload.name for workload in options(*arguments).chosen()))

    assert names() == ["W1", "W2", "W3", "W4", "W5", "W6"]
    assert names("--suite", "dapr") == [workload.name for workload in WORKLOADS if workload.suite == "dapr"]
    assert names("--suite", "all") == [workload.name for workload in WORKLOADS]
    assert names("--workload", "D1") == ["D1"], "a name counts, whatever its suite"


def test_a_workload_has_its_own_number_of_instances_unless_another_is_said() -> None:
    def instances(*arguments: str) -> list[int | None]:
        return [run.instances for run in options("--driver", "process", *arguments).runs()]

    assert instances("--workload", "D1") == [1_400]
    assert instances("--workload", "D1", "--quick") == [70]
    assert instances("--workload", "D1", "--instances", "10") == [10]
    assert instances("--workload", "D1", "--rate", "10") == [None]
    assert instances("--workload", "W3") == [None]


def test_a_peer_that_is_not_installed_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    # When a peer is named without the folder that it is in, or with one that it is not in,
    nowhere = bench("--peer", "restate", "--quick")
    missing = bench("--peer", "restate", "--peers", str(tmp_path), "--quick")
    # then each says what to do.
    assert nowhere.exit_code == missing.exit_code == 1
    assert "--peers DIR" in nowhere.output
    assert "--install-peers --peer restate" in missing.output


def test_peers_are_only_for_perdures_own_drivers(tmp_path: Path) -> None:
    result = bench("--peer", "restate", "--driver", "sdk")
    assert result.exit_code == 2
    assert "--peer cannot be used with --driver sdk" in result.output
