"""A turn lists its changes; a turn without changes needs no commit."""

import pytest

from perdure.actors.turn import RECOVER, Turn


def test_an_empty_turn_writes_nothing() -> None:
    assert not Turn().writes()
    assert not Turn(busy=True, messages=[], replies=[]).writes()


@pytest.mark.parametrize(
    "turn",
    [
        Turn(entry=b""),
        Turn(record=b""),
        Turn(reset=True),
        Turn(delete=True),
        Turn(reminders_set=[("a", 1)]),
        Turn(reminders_cleared=[("a", 1)]),
    ],
)
def test_each_change_is_a_write(turn: Turn) -> None:
    assert turn.writes()


def test_recovery_reads_well_in_a_log() -> None:
    assert repr(RECOVER) == "RECOVER"
