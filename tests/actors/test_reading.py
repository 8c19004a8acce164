"""Two readings of both clocks show by how much the wall clock was set."""

import pytest

from perdure.actors.reading import Reading


@pytest.mark.parametrize(
    ("wall_us", "monotonic_us", "back_us"),
    [
        (1_005, 15, 0),
        (1_000, 15, 5),
        (400, 15, 605),
        (1_105, 15, -100),
    ],
)
def test_two_readings_tell_by_how_much_the_wall_clock_was_set_back(
    wall_us: int, monotonic_us: int, back_us: int
) -> None:
    assert Reading(wall_us, monotonic_us).set_back_since(Reading(1_000, 10)) == back_us
