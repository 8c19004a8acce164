"""Dates as integers: Unix time in microseconds, which SQLite can hold and order."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(interval: timedelta) -> int:
    return interval // _MICROSECOND


def to_us(date: datetime) -> int:
    """Unix time of a date, microseconds; UTC if it names no time zone."""
    return microseconds((date if date.tzinfo is not None else date.replace(tzinfo=UTC)) - EPOCH)


def from_us(us: int) -> datetime:
    """The date of a Unix time in microseconds, with UTC as time zone."""
    return EPOCH + timedelta(microseconds=us)


# The last moment that Python's dates know. What is due later, or before 1970, is due then.
END_OF_TIME_US = to_us(datetime.max.replace(tzinfo=UTC))


def within_time(us: int) -> int:
    """Cut a moment to what dates and the store can hold."""
    return max(0, min(us, END_OF_TIME_US))
