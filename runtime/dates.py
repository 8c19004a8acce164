"""Dates as integers: Unix time in microseconds, which SQLite can hold and order.

The rule: no date is a float, and none has a zone but UTC.

The whole layer computes with them; dates of Python appear in the API only.
"""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(interval: timedelta) -> int:
    """The length of an interval in microseconds."""
    return interval // _MICROSECOND


def to_us(date: datetime) -> int:
    """Unix time of a date, microseconds; UTC if it names no time zone."""
    return microseconds((date if date.tzinfo is not None else date.replace(tzinfo=UTC)) - EPOCH)


def from_us(us: int) -> datetime:
    """The date of a Unix time in microseconds, with UTC as time zone."""
    return EPOCH + timedelta(microseconds=us)


def rfc3339(us: int) -> str:
    """A Unix time in microseconds as RFC 3339 in UTC, with milliseconds, for people."""
    return f"{from_us(us).isoformat(timespec='milliseconds')[:-6]}Z"


# The last moment that Python's dates know. A later date becomes this one, and a date before 1970 becomes 1970.
END_OF_TIME_US = to_us(datetime.max.replace(tzinfo=UTC))


def within_time(us: int) -> int:
    """Bring a Unix time in microseconds into the range that dates and the store can hold: 1970 to 9999."""
    return max(0, min(us, END_OF_TIME_US))
