"""The first line of a kind is written at once; what follows is one line with a count for each interval."""

import logging

import pytest

from perdure.api.throttled_log import ThrottledLog


class FakeClock:
    """A clock that stands where the test puts it."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def throttled(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> ThrottledLog:
    caplog.set_level(logging.INFO)
    return ThrottledLog(logging.getLogger("junk"), interval_s=10, clock=clock)


def test_a_flood_is_two_lines(throttled: ThrottledLog, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1000):
        throttled.warning("refused", "refused: %d", number)
    assert caplog.messages == ["refused: 0"]
    clock.now_s += 9
    throttled.flush()
    assert len(caplog.messages) == 1
    clock.now_s += 1
    throttled.flush()
    assert caplog.messages == ["refused: 0", "refused: 999 (999 such lines in 10 s)"]
    throttled.flush()
    assert len(caplog.messages) == 2


def test_the_next_line_after_an_interval_brings_the_count(
    throttled: ThrottledLog, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        throttled.warning("refused", "refused")
    clock.now_s += 20
    throttled.warning("refused", "refused again")
    assert caplog.messages == ["refused", "refused again (3 such lines in 20 s)"]


def test_a_single_line_has_no_count(
    throttled: ThrottledLog, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    throttled.warning("refused", "one")
    clock.now_s += 20
    throttled.warning("refused", "two")
    assert caplog.messages == ["one", "two"]


def test_kinds_are_counted_apart_and_have_their_levels(
    throttled: ThrottledLog, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        throttled.warning("a", "a")
        throttled.log("b", logging.INFO, "b")
    throttled.flush(now=True)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "a"),
        ("INFO", "b"),
        ("WARNING", "a"),
        ("INFO", "b"),
    ]
