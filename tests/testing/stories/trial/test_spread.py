"""Several processes share the seeds, and what each has seen is put together."""

import os
from collections import Counter

import pytest

from perdure.testing import SimulationMisuse
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.search.attempt import Attempt
from perdure.testing.stories.trial.running import WorldFacts
from perdure.testing.stories.trial.spread import spread


def world(seed: int, *, fails: bool = False) -> Attempt:
    facts = WorldFacts(1, 2, 0, 3, Counter(x=1), (), frozenset(), False, 0, 0.0)
    return Attempt(AssertionError("x") if fails else None, str(seed), (), Choices(seed), facts)


def test_all_seeds_are_run_once_and_counted() -> None:
    shared = spread(3, 10, None, world)
    assert (shared.seeds, shared.worlds, shared.kills, shared.lost, shared.replayed) == (10, 10, 10, 20, 30)
    assert shared.met == Counter(x=10)
    assert shared.failed == []


def test_each_process_ends_at_its_first_failure() -> None:
    shared = spread(2, 100, None, lambda seed: world(seed, fails=seed in (7, 8, 20)))
    assert shared.failed == [7, 8]


def test_a_process_that_dies_is_told_of() -> None:
    def die(seed: int) -> Attempt:
        os._exit(3)

    with pytest.raises(SimulationMisuse, match="ended without an answer"):
        spread(2, 4, None, die)
