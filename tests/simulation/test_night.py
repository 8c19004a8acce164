"""A night runs worlds until its time is over, writes failures down, and names events that have not happened."""

import json
from itertools import islice
from pathlib import Path

import pytest

from .mutants import hosting
from .mutants.catalogue import MUTANTS, planted
from .night import Night, Totals, run_core


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


def a_night(folder: Path, name: str = "a") -> Night:
    return Night("abc", name, 0.0, folder, shrink_runs=10, kinds=("plain",))


def test_no_two_nights_and_no_two_cores_have_the_same_worlds(tmp_path: Path) -> None:
    one, again, other = a_night(tmp_path), a_night(tmp_path), a_night(tmp_path, "b")
    first = list(islice(one.seeds(0), 5))
    assert first == list(islice(again.seeds(0), 5))
    assert not set(first) & {*islice(one.seeds(1), 5), *islice(other.seeds(0), 5)}


def test_a_core_tells_of_its_worlds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Given a night that is over after one world,
    run_core(a_night(tmp_path), 0)
    # then that is counted, nothing is written, and what it lacks is named.
    totals = Totals()
    totals.add(json.loads(capsys.readouterr().out))
    assert totals.counts["worlds"] == 1
    assert totals.counts["failed"] == 0
    assert "1 worlds" in totals.report()
    assert totals.missing()
    assert not list(tmp_path.iterdir())


def test_a_failure_becomes_an_issue_with_its_schedule_and_story(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a bug that each world shows,
    bug = next(each for each in MUTANTS if each.name == "the log has an error for each start")
    assert bug.plant.__module__ == hosting.__name__
    with planted(bug):
        run_core(a_night(tmp_path), 0)
    # then one file tells of it, with a schedule that was made small, and what happened.
    (path,) = tmp_path.iterdir()
    text = path.read_text()
    assert text.startswith("# A world fails: E16: the log says at ERROR: something is wrong with this")
    assert "Confirmed twice" in text
    assert "host 1   is up" in text
    assert str(path) in capsys.readouterr().err
