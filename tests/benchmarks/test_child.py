"""A run in a process of its own: its result comes over the wire, and so does its failure."""

from pathlib import Path

import pytest

from perdure.benchmarks.child import RunFailed, run_in_child
from perdure.benchmarks.run import Run
from perdure.benchmarks.run_process import ProgressMessage


def run(durability: str) -> Run:
    return Run(
        workload="W1",
        driver="process",
        in_flight=5,
        seconds=1.0,
        instances=20,
        durability=durability,
        always_replay=False,
    )


def test_a_result_comes_back(tmp_path: Path) -> None:
    parts: list[ProgressMessage] = []
    outcome = run_in_child(run("relaxed"), tmp_path, parts.append)
    assert outcome.figures["instances"] == 20
    assert parts
    assert all(0 <= part.share <= 1 for part in parts)


def test_a_failure_is_told_and_why_stands_on_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunFailed, match=r"W1 \(process\) did not come to its end"):
        run_in_child(run("wishful"), tmp_path, lambda _: None)
    assert "wishful" in capfd.readouterr().err
