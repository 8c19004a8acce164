"""A line knows which of its values are fields."""

import logging

from perdure.journal.line import LogLine

LINE = LogLine("parcel_lost", logging.WARNING, "parcel {parcel} is lost: {reason}", ("parcel", "attempt"))


def test_the_fields_are_the_event_and_the_values_that_are_there() -> None:
    assert LINE.fields_of({"parcel": 7, "attempt": None, "reason": "rain"}) == {"event": "parcel_lost", "parcel": 7}
