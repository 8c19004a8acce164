"""Work under way is told from instances that are asleep."""

from datetime import timedelta

import pytest

from perdure.runtime.operations.reading.waiting import Waiting, WaitKind
from perdure.testing.stories.settling import WORDS, Sleeper, told

SINCE_US = 1_767_225_600_000_000


def waits(*kinds: WaitKind, due_us: int | None = None) -> Sleeper:
    return Sleeper("o", "order", [Waiting(kind, "x", SINCE_US, due_us=due_us) for kind in kinds])


@pytest.mark.parametrize("kind", [WaitKind.EVENT, WaitKind.TIMER, WaitKind.START, WaitKind.RESUME, WaitKind.CHILD])
def test_one_that_waits_for_what_others_give_or_for_a_date_is_asleep(kind: WaitKind) -> None:
    assert waits(kind).asleep


@pytest.mark.parametrize("kind", [WaitKind.ACTIVITY, WaitKind.CODE, WaitKind.WORKER, WaitKind.RELEASE])
def test_one_that_waits_for_work_is_under_way(kind: WaitKind) -> None:
    assert not waits(kind).asleep
    assert not waits(WaitKind.EVENT, kind).asleep


def test_an_activity_that_is_tried_again_later_is_asleep() -> None:
    assert waits(WaitKind.ACTIVITY, due_us=SINCE_US + 1).asleep


def test_one_of_which_nothing_is_known_is_under_way() -> None:
    assert not waits().asleep


def test_every_kind_has_words() -> None:
    assert set(WORDS) == set(WaitKind)


def test_it_is_said_who_waits_for_what_since_when() -> None:
    text = told([waits(WaitKind.EVENT, due_us=SINCE_US + 60_000_000)] * 7, timedelta(days=30))
    assert text.startswith(
        "7 of the instances have not ended 30 days, 0:00:00 after the last fault: o (order) waits for"
    )
    assert "event 'x' since 2026-01-01 00:00:00, due 2026-01-01 00:01:00" in text
    assert text.endswith("and 2 more")
