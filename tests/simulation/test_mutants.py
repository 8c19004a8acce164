"""Bugs that are planted in the engine are found by the invariants that are to find them."""

import pytest

from perdure.testing.simulation.choices import Choices

from .invariants import Broken
from .mutants import MUTANTS, Mutant, planted
from .scenario import Scenario

# The worlds that a mutant may take.
WORLDS_MAX = 60


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


def first_broken(error: BaseException) -> Broken | None:
    if isinstance(error, Broken):
        return error
    inside = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next(filter(None, map(first_broken, inside)), None)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    with planted(mutant):
        for seed in range(WORLDS_MAX):
            try:
                Scenario(Choices(seed)).run()
            except (Broken, BaseExceptionGroup) as error:
                broken = first_broken(error)
                if broken is None:
                    raise
                assert broken.invariant in mutant.found_by, str(broken)
                return
    pytest.fail(f"no invariant was broken in {WORLDS_MAX} worlds")
