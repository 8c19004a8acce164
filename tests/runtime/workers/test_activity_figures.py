"""What the newest attempts of an activity say of it."""

import pytest

from perdure.runtime.workers.activity_figures import (
    ATTEMPTS_MAX,
    ActivityLoad,
    AttemptFigures,
    figures_of,
    percentile,
    recent_attempts,
)


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        ([], None),
        ([0.5], AttemptFigures(1, 0, 0.5, 0.5)),
        ([-0.5], AttemptFigures(1, 1, 0.5, 0.5)),
        ([-0.0, 0.0], AttemptFigures(2, 1, 0.0, 0.0)),
        ([3.0, -1.0, 2.0], AttemptFigures(3, 1, 2.0, 3.0)),
        ([n / 100 for n in range(1, 101)], AttemptFigures(100, 0, 0.5, 0.99)),
    ],
)
def test_attempts_are_summed_up(attempts: list[float], expected: AttemptFigures | None) -> None:
    assert figures_of(attempts) == expected


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.25, 1), (0.5, 2), (0.51, 3), (1.0, 4)])
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    assert percentile([1, 2, 3, 4], share) == expected


def test_only_the_newest_attempts_are_kept() -> None:
    recent = recent_attempts()
    for number in range(ATTEMPTS_MAX + 10):
        recent["charge"].append(float(number))
    assert len(recent["charge"]) == ATTEMPTS_MAX
    assert recent["charge"][0] == 10.0


def test_a_load_has_the_time_of_its_oldest() -> None:
    assert ActivityLoad().with_one(None).with_one(30).with_one(20) == ActivityLoad(2, 1, 20)
