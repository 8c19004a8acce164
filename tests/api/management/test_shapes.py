"""Instances are shown with the names and the forms that the API promises."""

import msgspec

from perdure.actors.store.listing import Counted, Grouped
from perdure.api.management.moments import encode
from perdure.api.management.shapes import counts, details, failure, summary, tree
from perdure.runtime.history.failure import FailureDetails
from perdure.runtime.operations.reading.description import Description, Stall
from perdure.runtime.operations.reading.item import InstanceItem
from perdure.runtime.operations.reading.tree import TreeNode
from perdure.runtime.operations.reading.waiting import Waiting, WaitKind, WorkPlace

AT_US = 1_795_406_400_123_456
AT = "2026-11-23T04:00:00.123456Z"

ITEM = InstanceItem(
    id="order-1",
    name="Order",
    status="RUNNING",
    custom_status=None,
    created_us=AT_US,
    updated_us=AT_US,
    ended_us=None,
    parent="p",
    root="r",
    generation=2,
    tags=(("team", "a"),),
    app_id="shop",
)
SHOWN = {
    "id": "order-1",
    "name": "Order",
    "status": "RUNNING",
    "custom_status": None,
    "created": AT,
    "updated": AT,
    "ended": None,
    "parent": "p",
    "root": "r",
    "generation": 2,
    "tags": {"team": "a"},
    "app_id": "shop",
}
WAITING = Waiting(
    WaitKind.ACTIVITY, "charge", AT_US, WorkPlace.QUEUED, due_us=AT_US, attempt=2, event_id=7, child_id=None
)
WAITS = {
    "kind": "activity",
    "name": "charge",
    "since": AT,
    "due": AT,
    "attempt": 2,
    "event_id": 7,
    "state": "queued",
    "child_id": None,
}


def test_an_item_has_what_was_promised_and_more_only_if_it_was_asked_for() -> None:
    assert msgspec.json.decode(encode(summary(ITEM))) == SHOWN
    more = summary(ITEM, waiting=[WAITING], children={"RUNNING": 1})
    assert msgspec.json.decode(encode(more)) == {**SHOWN, "waiting_for": [WAITS], "children": {"RUNNING": 1}}


def test_a_wait_for_another_app_names_that_app() -> None:
    more = summary(ITEM, waiting=[WAITING._replace(app_id="bank")])
    assert msgspec.json.decode(encode(more))["waiting_for"] == [{**WAITS, "app_id": "bank"}]


def test_a_description_is_an_item_and_why_it_does_not_go_on() -> None:
    described = Description(
        item=ITEM,
        execution_id="e2",
        first_execution_id="e1",
        input_bytes=3,
        output_bytes=0,
        turns=2,
        events=9,
        bytes=300,
        failure=None,
        stall=Stall("SET_ASIDE", "it ended the process"),
        waiting_for=[WAITING],
        children={},
    )
    assert msgspec.json.decode(encode(details(described))) == {
        **SHOWN,
        "waiting_for": [WAITS],
        "children": {},
        "execution_id": "e2",
        "first_execution_id": "e1",
        "input_bytes": 3,
        "output_bytes": 0,
        "history": {"turns": 2, "events": 9, "bytes": 300},
        "failure": None,
        "stall": {"kind": "SET_ASIDE", "reason": "it ended the process"},
    }


def test_a_failure_has_its_causes() -> None:
    inner = FailureDetails(error_type="KeyError", message="'x'")
    found = FailureDetails(error_type="ValueError", message="no", stack_trace="line 1", inner=inner)
    shown = msgspec.json.decode(encode(failure(found)))
    assert (shown["type"], shown["message"], shown["traceback"]) == ("ValueError", "no", "line 1")
    assert (shown["activity"], shown["child"]) == (None, None)
    assert (shown["cause"]["type"], shown["cause"]["traceback"], shown["cause"]["cause"]) == ("KeyError", None, None)


def test_counts_have_what_was_counted_by() -> None:
    counted = counts_of((("RUNNING", True), 3), (("FAILED", False), 1), by=["status", "root"])
    assert counted == {
        "counts": [{"count": 3, "status": "RUNNING", "root": True}, {"count": 1, "status": "FAILED", "root": False}],
        "more": True,
    }
    assert counts_of(((), 5), by=[]) == {"counts": [{"count": 5}], "more": True}


def counts_of(*groups: tuple[tuple[str | bool, ...], int], by: list[str]) -> object:
    made = Counted([Grouped(values, total) for values, total in groups], True)
    return msgspec.json.decode(encode(counts(made, by)))


def test_a_tree_is_shown_with_what_is_left_out() -> None:
    child = TreeNode(id="c", app_id="bank", name="C", status="FAILED", more=True)
    root = TreeNode(id="r", app_id="shop", name="R", status="RUNNING", children=[child])
    assert msgspec.json.decode(encode(tree(root))) == {
        "id": "r",
        "name": "R",
        "status": "RUNNING",
        "more": False,
        "children": [{"id": "c", "name": "C", "status": "FAILED", "children": [], "more": True, "app_id": "bank"}],
    }
