"""A plan is the same after it was written and read, and is valid for fifteen minutes."""

import pytest

from perdure.actors.store.listing import ListFilter
from perdure.runtime.errors import InvalidRequest
from perdure.runtime.operations.bulk.operation import ActionOptions, BulkAction, Selection
from perdure.runtime.operations.bulk.plan import LASTS_US, Plan, PlanExpired, Restated, read_plan

NOW_US = 1_700_000_000_000_000
PLAN = Plan(
    BulkAction.PURGE,
    Selection(ListFilter(statuses=frozenset({"FAILED"}), tags={"a": "b"}), NOW_US),
    ActionOptions(recurse=True),
    "spring cleaning",
    250.0,
    100_000,
    True,
)


def test_a_plan_is_read_as_it_was_written() -> None:
    assert read_plan(PLAN.write(), now_us=NOW_US) == PLAN


def test_a_plan_can_stand_in_a_url() -> None:
    assert PLAN.write().replace("-", "").replace("_", "").isalnum()


def test_a_plan_lasts_for_fifteen_minutes() -> None:
    assert read_plan(PLAN.write(), now_us=NOW_US + LASTS_US) == PLAN
    with pytest.raises(PlanExpired, match="15 minutes"):
        read_plan(PLAN.write(), now_us=NOW_US + LASTS_US + 1)


@pytest.mark.parametrize(
    "text", ["", "x", "plan", "ä", "=", PLAN.write()[:-2], PLAN.write()[4:], "A" + PLAN.write()[1:], "\x00", "a b"]
)
def test_anything_but_a_plan_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="no plan"):
        read_plan(text, now_us=NOW_US)


SAME = PLAN.selection._replace(moment_us=0)


@pytest.mark.parametrize(
    ("restated", "difference"),
    [
        (Restated(), None),
        (Restated(SAME, PLAN.options, PLAN.rate), None),
        (Restated(SAME._replace(filter=ListFilter())), "filter"),
        (Restated(SAME._replace(stuck_for_us=1)), "filter"),
        (Restated(options=ActionOptions(recurse=False)), "recurse"),
        (Restated(options=ActionOptions(force=True)), "force"),
        (Restated(rate=251.0), "rate"),
    ],
)
def test_what_is_said_beside_a_plan_is_what_it_was_made_with(restated: Restated, difference: str | None) -> None:
    # A plan that came back from a caller equals the written one.
    assert read_plan(PLAN.write(), now_us=NOW_US).difference(restated) == difference
