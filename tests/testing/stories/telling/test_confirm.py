"""A failure is run again in a process of its own, and it is said what came of it."""

import json
import sys
from pathlib import Path

import pytest

from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.search.attempt import Attempt, signature
from perdure.testing.stories.telling.confirm import TWICE, confirm, write_outcome
from perdure.testing.stories.trial.session import SimulationSession

ATTEMPT = Attempt(AssertionError("charged 2 times"), "abc", (), Choices())
SIGNATURE = "AssertionError: charged # times"


def session(root: Path, outcome: object) -> SimulationSession:
    """One in which another process says this."""
    program = (
        "import sys, os; given = dict(each[2:].split('=', 1) for each in sys.argv[1:]);"
        "assert os.environ['PYTHONHASHSEED'] == '0' and 'PYTEST_CURRENT_TEST' not in os.environ;"
        "assert 'kill.x#0' in open(given['perdure-schedule']).read();"
        f"open(given['perdure-outcome'], 'w').write({json.dumps(outcome)!r})"
    )
    return SimulationSession(node="t.py::test_x", root=root, again=(sys.executable, "-c", program))


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ({"digest": "abc", "signature": SIGNATURE}, "PYTHONHASHSEED=0, in the same steps."),
        ({"digest": "x", "signature": SIGNATURE}, "PYTHONHASHSEED=0, though not in the same steps."),
        ({"digest": "x", "signature": None}, "NOT in another process"),
        ({"digest": "x", "signature": "KeyError: 'x'"}, "failed in another way: KeyError"),
    ],
)
def test_what_the_other_process_has_seen_is_said(tmp_path: Path, outcome: object, said: str) -> None:
    assert said in confirm(session(tmp_path, outcome), {("kill.x", 0): 1}, ATTEMPT)


def test_a_process_that_cannot_be_run_is_said_so(tmp_path: Path) -> None:
    broken = SimulationSession(node="t", root=tmp_path, again=(sys.executable, "-c", "raise SystemExit(1)"))
    assert "could not be run in a process of its own" in confirm(broken, {}, ATTEMPT)


def test_without_a_test_runner_it_has_failed_twice_here() -> None:
    assert confirm(SimulationSession(), {}, ATTEMPT) == f"{TWICE}."


def test_what_is_written_is_what_is_compared(tmp_path: Path) -> None:
    write_outcome(tmp_path / "o", ATTEMPT)
    assert json.loads((tmp_path / "o").read_text()) == {"digest": "abc", "signature": SIGNATURE}
    assert signature(ATTEMPT.error or KeyError()) == SIGNATURE
