"""A process of a run: what is set before anything runs, what it says, and how it fails."""

import pytest

from perdure.benchmarks import run_process
from perdure.benchmarks.run_process import Teller, first_of, run_alone


def test_the_collector_is_calmed_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    async def measure(what: str) -> int:
        done.append(what)
        return 5

    monkeypatch.setattr(run_process, "tune_garbage_collector", lambda: done.append("calm"))
    assert run_alone(measure, "run") == 5
    assert done == ["calm", "run"]


def test_progress_is_not_told_more_often_than_anybody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    teller = Teller()
    for number in range(1_000):
        teller.part(number / 1_000, number)
    assert 1 <= len(capsys.readouterr().out.splitlines()) < 100


def test_of_many_errors_the_first_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    group = BaseExceptionGroup("all", [BaseExceptionGroup("some", [KeyError("first")]), KeyError("second")])
    assert repr(first_of(group)) == "KeyError('first')"

    async def fail() -> None:
        raise group

    monkeypatch.setattr(run_process, "tune_garbage_collector", lambda: None)
    with pytest.raises(KeyError, match="first"):
        run_alone(fail)
