"""A failed attempt is one line with the number of the attempt, the reason, and the next step."""

from collections.abc import Callable

import pytest

from perdure import FailureDetails
from perdure.journal.journal import sentence
from perdure.journal.line import Note
from perdure.runtime.history.attempts import UNREAD, failed_attempt, failed_child, failed_for_good

FAILURE = FailureDetails(error_type="CardDeclined", message="insufficient funds")
AT_US = 1_767_225_600_000_000


@pytest.mark.parametrize(
    ("of_attempt", "said"),
    [
        (
            lambda: failed_attempt("charge", 2, FAILURE, attempt=1, attempts_max=3, retry_us=AT_US),
            "activity 'charge' of i failed on attempt 1 of 3: CardDeclined: insufficient funds. "
            "It is tried again at 2026-01-01T00:00:00.000Z",
        ),
        (
            lambda: failed_for_good("charge", 2, FAILURE, attempt=3),
            "activity 'charge' of i failed on attempt 3: CardDeclined: insufficient funds. It is not tried again",
        ),
        (
            # A deploy has lowered the policy's number since.
            lambda: failed_for_good("charge", 2, FAILURE, attempt=3, attempts_max=1),
            "activity 'charge' of i failed on attempt 3: CardDeclined: insufficient funds. It is not tried again",
        ),
        (
            lambda: failed_for_good("charge", 2, FAILURE, then=UNREAD),
            "activity 'charge' of i failed on an attempt: CardDeclined: insufficient funds. "
            "Its workflow has ended without waiting for it",
        ),
        (
            lambda: failed_child("ship", "kid", 2, FAILURE, attempt=1, attempts_max=2, retry_us=AT_US),
            "child 'kid' (workflow 'ship') of i failed on attempt 1 of 2: CardDeclined: insufficient funds. "
            "It is tried again at 2026-01-01T00:00:00.000Z",
        ),
    ],
)
def test_the_line_says_it_all(of_attempt: Callable[[], Note], said: str) -> None:
    note = of_attempt()
    values = {"instance_id": "i", "workflow": "order"} | note.values
    assert sentence(note.line, values) == said
    assert values.keys() >= {*note.line.fields} - {"duration_ms"}
