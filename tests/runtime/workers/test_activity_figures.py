"""The figures of an activity come from its newest attempts."""

import pytest

from perdure.runtime.workers.activity_figures import (
    ATTEMPTS_MAX,
    NAMES_MAX,
    ActivityLoad,
    AttemptFigures,
    figures_of,
    oldest_of,
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


def test_the_oldest_of_each_name_is_found_in_any_order() -> None:
    assert oldest_of([("a", 3), ("b", 9), ("a", 2), ("a", 5)]) == {"a": 2, "b": 9}


def test_names_beyond_the_limit_are_left_out_and_those_within_it_go_on_being_counted() -> None:
    full = [(f"{n}", 10) for n in range(NAMES_MAX)]
    oldest = oldest_of([*full, ("one too many", 1), ("0", 5)])
    assert len(oldest) == NAMES_MAX
    assert "one too many" not in oldest
    assert oldest["0"] == 5
