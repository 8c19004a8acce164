"""`perdure bench`: short real runs, and the allowed combinations of options."""

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result

from perdure.benchmarks import cli, running
from perdure.benchmarks.drivers.measure import RunOutcome
from perdure.benchmarks.workloads.run import Run
from perdure.benchmarks.workloads.table import WORKLOADS
from perdure.cli.main import main

from ..support.benchmarks.results import Parts


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["bench", *arguments])


def options(arguments: str) -> running.Options:
    return running.Options(**cli.bench.make_context("bench", arguments.split()).params)


def run_here(perform: Callable[..., Awaitable[RunOutcome]], run: Run, folder: Path, watch: object) -> RunOutcome:
    return anyio.run(perform, run, folder, Parts())


def test_a_quick_run_shows_figures_and_writes_them_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "run_in_child", run_here)
    # When two workloads are run in process, twice,
    file = tmp_path / "results.json"
    result = bench(
        *("--workload", "W1", "--workload", "W3", "--driver", "process"),
        *("--quick", "--seconds", "0.05", "--repeat", "2", "--data", str(tmp_path / "data"), "--json", str(file)),
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
        assert 0 <= found["machine_load"]["busy"] <= 1
    # Nothing is left of the stores.
    assert not list((tmp_path / "data").iterdir())


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("--quick", "--in-flight", "2", "--in-flight", "7"), ("W1 chain at 2 ", "W1 chain at 7 ")),
        (("--quick", "--rate", "50"), ("At a rate of arrivals", "W1 chain 50/s")),
        (("--processes", "2", "--in-flight", "5", "--instances", "10"), ("process x2",)),
    ],
)
def test_curves_rates_and_several_processes_are_shown(
    arguments: tuple[str, ...], shown: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "run_in_child", lambda *_: RunOutcome(figures={"units_per_s": 1.0}))
    result = bench("--workload", "W1", "--driver", "process", *arguments)
    assert result.exit_code == 0, result.output
    assert all(each in result.stdout for each in shown)


SDK = f"--driver sdk --sdk-python {sys.executable}"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("--workload W5 --driver http", "W5 cannot be run with --driver http"),
        ("--rate 5 --in-flight 5", "--rate and --in-flight exclude each other"),
        ("--rate 5 --peer restate", "--rate cannot be used with --peer"),
        ("--rate 5 --workload W4", "W4 cannot be run with --rate"),
        ("--processes 2 --workload W3", "W3 cannot be run with --driver both and --processes 2"),
        ("--processes 2 --workload S7 --workload W6", "S7, W6 cannot be run with --driver both and --processes 2"),
        ("--processes 2 --rate 5 --driver process", "W1 cannot be run with --driver process and --processes 2"),
        ("--processes 2 --peer restate", "--processes cannot be used with --peer"),
        ("--processes 2 --durability relaxed", "--processes cannot be used with --durability relaxed"),
        ("--processes 2 --driver sdk", "--processes with --driver sdk needs --workload W1 or W2"),
        ("--data postgresql://h/d --processes 2", "on a database there is one process"),
        ("--data postgresql://me:secret@h/d", "PGPASSWORD"),
        ("--hosts 2 --workload W1", "name it with --data"),
        ("--peer restate --driver sdk", "--peer cannot be used with --driver sdk"),
        ("--driver sdk", "--driver sdk needs --sdk-python"),
        (f"{SDK} --workload W5", "W5 cannot be run with --driver sdk"),
        (f"{SDK} --instances 10", "--instances cannot be used with --driver sdk"),
        (f"{SDK} --suite dapr", "--suite, --rate and several --in-flight cannot be used with --driver sdk"),
        (f"{SDK} --rate 9", "--suite, --rate and several --in-flight cannot be used with --driver sdk"),
        (f"{SDK} --in-flight 2 --in-flight 3", "several --in-flight cannot be used with --driver sdk"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(arguments: str, why: str) -> None:
    result = bench(*arguments.split())
    assert result.exit_code == 2
    assert why in " ".join(result.output.split())


def test_a_peer_that_is_not_installed_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    # When a peer is named without its folder, or with a wrong one,
    nowhere = bench("--peer", "restate", "--quick")
    missing = bench("--peer", "restate", "--peers", str(tmp_path), "--quick")
    # then each says what to do.
    assert nowhere.exit_code == missing.exit_code == 1
    assert "--peers DIR" in nowhere.output
    assert "--install-peers --peer restate" in missing.output


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("", "W1 W2 W3 W4 W5 W6"),
        ("--suite dapr", "D1 D2 D3 D4 D5 D6 D7 D8 D9"),
        ("--suite all", " ".join(workload.name for workload in WORKLOADS)),
        ("--workload D1", "D1"),  # a name counts in any suite
        (SDK, "W1 W2 history"),
    ],
)
def test_the_basic_suite_is_run_unless_another_is_named(arguments: str, names: str) -> None:
    assert " ".join(dict.fromkeys(workload.name for workload in options(arguments).chosen())) == names


@pytest.mark.parametrize(
    ("arguments", "instances"),
    [
        ("--workload D1", 1_400),
        ("--workload D1 --quick", 70),
        ("--workload D1 --instances 10", 10),
        ("--workload D1 --rate 10", None),
        ("--workload W3", None),
    ],
)
def test_a_workload_has_its_own_number_of_instances_unless_another_is_said(
    arguments: str, instances: int | None
) -> None:
    assert [run.instances for run in options(f"--driver process {arguments}").runs()] == [instances]


W1 = "W1 process, W1 http, W1@500 process, W1@500 http"
PAIRS = "W1 stub, W1 sdk, W2 stub, W2 sdk"
DATABASE = "--driver process --data postgresql://h/d --hosts 4"


@pytest.mark.parametrize(
    ("arguments", "order"),
    [
        # All are run once before any is run again, and peers between Perdure's runs of the same workload.
        ("--workload W1 --workload W5 --repeat 2", f"{W1}, W5 process, {W1}, W5 process"),
        ("--workload W2 --workload W5 --driver process --peer restate --peers D", "W2 process, W2 restate, W5 process"),
        # Workloads that several processes cannot share are left out.
        ("--processes 2", f"{W1}, W2 process, W2 http, W4 http".replace(",", " x2,") + " x2"),
        ("--processes 2 --rate 5", "W1 http x2"),
        ("--processes 2 --workload W3 --workload W2 --driver process --in-flight 2", "W2 process x2, W3 process x2"),
        # Several hosts stand alone, beside one host on the database and one on SQLite.
        (f"--workload W2 {DATABASE}", "W2 process, W2 postgresql, W2 postgresql x4"),
        (f"--workload W4 {DATABASE}", "W4 process, W4 postgresql"),
        # Perdure after the stub; one long chain is enough.
        (f"{SDK} --repeat 2", f"{PAIRS}, history stub, history sdk, history sdk-forgetful, {PAIRS}"),
        (f"{SDK} --workload W1 --processes 2", "W1 sdk, W1 sdk x2"),
    ],
)
def test_the_order_of_runs(arguments: str, order: str) -> None:
    found = [
        f"{run.workload}{'@500' if run.in_flight == 500 else ''} {run.driver}"
        + (f" x{run.processes}" if run.processes > 1 else "")
        for run in options(arguments).runs()
    ]
    assert ", ".join(found) == order
