"""Retry policies: when a failed activity or child workflow is tried again.

The rule: the delay is a function of the policy, the attempt and a seed, so
replay finds the same one.

Workflow code gives policies to its calls; `runtime/execution/pending.py`
computes the time of the next try. Source: contract 3.16.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from math import inf, isfinite
from random import Random
from typing import Any

from ..dates import END_OF_TIME_US, microseconds
from ..history.failure import FailureDetails


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a task is tried, and at which intervals: timedeltas, or numbers of seconds.

    Raises:
        ValueError: A value is out of its range.
    """

    first_retry_interval: timedelta  # the pause after the first try
    max_number_of_attempts: int  # the first try counts, so 1 is no retry
    backoff_coefficient: float = 1.0  # each pause is the one before, multiplied by this
    max_retry_interval: timedelta | None = None  # the longest pause; None: no limit
    retry_timeout: timedelta | None = None  # no try begins later than this after the first; None: any may
    non_retryable_error_types: Collection[str] = ()  # class names, as in FailureDetails.error_type
    jitter: float = 0.0  # 0 to 1: up to this share is taken off each delay, the same at every replay

    def __post_init__(self) -> None:
        for name in ("first_retry_interval", "max_retry_interval", "retry_timeout"):
            object.__setattr__(self, name, _interval(name, getattr(self, name)))
        if self.first_retry_interval < timedelta(0):
            raise ValueError(f"first_retry_interval must not be negative, not {self.first_retry_interval}")
        if self.max_number_of_attempts < 1:
            raise ValueError(f"max_number_of_attempts must be at least 1, not {self.max_number_of_attempts}")
        if not 1 <= self.backoff_coefficient < inf:
            raise ValueError(f"backoff_coefficient must be at least 1 and finite, not {self.backoff_coefficient}")
        if self.max_retry_interval is not None and self.max_retry_interval < timedelta(0):
            raise ValueError(f"max_retry_interval must not be negative, not {self.max_retry_interval}")
        if self.retry_timeout is not None and self.retry_timeout < timedelta(0):
            raise ValueError(f"retry_timeout must not be negative, not {self.retry_timeout}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter must be between 0 and 1, not {self.jitter}")
        if isinstance(self.non_retryable_error_types, str):
            raise ValueError("non_retryable_error_types must be a collection of names, not one string")


def _interval(name: str, value: Any) -> timedelta | None:
    """An interval; a number is seconds."""
    if isinstance(value, timedelta) or (value is None and name != "first_retry_interval"):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            if isfinite(value):
                return timedelta(seconds=value)
        except OverflowError:  # of the number as a float, or as an interval
            return timedelta.max if value > 0 else timedelta.min
    raise ValueError(f"{name} must be a timedelta or seconds, not {type(value).__name__}")


def next_try_us(
    policy: RetryPolicy, failure: FailureDetails, *, attempt: int, started_us: int, now_us: int, seed: str
) -> int | None:
    """The time of the next try.

    Args:
        policy: The policy of the call.
        failure: The failure of the last try.
        attempt: The number of the try that has failed; the first is 1.
        started_us: When the first try was requested; Unix time, microseconds.
        now_us: When the failure came in; Unix time, microseconds.
        seed: Makes the jitter of this task differ from that of others; the same at every replay.

    Returns:
        Unix time, microseconds; None if there is no other try.
    """
    if attempt >= policy.max_number_of_attempts or failure.non_retriable:
        return None
    if failure.error_type in policy.non_retryable_error_types:
        return None
    delay_us = _delay_us(policy, attempt)
    if policy.jitter:
        # Seeding with text is the same on every machine and release (random.seed, version 2).
        delay_us -= int(delay_us * policy.jitter * Random(f"{seed}:{attempt}").random())  # noqa: S311
    due_us = now_us + delay_us
    if policy.retry_timeout is not None and due_us > started_us + microseconds(policy.retry_timeout):
        return None
    return min(due_us, END_OF_TIME_US)


def _delay_us(policy: RetryPolicy, attempt: int) -> int:
    """The delay after a failed attempt, before jitter. A power too large for a float is the maximum."""
    ceiling_us = (
        microseconds(policy.max_retry_interval)
        if policy.max_retry_interval is not None
        else microseconds(timedelta.max)
    )
    first_us = microseconds(policy.first_retry_interval)
    try:
        return int(min(first_us * policy.backoff_coefficient ** (attempt - 1), ceiling_us))
    except OverflowError:
        return ceiling_us if first_us else 0
