"""Runs through Dapr's Python SDK: the arithmetic, and a short run where the SDK is."""

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from perdure.benchmarks.drivers.sdk.sdk_driver import (
    PERDURE,
    READY,
    STUB,
    Growth,
    Pair,
    SdkResults,
    SdkRun,
    SdkRunFailed,
    SdkSetup,
    WorkerReport,
    beside_one_table,
    command_of,
    engine_ms,
    figures,
    growth,
    growth_table,
    growth_verdict,
    in_one,
    line_of,
    measured,
    pairs,
    pairs_table,
    started,
    together,
    verdicts,
)
from perdure.benchmarks.machine import machine
from perdure.cli.main import main

SDK_PYTHON = "PERDURE_SDK_PYTHON"  # a Python that has dapr==1.19.0

needs_sdk = pytest.mark.skipif(
    SDK_PYTHON not in os.environ, reason=f"{SDK_PYTHON} names no Python that has dapr==1.19.0"
)


def shown(renderable: object) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(renderable)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def sdk_run(steps_per_s: float, host_cpu_ms: float, host: str = PERDURE) -> SdkRun:
    told = WorkerReport(
        steps=1000, elapsed_s=1000 / steps_per_s, worker_cpu_s=1.5, latencies_us=[2_000, 4_000], turns=[]
    )
    return SdkRun(workload="W1", host=host, worker_options=(), told=told, host_cpu_s=host_cpu_ms)


def run_of(steps_per_s: float, host_cpu_ms: float) -> dict[str, float]:
    return figures(sdk_run(steps_per_s, host_cpu_ms))


def setup_of(**values: Any) -> SdkSetup:
    return SdkSetup(**{"sdk_python": Path(sys.executable), "seconds": 0.1, **values})


def long_run(host_ms: tuple[float, float], worker_ms: tuple[float, float]) -> Growth:
    middle = [(9.0, 9.0, 9)] * 50
    return growth([(host_ms[0], worker_ms[0], 300)] * 100 + middle + [(host_ms[1], worker_ms[1], 310)] * 100)


def test_figures_are_per_step() -> None:
    found = run_of(500, 1.2)
    assert found["steps_per_s"] == pytest.approx(500)
    assert found["host_cpu_ms"] == pytest.approx(1.2)
    assert found["worker_cpu_ms"] == pytest.approx(1.5)
    assert (found["p50_ms"], found["max_ms"]) == (2.0, 4.0)


def test_the_marks_are_of_the_median_of_the_pairs() -> None:
    # Given three pairs, of which one was disturbed,
    found = [Pair(stub=run_of(500, 0.8), perdure=run_of(rate, 1.7)) for rate in (480, 470, 200)]
    # then the share is that of the middle one, all of them are shown, and each mark is judged.
    share, cpu = verdicts("W1", found)
    assert share == "W1: 0.94 of the stub's rate (0.96, 0.94, 0.40), at least 0.9: reached"
    assert cpu == "W1: 1.70 ms of the host's CPU for a step, at most 1.6: missed"
    assert "470" in shown(pairs_table("W1", found))


def test_only_the_ends_of_a_long_history_are_compared() -> None:
    found = long_run((2.0, 3.5), (1.5, 36.0))
    assert found == Growth(
        turns=250,
        host_first_ms=2.0,
        host_last_ms=3.5,
        worker_first_ms=1.5,
        worker_last_ms=36.0,
        bytes_first=300,
        bytes_last=310,
    )
    assert "1.50 → 36.00" in shown(growth_table({PERDURE: found}))


def test_what_the_stub_takes_too_is_not_the_engines() -> None:
    stub, perdure = long_run((1.0, 2.5), (1.5, 36.0)), long_run((2.0, 3.5), (1.5, 36.0))
    assert engine_ms(perdure, stub) == (1.0, 1.0)
    assert growth_verdict(perdure, stub).endswith("at most 1.5 times: reached")
    assert growth_verdict(long_run((2.0, 5.5), (1.5, 36.0)), stub).endswith("at most 1.5 times: missed")


def test_either_host_says_where_it_is(tmp_path: Path) -> None:
    for host in (STUB, PERDURE):
        with started(command_of(host, setup_of(), tmp_path), tmp_path) as process:
            found = READY.fullmatch(line_of(process, "ready line"))
            assert found is not None
            assert int(found["port"]) > 0


def test_a_process_that_ends_without_a_word_is_an_error(tmp_path: Path) -> None:
    with started([sys.executable, "-c", ""], tmp_path) as process, pytest.raises(SdkRunFailed, match="no ready line"):
        line_of(process, "ready line")


def test_the_command_needs_to_know_which_python_has_the_sdk() -> None:
    without = CliRunner().invoke(main, ["bench", "--driver", "sdk"])
    assert without.exit_code == 2
    assert "--sdk-python" in without.output
    strange = CliRunner().invoke(main, ["bench", "--driver", "sdk", "--sdk-python", sys.executable, "--workload", "W5"])
    assert strange.exit_code == 2
    assert "W5 cannot be run with --driver sdk" in strange.output
    counted = CliRunner().invoke(
        main, ["bench", "--driver", "sdk", "--sdk-python", sys.executable, "--instances", "10"]
    )
    assert counted.exit_code == 2
    assert "--instances cannot be used with --driver sdk" in counted.output


@pytest.mark.parametrize("options", [("--suite", "dapr"), ("--rate", "9"), ("--in-flight", "2", "--in-flight", "3")])
def test_the_command_refuses_curves_and_suites_through_the_sdk(options: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, ["bench", "--driver", "sdk", "--sdk-python", sys.executable, *options])
    assert result.exit_code == 2
    assert options[0] in result.output


def test_what_is_asked_for_reaches_the_daemon_and_the_load(tmp_path: Path) -> None:
    asked = setup_of(durability="relaxed", always_replay=True, in_flight=7, seconds=2.5)
    command = command_of(PERDURE, asked, tmp_path)
    assert command[command.index("--durability") + 1] == "relaxed"
    assert "--always-replay" in command
    assert command[command.index("--data") + 1].startswith(str(tmp_path))
    assert asked.load("W2") == ("--in-flight", "7", "--seconds", "2.5")
    assert setup_of(seconds=1).load("W2") == ("--in-flight", "10", "--seconds", "1")
    assert asked.load("history") == ()


def test_marks_hold_for_the_usual_load_only() -> None:
    assert setup_of().marked
    for unusual in ({"durability": "relaxed"}, {"always_replay": True}, {"in_flight": 50}, {"quick": True}):
        assert not setup_of(**unusual).marked


def test_runs_are_set_side_by_side_in_their_order() -> None:
    runs = [sdk_run(500, 1, STUB), sdk_run(400, 1), sdk_run(250, 1, STUB), sdk_run(250, 1)]
    assert [pair.share for pair in pairs(runs)] == pytest.approx([0.8, 1.0])
    with pytest.raises(AssertionError):
        pairs(runs[1:])


def test_several_workers_are_shown_beside_one() -> None:
    many = f"{PERDURE} x2"
    runs = [
        sdk_run(200, 2),
        sdk_run(300, 3, many),
        sdk_run(200, 2),
        sdk_run(400, 3, many),
        sdk_run(100, 2),
        sdk_run(130, 3, many),
    ]
    said = shown(beside_one_table("W1", runs))
    assert "1.50 times the steps (1.50, 2.00, 1.30)" in " ".join(said.split())
    assert many in said


def test_the_report_of_several_workers_is_that_of_all() -> None:
    one, other = (
        WorkerReport(steps=10, elapsed_s=2.0, worker_cpu_s=1.0, latencies_us=[5], turns=[]),
        WorkerReport(steps=20, elapsed_s=3.0, worker_cpu_s=2.0, latencies_us=[7], turns=[]),
    )
    assert in_one([one, other]) == WorkerReport(
        steps=30, elapsed_s=3.0, worker_cpu_s=3.0, latencies_us=[5, 7], turns=[]
    )


@needs_sdk
def test_a_short_run_of_two_processes_with_two_workers() -> None:
    run = together(setup_of(sdk_python=Path(os.environ[SDK_PYTHON]), in_flight=2), "W1", 2)
    assert run.told.steps >= 10
    assert run.host == f"{PERDURE} x2"
    assert run.host_cpu_s > 0


def test_the_document_has_every_run_with_all_that_was_measured(tmp_path: Path) -> None:
    runs = [sdk_run(500, 1, STUB), sdk_run(400, 2)]
    SdkResults(
        machine=machine(tmp_path), began_at="2026-01-01", durability="full", always_replay=False, runs=runs
    ).write(tmp_path / "results.json")
    document = json.loads((tmp_path / "results.json").read_text())
    assert [(run["host"], run["host_cpu_s"]) for run in document["runs"]] == [(STUB, 1), (PERDURE, 2)]
    assert document["runs"][1]["told"]["latencies_us"] == [2_000, 4_000]
    assert document["machine"]["cores"] > 0


@needs_sdk
@pytest.mark.parametrize("host", [STUB, PERDURE])
@pytest.mark.parametrize("workload", ["W1", "W2"])
def test_a_short_run(host: str, workload: str) -> None:
    run = measured(host, setup_of(sdk_python=Path(os.environ[SDK_PYTHON]), in_flight=2), workload)
    assert run.told.steps >= 10
    assert len(run.told.latencies_us) >= 2
    assert run.host_cpu_s > 0


@needs_sdk
def test_a_short_run_of_the_command_is_written_down(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main,
        [
            *("bench", "--driver", "sdk", "--sdk-python", os.environ[SDK_PYTHON], "--workload", "W1", "--quick"),
            *("--in-flight", "2", "--durability", "relaxed", "--always-replay"),
            *("--data", str(tmp_path / "data"), "--json", str(tmp_path / "results.json")),
        ],
    )
    assert result.exit_code == 0, result.output
    assert "reached" not in result.output
    document = json.loads((tmp_path / "results.json").read_text())
    assert [run["host"] for run in document["runs"]] == [STUB, PERDURE]
    assert (document["durability"], document["always_replay"]) == ("relaxed", True)
    assert not list((tmp_path / "data").iterdir())
