"""A run in its own process: its settings, its reports, its result, and its errors."""

from pathlib import Path
from typing import Any, cast

import pytest

from perdure.benchmarks import run_process
from perdure.benchmarks.performing import perform
from perdure.benchmarks.run_process import PipeProgress, RunFailed, first_of, run_alone, run_in_child

from ..support.benchmarks.results import run_of


def test_a_result_comes_back(tmp_path: Path) -> None:
    parts: list[tuple[float, int]] = []
    run = run_of(in_flight=5, seconds=1.0, instances=20, durability="relaxed")
    outcome = run_in_child(perform, run, tmp_path, lambda *part: parts.append(part))
    assert outcome.figures["instances"] == 20
    assert parts
    assert all(0 <= share <= 1 for share, _ in parts)


def test_a_failure_is_told_and_why_stands_on_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = run_of(in_flight=5, seconds=1.0, instances=20, durability="wishful")
    with pytest.raises(RunFailed, match=r"W1 \(process\) did not come to its end"):
        run_in_child(perform, run, tmp_path, lambda *_: None)
    assert "wishful" in capfd.readouterr().err


def test_the_collector_is_calmed_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    async def measure(what: str) -> int:
        done.append(what)
        return 5

    monkeypatch.setattr(run_process, "tune_garbage_collector", lambda: done.append("calm"))
    assert run_alone(measure, "run") == 5
    assert done == ["calm", "run"]


def test_progress_is_not_reported_more_often_than_a_reader_looks() -> None:
    class Pipe:
        sent = 0

        def send(self, _: object) -> None:
            self.sent += 1

    pipe = Pipe()
    progress = PipeProgress(cast(Any, pipe))
    for number in range(1_000):
        progress.part(number / 1_000, number)
    assert 1 <= pipe.sent < 100


def test_of_many_errors_the_first_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    group = BaseExceptionGroup("all", [BaseExceptionGroup("some", [KeyError("first")]), KeyError("second")])
    assert repr(first_of(group)) == "KeyError('first')"

    async def fail() -> None:
        raise group

    monkeypatch.setattr(run_process, "tune_garbage_collector", lambda: None)
    with pytest.raises(KeyError, match="first"):
        run_alone(fail)
