"""Filters, written as a query and as a body."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from perdure.api.management.filters import FilterBody, filter_of_body, filter_of_query
from perdure.client.filters import body_of, query_of, text_of_value
from perdure.runtime.errors import InvalidRequest

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
NAIVE = datetime(2026, 11, 27)

FILTERS: list[dict[str, Any]] = [
    {},
    {"status": "running"},
    {"status": "!running,failed"},
    {"status": ["running", "failed"], "name": ("Order", "Ship")},
    {"id_prefix": "order-", "parent": "p & q = ü", "root": False},
    {
        "root": True,
        "created_after": NOON,
        "created_before": datetime(2026, 11, 27),
        "updated_before": "2026-11-28T00:00:00Z",
    },
    {"tags": {"team": "blue", "a.b": "x=y"}, "stuck_for": timedelta(minutes=15)},
    {"stuck_for": 90},
    {"stuck_for": "15m", "app_id": "shop"},
]


@pytest.mark.parametrize("given", FILTERS, ids=str)
def test_the_server_reads_a_query_and_a_body_alike(given: dict[str, Any]) -> None:
    by_query = filter_of_query(query_of(given), app_id="shop")
    by_body = filter_of_body(FilterBody(**body_of(given)), app_id="shop")
    assert by_query == by_body


def test_what_is_none_is_left_out() -> None:
    assert query_of({"status": None, "root": None}) == []
    assert body_of({"status": None, "tags": None}) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (NOON, "2026-11-26T12:00:00Z"),
        (NOON.replace(tzinfo=None), "2026-11-26T12:00:00Z"),
        (NOON.astimezone(timezone(timedelta(hours=2))), "2026-11-26T12:00:00Z"),
        (timedelta(milliseconds=1.5), "1500us"),
        (0.25, "0.25"),
        (30.0, "30"),
        (7, "7"),
        ("15m", "15m"),
    ],
)
def test_values_are_written_as_the_api_reads_them(value: Any, text: str) -> None:
    assert text_of_value(value) == text


@pytest.mark.parametrize("write", [query_of, body_of])
def test_a_value_that_none_can_be_is_refused_by_its_name(write: Any) -> None:
    with pytest.raises(InvalidRequest, match="'parent' is a object"):
        write({"parent": object()})
