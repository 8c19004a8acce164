"""A sweep tries every single fault and every pair, and finds the ones that break something."""

import pytest

from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.search.attempt import Attempt
from perdure.testing.simulation.search.sweep import sweep

from .orders import orders

# Each has a place for every moment.
MOMENTS = ("kill.between", "host.pause")


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


def test_a_charge_without_a_key_is_found_by_a_single_fault() -> None:
    found = sweep(orders(with_key=False), pairs=False, without=MOMENTS, enough=100)
    assert found.complete
    assert found.places > 10
    assert {str(failure.error).splitlines()[0] for failure in found.failures} == {"order-0 was charged 2 times"}
    assert {("kill.charged", 0): 1} in [failure.schedule for failure in found.failures]


def test_a_charge_with_a_key_outlives_every_single_fault() -> None:
    found = sweep(orders(with_key=True), pairs=False, without=MOMENTS)
    assert (found.complete, found.failures) == (True, [])


@pytest.mark.slow
def test_a_charge_with_a_key_outlives_every_pair_of_faults() -> None:
    found = sweep(orders(with_key=True), without=MOMENTS)
    assert (found.complete, found.failures) == (True, [])
    assert found.pairs > 100


def test_only_what_breaks_nothing_alone_is_tried_with_others() -> None:
    # Given something that breaks by "a", or by "b" and "c" together,
    tried: list[dict[tuple[str, int], int]] = []

    def run(choices: Choices) -> Attempt:
        drawn = {stream: choices.fault(stream) for stream in "abc"}
        tried.append(choices.taken)
        error = AssertionError("x") if drawn["a"] or (drawn["b"] and drawn["c"]) else None
        return Attempt(error, "", (), choices)

    # then both are found, and no pair with "a" is tried.
    found = sweep(run)
    assert [failure.schedule for failure in found.failures] == [{("a", 0): 1}, {("b", 0): 1, ("c", 0): 1}]
    assert (found.places, found.pairs, str(found)) == (3, 1, "3 places, 1 pairs, complete, 2 failures")
    assert {("a", 0): 1, ("b", 0): 1} not in tried


def test_one_that_is_cut_short_says_so() -> None:
    def run(choices: Choices) -> Attempt:
        for _ in range(10):
            choices.fault("a", 3)
        return Attempt(None, "", (), choices)

    assert str(sweep(run, runs_max=5)) == "20 places, 0 pairs, cut short, 0 failures"


def test_a_calm_world_that_fails_is_the_failure() -> None:
    found = sweep(lambda choices: Attempt(AssertionError("x"), "", (), choices))
    assert [failure.schedule for failure in found.failures] == [{}]
