"""A browser logs in with a token, and guesses are slowed down."""

import pytest

from perdure.http.management.routes.session import ADDRESSES_MAX, FAILURE_S, FAILURES_MAX, Throttle


def test_a_few_failures_are_free_and_then_each_takes_its_time() -> None:
    throttle = Throttle()
    for _ in range(FAILURES_MAX):
        assert throttle.wait_s("a", 100.0) <= 0
        throttle.failed("a", 100.0)
    assert throttle.wait_s("a", 100.0) == pytest.approx(FAILURE_S)
    assert throttle.wait_s("b", 100.0) <= 0
    assert throttle.wait_s("a", 100.0 + FAILURE_S) <= 0
    throttle.failed("a", 100.0 + FAILURE_S)
    assert throttle.wait_s("a", 100.0 + FAILURE_S) > 0
    assert throttle.wait_s("a", 1000.0) <= 0


def test_the_memory_of_failures_is_bounded() -> None:
    throttle = Throttle()
    for number in range(ADDRESSES_MAX + 10):
        throttle.failed(str(number), 0.0)
    assert len(throttle._empty_s) == ADDRESSES_MAX
