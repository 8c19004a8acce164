"""An instance is kept for the time of its status, else for the time of all; for ever if neither is set."""

import pytest

from perdure import Status
from perdure.runtime.operations.retention.policy import Retention


@pytest.mark.parametrize(
    ("status", "kept_us"),
    [
        (Status.COMPLETED, 1),
        (Status.FAILED, 2),
        (Status.TERMINATED, 9),
        (Status.CANCELED, 9),
        (Status.RUNNING, None),
        (Status.STALLED, None),
    ],
)
def test_what_is_said_of_a_status_beats_what_is_said_of_all(status: Status, kept_us: int | None) -> None:
    assert Retention(any_terminal_us=9, completed_us=1, failed_us=2).kept_us(status) == kept_us


def test_without_a_word_everything_is_kept_for_ever() -> None:
    assert not Retention()
    assert Retention().shortest_us is None
    assert Retention().kept_us(Status.COMPLETED) is None


def test_at_once_is_a_word_too() -> None:
    assert Retention(failed_us=0)
    assert Retention(any_terminal_us=5, failed_us=0).shortest_us == 0


def test_a_time_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="completed_us must be at least 0, not -1"):
        Retention(completed_us=-1)
