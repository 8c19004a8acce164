"""Schedules that once failed are green, and fail again where the bug is planted that they have found."""

import pytest

from perdure.testing.simulation.choices import Choices

from .mutants import hosting, instances
from .mutants.catalogue import MUTANTS, planted
from .trying import KeptSchedule, kept_schedules, run_of

KEPT = [pytest.param(each, id=each.fault) for each in kept_schedules()]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


@pytest.mark.parametrize("kept", KEPT)
def test_a_schedule_that_once_failed_is_green(kept: KeptSchedule) -> None:
    found = run_of(kept.kind)(Choices(schedule=kept.schedule))
    assert found.error is None, f"{found.error}\n{found.story}"


@pytest.mark.parametrize("kept", [each for each in KEPT if each.values[0].mutant is not None])
def test_it_fails_with_its_bug(kept: KeptSchedule) -> None:
    assert hosting is not instances  # they have filled the list
    mutant = next(each for each in MUTANTS if each.name == kept.mutant)
    with planted(mutant):
        found = run_of(kept.kind)(Choices(schedule=kept.schedule))
    assert found.error is not None, "the schedule does not find its bug any more"
    assert getattr(found.error, "invariant", "") in mutant.found_by
