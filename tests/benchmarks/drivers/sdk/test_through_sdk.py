"""Runs through Dapr's Python SDK: the arithmetic, and a short run where the SDK is installed."""

import os
import sys
from pathlib import Path

import pytest

from perdure.benchmarks.drivers.in_process import EngineSetup
from perdure.benchmarks.drivers.processes import ready_line, started
from perdure.benchmarks.drivers.sdk import through_sdk

from ....support.benchmarks.results import run_of

SDK_PYTHON = "PERDURE_SDK_PYTHON"  # a Python that has dapr==1.19.0

needs_sdk = pytest.mark.skipif(
    SDK_PYTHON not in os.environ, reason=f"{SDK_PYTHON} names no Python that has dapr==1.19.0"
)


def test_figures_are_per_step_and_of_all_workers_together() -> None:
    reports = [
        through_sdk.WorkerReport(steps=100, elapsed_s=2.0, worker_cpu_s=1.0, latencies_us=[2_000], turns=[]),
        through_sdk.WorkerReport(steps=300, elapsed_s=4.0, worker_cpu_s=2.0, latencies_us=[4_000], turns=[]),
    ]
    figures = through_sdk.outcome(reports, host_cpu_s=0.8, rss_bytes=2**20).figures
    assert (figures["units_per_s"], figures["instances"], figures["rss_mib"]) == (100, 2, 1)
    assert (figures["cpu_ms_per_unit"], figures["load_cpu_ms_per_unit"]) == pytest.approx((2.0, 7.5))
    assert (figures["p50_ms"], figures["max_ms"]) == (2.0, 4.0)


def test_only_the_ends_of_a_long_history_are_compared() -> None:
    turns = [(2.0, 1.5, 300)] * 100 + [(9.0, 9.0, 9)] * 50 + [(3.5, 36.0, 310)] * 100
    assert through_sdk.growth(turns) == {
        "host_first_ms": 2.0,
        "host_last_ms": 3.5,
        "worker_first_ms": 1.5,
        "worker_last_ms": 36.0,
        "item_first_bytes": 300,
        "item_last_bytes": 310,
    }
    assert through_sdk.growth(turns[:199]) == {}


def test_the_stub_says_where_it_is(tmp_path: Path) -> None:
    with started(through_sdk.host_command("stub", EngineSetup(folder=tmp_path)), tmp_path) as process:
        assert int(ready_line(process)["grpc_port"]) > 0


def test_what_is_asked_for_reaches_the_daemon_and_the_load(tmp_path: Path) -> None:
    setup = EngineSetup(folder=tmp_path, durability="relaxed", always_replay=True, processes=2)
    command = through_sdk.host_command("sdk", setup)
    assert command[command.index("--durability") + 1] == "relaxed"
    assert command[command.index("--processes") + 1] == "2"
    assert "--always-replay" in command
    assert command[command.index("--data") + 1].startswith(str(tmp_path))
    assert through_sdk.load_of(run_of("W2", "sdk", seconds=2.5)) == {"workload": "W2", "in_flight": 10, "seconds": 2.5}
    assert through_sdk.load_of(run_of("history", "sdk")) == {"workload": "history", "forgetful": False}
    assert through_sdk.load_of(run_of("history", "sdk-forgetful"))["forgetful"]


@needs_sdk
@pytest.mark.parametrize(
    ("workload", "driver", "processes"), [("W1", "stub", 1), ("W1", "sdk", 1), ("W2", "sdk", 1), ("W1", "sdk", 2)]
)
def test_a_short_run(workload: str, driver: str, processes: int, tmp_path: Path) -> None:
    python = str(Path(os.environ.get(SDK_PYTHON, sys.executable)))
    run = run_of(workload, driver, in_flight=2, seconds=0.1, processes=processes, sdk_python=python)
    found = through_sdk.run_through_sdk(run, EngineSetup(folder=tmp_path, processes=processes))
    assert found.figures["units_per_s"] > 0
    assert found.figures["instances"] == len(found.latencies_us) >= 2
    assert found.figures["cpu_ms_per_unit"] > 0
