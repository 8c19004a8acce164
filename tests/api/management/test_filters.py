"""A filter is understood completely, or the error names the part that is not understood."""

from collections.abc import Mapping
from typing import Any

import pytest

from perdure.api.management.filters import NAMES, FilterBody, filter_of_body, filter_of_query
from perdure.api.words import Refusal
from perdure.runtime.history.status import STATUS_WORDS
from perdure.runtime.operations.reading.listing import InstanceFilter

AT = "2026-11-23T04:00:00Z"
AT_US = 1_795_406_400_000_000


def read(*pairs: tuple[str, str]) -> InstanceFilter:
    return filter_of_query(pairs, app_id="shop")


@pytest.mark.parametrize(
    ("pairs", "fields"),
    [
        ([], {}),
        ([("status", "running,FAILED")], {"statuses": frozenset({"RUNNING", "FAILED"})}),
        ([("status", "running"), ("status", "Failed")], {"statuses": frozenset({"RUNNING", "FAILED"})}),
        ([("status", "!completed,set_aside")], {"not_statuses": frozenset({"COMPLETED", "SET_ASIDE"})}),
        ([("name", "Order,Pay")], {"names": frozenset({"Order", "Pay"})}),
        ([("name", "!Order")], {"not_names": frozenset({"Order"})}),
        ([("id_prefix", "order-")], {"id_prefix": "order-"}),
        ([("parent", "a:b/c d")], {"parent": "a:b/c d"}),
        ([("root", "true")], {"root": True}),
        ([("root", "false")], {"root": False}),
        ([("created_after", AT)], {"created_from_us": AT_US}),
        ([("created_before", AT)], {"created_to_us": AT_US}),
        ([("updated_after", AT)], {"updated_from_us": AT_US}),
        ([("updated_before", AT)], {"updated_to_us": AT_US}),
        ([("tag.team", "a,b"), ("tag.x.y", "")], {"tags": {"team": "a,b", "x.y": ""}}),
        ([("app_id", "shop")], {}),
    ],
)
def test_each_filter_of_a_query_becomes_its_condition(pairs: list[tuple[str, str]], fields: Mapping[str, Any]) -> None:
    assert read(*pairs) == InstanceFilter(**fields)


def test_how_long_something_is_stuck_stands_beside_the_conditions_of_the_store() -> None:
    assert read(("stuck_for", "15m")) == InstanceFilter(stuck_for_us=900_000_000)
    assert filter_of_body(FilterBody(stuck_for=90), app_id="shop").stuck_for_us == 90_000_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("status", "done"), ("status", ""), ("status", "running,"), ("status", "running,!failed"), ("status", "!")),
        *(("status", "continued_as_new"), ("name", ""), ("name", "a,,b"), ("parent", ""), ("root", "yes")),
        *(("root", ""), ("created_after", "yesterday"), ("created_before", ""), ("updated_after", "2026-11-23")),
        *(("updated_before", "1"), ("stuck_for", "long"), ("stuck_for", "-1"), ("app_id", "billing"), ("app_id", "")),
        *(("Status", "running"), ("state", "running"), ("tag", "a"), ("tag.", "a"), ("limit", "1"), ("", "")),
    ],
)
def test_what_cannot_be_understood_is_named(name: str, value: str) -> None:
    with pytest.raises(Refusal) as error:
        read((name, value))
    assert (error.value.answer.status, error.value.answer.code) == (400, "ERR_FILTER_INVALID")
    assert repr(name) in str(error.value)


@pytest.mark.parametrize("name", ["id_prefix", "parent", "root", "created_after", "stuck_for", "tag.a", "app_id"])
def test_a_filter_with_one_value_is_given_once(name: str) -> None:
    value = {"root": "true", "created_after": AT, "stuck_for": "1s", "app_id": "shop"}.get(name, "a")
    with pytest.raises(Refusal, match="is given twice"):
        read((name, value), (name, value))


def test_a_body_has_the_names_of_a_query_with_lists_as_arrays_and_tags_as_an_object() -> None:
    body = FilterBody(status=["!running", "failed"], name=["a,b"], tags={"team": "x"}, root=True, created_after=AT)
    expected = InstanceFilter(
        not_statuses=frozenset({"RUNNING", "FAILED"}),
        names=frozenset({"a,b"}),
        tags={"team": "x"},
        root=True,
        created_from_us=AT_US,
    )
    assert filter_of_body(body, app_id="shop") == expected
    assert {name for name in FilterBody.__struct_fields__ if name != "tags"} == {n for n in NAMES if n != "tag.KEY"}


@pytest.mark.parametrize("empty", [{"status": []}, {"name": []}, {"name": [""]}, {"parent": ""}, {"id_prefix": ""}])
def test_a_list_without_a_value_is_no_filter_for_all(empty: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match="empty"):
        filter_of_body(FilterBody(**empty), app_id="shop")


def test_the_statuses_are_those_that_can_be_seen() -> None:
    assert set(STATUS_WORDS) == {
        *("PENDING", "RUNNING", "SUSPENDED", "COMPLETED", "FAILED", "TERMINATED", "CANCELED", "STALLED", "SET_ASIDE"),
    }
