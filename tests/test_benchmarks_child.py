"""A run in a process of its own: its result comes over the wire, and so does its failure."""

from pathlib import Path

import msgspec
import pytest

from perdure.benchmarks import child
from perdure.benchmarks.child import RunFailed, run_in_child
from perdure.benchmarks.run_process import Part
from perdure.benchmarks.measure import Outcome
from perdure.benchmarks.run import Run


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
    parts: list[Part] = []
    outcome = run_in_child(run("relaxed"), tmp_path, parts.append)
    assert outcome.figures["instances"] == 20
    assert parts
    assert all(0 <= part.share <= 1 for part in parts)


def test_a_failure_is_told_and_why_stands_on_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunFailed, match=r"W1 \(process\) did not come to its end"):
        run_in_child(run("wishful"), tmp_path, lambda _: None)
    assert "wishful" in capfd.readouterr().err


def test_the_collector_is_calmed_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def performed(*_: object, **__: object) -> Outcome:
        done.append("run")
        return Outcome(figures={})

    monkeypatch.setattr(child, "calm_collector", lambda: done.append("calm"))
    monkeypatch.setattr("anyio.run", performed)
    child.main(msgspec.json.encode(run("full")).decode(), str(tmp_path))
    assert done == ["calm", "run"]


def test_progress_is_not_told_more_often_than_anybody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    teller = Teller()
    for number in range(1_000):
        teller.part(number / 1_000, number)
    assert 1 <= len(capsys.readouterr().out.splitlines()) < 100


def test_of_many_errors_the_first_is_shown() -> None:
    group = BaseExceptionGroup("all", [BaseExceptionGroup("some", [KeyError("first")]), KeyError("second")])
    assert repr(first_of(group)) == "KeyError('first')"
