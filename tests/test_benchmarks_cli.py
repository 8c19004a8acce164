"""`perdure bench`: real runs, but short ones."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from perdure.benchmarks.workloads import WORKLOADS
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
    assert [found["run"]["workload"] for found in document["results"]] == ["W1", "W3", "W1", "W3"]
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
