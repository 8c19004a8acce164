"""Schedules that once failed are green, and fail again when the bug that they have found is planted."""

import pytest

from perdure.testing.simulation.choices import Choices

from .kinds import short_rest
from .mutants import apps, hosting, hosts, instances, workers
from .mutants.catalogue import MUTANTS, planted
from .trying import KeptSchedule, kept_schedules, run_of

KEPT = list(kept_schedules())


def named(kept: KeptSchedule) -> str:
    return kept.fault


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


@pytest.mark.parametrize("kept", KEPT, ids=named)
def test_a_schedule_that_once_failed_is_green(kept: KeptSchedule) -> None:
    found = run_of(kept.kind, **short_rest(kept.kind))(Choices(schedule=kept.schedule))
    assert found.error is None, f"{found.error}\n{found.story}"


@pytest.mark.parametrize("kept", [each for each in KEPT if each.mutant is not None], ids=named)
def test_it_fails_with_its_bug(kept: KeptSchedule) -> None:
    assert apps is not hosting is not hosts is not instances is not workers  # they have filled the list
    mutant = next(each for each in MUTANTS if each.name == kept.mutant)
    with planted(mutant):
        found = run_of(kept.kind, **short_rest(kept.kind))(Choices(schedule=kept.schedule))
    assert found.error is not None, "the schedule does not find its bug any more"
    assert getattr(found.error, "invariant", "") in mutant.found_by
