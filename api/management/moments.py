"""Encodes and decodes moments and lengths of time in the management API.

The rule: an encoded moment is in RFC 3339, in UTC, always with six fractional digits, so that the texts sort like the
moments. A decoded moment may have any offset, but must have one.

`encode` is the encoder of every answer of the API.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import msgspec

from ...runtime.dates import END_OF_TIME_US, to_us


class Moment(datetime):
    """A date that is encoded with six fractional digits; msgspec leaves them out if they are zeros."""

    __slots__ = ()

    @classmethod
    def at(cls, unix_us: int) -> Self:
        """Make the moment of a Unix time in microseconds, or the nearest moment that a date can have."""
        if not 0 <= unix_us <= END_OF_TIME_US:
            unix_us = max(0, min(unix_us, END_OF_TIME_US))
        return cls(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=unix_us)

    @classmethod
    def maybe(cls, unix_us: int | None) -> Self | None:
        """Make the moment; None for None."""
        return cls.at(unix_us) if unix_us is not None else None

    def __str__(self) -> str:
        return f"{self.isoformat(timespec='microseconds')[:26]}Z"


def _encoded(value: Any) -> str:
    if isinstance(value, Moment):
        return str(value)
    raise NotImplementedError(f"a {type(value).__name__} has no form in JSON")


encode = msgspec.json.Encoder(enc_hook=_encoded).encode


def parse_moment(text: str) -> int:
    """Decode a moment in RFC 3339.

    Returns:
        Unix time in microseconds.

    Raises:
        ValueError: The text is no moment; the message has an example.
    """
    # An unencoded plus arrives as a blank.
    try:
        found = msgspec.convert(text.replace(" ", "+") if text.count(" ") == 1 and "T" in text else text, datetime)
    except msgspec.ValidationError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError(f"{text!r} is no moment in RFC 3339 with its offset, such as 2026-11-26T10:00:00Z")
    return to_us(found)


UNITS_US = {"us": 1, "ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86_400 * 10**6}
LENGTH_PATTERN = r"[0-9]{1,9}(\.[0-9]{1,6})?(us|ms|s|m|h|d)?"
LENGTH_MAX_US = (
    1000 * 366 * 86_400 * 10**6
)  # longer times are cut to it: a moment minus this time is still a number that stores can have


def parse_length(text: str) -> int:
    """Decode a length of time: `90s`, `15m`, `7d`, or a bare number of seconds.

    Returns:
        Microseconds.

    Raises:
        ValueError: The text is no length of time.
    """
    if re.fullmatch(LENGTH_PATTERN, text) is None:
        raise ValueError(f"{text!r} is no length of time, such as 90s, 15m, 2h or 7d; a bare number is seconds")
    number = text.rstrip("usmhd")
    return min(round(float(number) * UNITS_US[text[len(number) :] or "s"]), LENGTH_MAX_US)
