"""Moments go out with six digits in UTC, and come in with any offset; lengths of time have a unit or are seconds."""

from datetime import UTC, datetime

import msgspec
import pytest

from perdure.api.management.moments import LENGTH_MAX_US, Moment, encode, parse_length, parse_moment
from perdure.runtime.dates import END_OF_TIME_US

AT_US = 1_795_406_400_000_000


class Dated(msgspec.Struct):
    at: datetime | None


@pytest.mark.parametrize(
    ("unix_us", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (AT_US, "2026-11-23T04:00:00.000000Z"),
        (AT_US + 120, "2026-11-23T04:00:00.000120Z"),
        (END_OF_TIME_US, "9999-12-31T23:59:59.999999Z"),
        (END_OF_TIME_US + 1, "9999-12-31T23:59:59.999999Z"),
        (-1, "1970-01-01T00:00:00.000000Z"),
    ],
)
def test_a_moment_is_written_with_six_digits_and_read_back(unix_us: int, text: str) -> None:
    # Given a moment in a struct,
    dated = Dated(Moment.at(unix_us))
    # then its text is exact, reads as a date, and comes back.
    assert encode(dated) == f'{{"at":"{text}"}}'.encode()
    assert msgspec.json.decode(encode(dated), type=Dated).at == dated.at
    assert parse_moment(text) == min(max(unix_us, 0), END_OF_TIME_US)


def test_no_moment_is_none() -> None:
    assert Moment.maybe(None) is None
    assert Moment.maybe(AT_US) == datetime(2026, 11, 23, 4, tzinfo=UTC)


def test_what_has_no_form_in_json_is_an_error() -> None:
    with pytest.raises(NotImplementedError, match="complex"):
        encode(1j)


@pytest.mark.parametrize(
    "text",
    [
        *("2026-11-23T04:00:00Z", "2026-11-23T05:00:00+01:00", "2026-11-23T05:00:00 01:00", "2026-11-23T04:00:00.000Z"),
        *("2026-11-22T23:30:00-04:30", "2026-11-23t04:00:00z"),
    ],
)
def test_a_moment_is_read_with_any_offset(text: str) -> None:
    assert parse_moment(text) == AT_US


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-23", "2026-11-23T04:00:00", "1795406400", "2026-13-01T00:00:00Z", "2026-11-23T04:00Z"]
)
def test_anything_but_a_moment_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="no moment in RFC 3339"):
        parse_moment(text)


@pytest.mark.parametrize(
    ("text", "length_us"),
    [
        *(("90", 90_000_000), ("90s", 90_000_000), ("1.5s", 1_500_000), ("15m", 900_000_000), ("0", 0)),
        *(
            ("2h", 7_200_000_000),
            ("7d", 604_800_000_000),
            ("250ms", 250_000),
            ("3us", 3),
            ("999999999d", LENGTH_MAX_US),
        ),
    ],
)
def test_a_length_has_a_unit_or_is_seconds(text: str, length_us: int) -> None:
    assert parse_length(text) == length_us


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 s", "1w", "1e3", "infinity", "1.s", "1234567890", "٣s", "1h30m"])
def test_anything_but_a_length_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="no length of time"):
        parse_length(text)
