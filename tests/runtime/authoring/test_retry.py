"""When a failed task is tried again: a function of the policy, the attempt and a seed, within the policy's limits."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perdure import FailureDetails, RetryPolicy
from perdure.runtime.authoring.retry import next_try_us

SECOND_US = 1_000_000
NOW_US = 1_800_000_000_000_000  # in 2027
FAILURE = FailureDetails(error_type="ValueError", message="no")


def policy(**given: Any) -> RetryPolicy:
    usual: dict[str, Any] = {"first_retry_interval": timedelta(seconds=1), "max_number_of_attempts": 5}
    return RetryPolicy(**usual | given)


def delay_us(
    of: RetryPolicy, attempt: int, failure: FailureDetails = FAILURE, *, waited_us: int = 0, seed: str = "x:1"
) -> int | None:
    """How long after a failure the next try begins, in microseconds."""
    due_us = next_try_us(of, failure, attempt=attempt, started_us=NOW_US - waited_us, now_us=NOW_US, seed=seed)
    return due_us - NOW_US if due_us is not None else None


def test_the_first_retry_comes_after_the_first_interval() -> None:
    assert delay_us(policy(), 1) == SECOND_US


def test_without_a_backoff_all_delays_are_the_same() -> None:
    assert [delay_us(policy(), attempt) for attempt in (1, 2, 3, 4)] == [SECOND_US] * 4


def test_each_delay_is_the_last_one_times_the_coefficient() -> None:
    doubling = policy(backoff_coefficient=2.0)
    assert [delay_us(doubling, attempt) for attempt in (1, 2, 3, 4)] == [n * SECOND_US for n in (1, 2, 4, 8)]


def test_no_delay_is_longer_than_the_maximum() -> None:
    capped = policy(backoff_coefficient=10.0, max_retry_interval=timedelta(seconds=50))
    assert [delay_us(capped, attempt) for attempt in (1, 2, 3, 4)] == [n * SECOND_US for n in (1, 10, 50, 50)]


def test_the_first_try_counts_as_an_attempt() -> None:
    assert delay_us(policy(max_number_of_attempts=3), 2) is not None
    assert delay_us(policy(max_number_of_attempts=3), 3) is None
    assert delay_us(policy(max_number_of_attempts=1), 1) is None


def test_a_failure_that_says_so_is_not_tried_again() -> None:
    final = FailureDetails(error_type="ValueError", message="no", non_retriable=True)
    assert delay_us(policy(), 1, final) is None


def test_a_failure_of_a_named_type_is_not_tried_again() -> None:
    picky = policy(non_retryable_error_types=["PermissionError", "ValueError"])
    assert delay_us(picky, 1) is None
    assert delay_us(picky, 1, FailureDetails(error_type="ConnectionError", message="no")) == SECOND_US


def test_no_try_begins_later_than_the_timeout_after_the_first() -> None:
    limited = policy(retry_timeout=timedelta(seconds=10))
    assert delay_us(limited, 1, waited_us=9 * SECOND_US) == SECOND_US  # just in time
    assert delay_us(limited, 1, waited_us=9 * SECOND_US + 1) is None


def test_a_jitter_takes_off_at_most_its_share_and_is_another_for_each_task_and_attempt() -> None:
    jittery = policy(jitter=0.5)
    delays = {delay_us(jittery, attempt, seed=f"x:{task}") for task in range(20) for attempt in (1, 2, 3)}
    assert len(delays) == 60
    assert all(delay is not None and SECOND_US / 2 <= delay <= SECOND_US for delay in delays)


def test_the_jitter_is_pinned() -> None:
    # A replay on another machine, or in a later release, must find the same delays.
    jittery = policy(jitter=1.0)
    assert [delay_us(jittery, attempt, seed="e1:7") for attempt in (1, 2, 3)] == [198038, 580846, 900057]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"first_retry_interval": timedelta(seconds=-1)}, "first_retry_interval must not be negative"),
        ({"max_number_of_attempts": 0}, "max_number_of_attempts must be at least 1, not 0"),
        ({"backoff_coefficient": 0.5}, "backoff_coefficient must be"),
        ({"backoff_coefficient": float("nan")}, "backoff_coefficient must be"),
        ({"backoff_coefficient": float("inf")}, "backoff_coefficient must be"),
        ({"max_retry_interval": timedelta(seconds=-1)}, "max_retry_interval must not be negative"),
        ({"retry_timeout": timedelta(seconds=-1)}, "retry_timeout must not be negative"),
        ({"jitter": -0.1}, "jitter must be between 0 and 1"),
        ({"jitter": 1.1}, "jitter must be between 0 and 1"),
        ({"jitter": float("nan")}, "jitter must be between 0 and 1"),
        ({"non_retryable_error_types": "ValueError"}, "must be a collection of names, not one string"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_by_name(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        policy(**wrong)


intervals = st.timedeltas(min_value=timedelta(0), max_value=timedelta.max)
policies = st.builds(
    RetryPolicy,
    first_retry_interval=intervals,
    max_number_of_attempts=st.integers(2, 10_000),
    backoff_coefficient=st.floats(1, 1e308),
    max_retry_interval=st.none() | intervals,
    retry_timeout=st.none() | intervals,
    jitter=st.floats(0, 1),
)


@given(policies, st.integers(1, 10_000), st.integers(0, 2**52), st.text(max_size=20))
@example(policy(first_retry_interval=timedelta(0), backoff_coefficient=1e308, max_number_of_attempts=9), 5, 0, "")
@example(policy(first_retry_interval=timedelta.max), 1, 0, "")
def test_every_next_try_lies_within_the_policy_and_is_found_again(
    of: RetryPolicy, attempt: int, waited_us: int, seed: str
) -> None:
    found = delay_us(of, attempt, waited_us=waited_us, seed=seed)
    if found is None:
        return
    assert attempt < of.max_number_of_attempts
    assert found >= 0
    if of.max_retry_interval is not None:
        assert timedelta(microseconds=found) <= of.max_retry_interval
    if of.retry_timeout is not None:
        assert timedelta(microseconds=waited_us + found) <= of.retry_timeout
    # Replay asks for the same delay again, and gets it.
    assert delay_us(of, attempt, waited_us=waited_us, seed=seed) == found


@given(st.integers(1, 3_600), st.floats(1, 4), st.integers(1, 12))
def test_delays_never_become_shorter_from_one_attempt_to_the_next(
    first_s: int, coefficient: float, attempt: int
) -> None:
    growing = policy(
        first_retry_interval=timedelta(seconds=first_s), backoff_coefficient=coefficient, max_number_of_attempts=99
    )
    earlier, later = delay_us(growing, attempt), delay_us(growing, attempt + 1)
    assert earlier is not None
    assert later is not None
    assert earlier <= later


def test_a_number_is_an_interval_in_seconds() -> None:
    seconds: Any = 2
    policy = RetryPolicy(
        first_retry_interval=seconds,
        max_number_of_attempts=3,
        max_retry_interval=seconds / 4,
        retry_timeout=10**400 * seconds,  # beyond a float
    )
    assert policy.first_retry_interval == timedelta(seconds=2)
    assert policy.max_retry_interval == timedelta(milliseconds=500)
    assert policy.retry_timeout == timedelta.max


@pytest.mark.parametrize("value", ["5", True, float("nan"), float("inf"), None])
def test_anything_but_an_interval_is_refused_by_the_name_of_the_field(value: Any) -> None:
    with pytest.raises(ValueError, match="first_retry_interval must be a timedelta or seconds, not"):
        RetryPolicy(first_retry_interval=value, max_number_of_attempts=3)
