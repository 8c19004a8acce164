"""A sweep of programs: each single fault at each place where it can strike, and each pair, in the calm order."""

import pytest

from perdure.testing.simulation.search.sweep import sweep

from .programs import Program
from .trying import run_of

# One of each kind of step, as short as they are: what a sweep costs grows with the square of the places.
PROGRAMS: dict[str, Program] = {
    "an activity": [["work", 1]],
    "one that is tried again": [["flaky", 1, 1]],
    "one that fails for good": [["bad", 0]],
    "activities at once": [["fan", 2]],
    "a timer": [["nap", 0.01]],
    "an event": [["event", "e1"]],
    "a race": [["race", "r1", 0.01]],
    "whichever is first": [["either", 1, 0.01]],
    "a child": [["child", [["nap", 0.01]], 0]],
    "a child with a name": [["child", [["nap", 0.01]], 1]],
    "a child that is outrun, and its like of the next generation": [
        ["outrun", [["nap", 5]], 0.01],
        ["again", [["outrun", [["nap", 0.01]], 10]]],
    ],
    "another generation": [["again", [["nap", 0.01]]]],
    "chance": [["chance", 1]],
}
# These have a place at each moment, or at each start.
WITHOUT = ("kill.between", "host.pause", "host.restart", "store.slow", "store.inspect", "store.load", "activity.slow")


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


@pytest.mark.parametrize("name", PROGRAMS)
def test_all_single_faults_of_a_program_are_survived(name: str) -> None:
    found = sweep(run_of("plain", program=PROGRAMS[name]), without=WITHOUT, pairs=False)
    assert found.complete
    assert found.places > 10
    assert not found.failures, f"{found.failures[0].error}\n{found.failures[0].schedule}\n{found}"


# Of a usual run: the faults around a commit and around an activity's effect. A slow one has all of them.
MAIN = ("kill.before", "kill.unheard", "kill.begun", "kill.effect", "store.fail")


@pytest.mark.parametrize("name", ["an activity", "a timer", "an event"])
def test_pairs_of_the_main_faults_are_survived(name: str) -> None:
    found = sweep(run_of("plain", program=PROGRAMS[name]), only=lambda stream: stream in MAIN)
    assert found.complete
    assert found.pairs > 10
    assert not found.failures, f"{found.failures[0].error}\n{found.failures[0].schedule}\n{found}"


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_all_pairs_of_faults_of_a_program_are_survived(name: str) -> None:
    found = sweep(run_of("plain", program=PROGRAMS[name]), without=WITHOUT)
    assert found.complete
    assert found.pairs > 100
    assert not found.failures, f"{found.failures[0].error}\n{found.failures[0].schedule}\n{found}"
