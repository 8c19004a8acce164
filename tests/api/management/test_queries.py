"""A query has only names that its route knows, each once, and values of the right form."""

from collections.abc import Callable
from typing import Any

import pytest

from perdure.api.management.queries import RequestQuery
from perdure.api.words import Refusal

NAMES = ("order", "limit", "with", "since", "timeout", "deep")


def query(**values: str) -> RequestQuery:
    return RequestQuery(values.items(), NAMES)


def test_values_are_read_as_what_they_are() -> None:
    asked = query(order="id", limit="7", since="2026-11-23T04:00:00Z", timeout="2m", deep="true", **{"with": "a,b,a"})
    assert asked.choice("order", "x", ("x", "id")) == "id"
    assert asked.number("limit", 1, low=1, high=7) == 7
    assert asked.moment("since") == 1_795_406_400_000_000
    assert asked.length("timeout", 0, high_us=120_000_000) == 120_000_000
    assert asked.flag("deep", default=False)
    assert asked.choices("with", ("a", "b", "c")) == ["a", "b"]
    assert asked.text("order") == "id"
    assert asked.word("order") == "id"


def test_an_absent_field_has_its_default() -> None:
    asked = query()
    assert asked.choice("order", "x", ("x", "id")) == "x"
    assert asked.number("limit", 100, low=1, high=7) == 100
    assert (asked.moment("since"), asked.text("order"), asked.choices("with", ("a",))) == (None, None, [])
    assert asked.word("order") is None
    assert asked.length("timeout", 5, high_us=7) == 5
    assert asked.flag("deep", default=True)


READS: list[tuple[str, str, Callable[[RequestQuery], Any]]] = [
    *[
        ("limit", text, lambda asked: asked.number("limit", 1, low=1, high=7))
        for text in ("0", "8", "", "x", "-1", "٣")
    ],
    *[("limit", text, lambda asked: asked.number("limit", 1, low=1, high=10**18)) for text in ("1" * 19, "1.0")],
    *[("order", text, lambda asked: asked.choice("order", "x", ("x",))) for text in ("", "X", "y")],
    *[("with", text, lambda asked: asked.choices("with", ("a", "b"))) for text in ("", "a,", "c", "A")],
    *[("since", text, lambda asked: asked.moment("since")) for text in ("", "now")],
    *[("timeout", text, lambda asked: asked.length("timeout", 5, high_us=7)) for text in ("", "x", "8us")],
    ("order", "", lambda asked: asked.word("order")),
    *[("deep", text, lambda asked: asked.flag("deep", default=True)) for text in ("", "1", "True")],
]


@pytest.mark.parametrize(("name", "text", "read"), READS)
def test_a_value_that_cannot_be_is_named(name: str, text: str, read: Callable[[RequestQuery], Any]) -> None:
    with pytest.raises(Refusal) as error:
        read(query(**{name: text}))
    assert (error.value.answer.status, error.value.answer.code) == (400, "ERR_QUERY_INVALID")
    assert repr(name) in str(error.value)


@pytest.mark.parametrize("pairs", [[("Limit", "1")], [("status", "running")], [("tag.a", "1")], [("limit", "1")] * 2])
def test_a_name_that_is_not_known_or_stands_twice_is_named(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(Refusal) as error:
        RequestQuery(pairs, NAMES)
    assert error.value.answer.code == "ERR_QUERY_INVALID"
    assert repr(pairs[0][0]) in str(error.value)


def test_a_route_with_filters_reads_them_and_has_their_code_for_all_errors() -> None:
    asked = RequestQuery([("status", "running"), ("tag.a", "1"), ("limit", "3")], NAMES, filters=True)
    assert asked.filter(app_id="shop").statuses == frozenset({"RUNNING"})
    with pytest.raises(Refusal) as error:
        RequestQuery([("state", "running")], NAMES, filters=True)
    assert error.value.answer.code == "ERR_FILTER_INVALID"


def test_a_route_with_tags_reads_them() -> None:
    asked = RequestQuery([("tag.team", "a"), ("tag.x.y", ""), ("order", "id")], NAMES, tags=True)
    assert asked.tags == {"team": "a", "x.y": ""}
    for pairs in ([("tag.", "a")], [("tag.a", "1"), ("tag.a", "2")]):
        with pytest.raises(Refusal):
            RequestQuery(pairs, NAMES, tags=True)


def test_a_name_that_is_not_known_is_told_with_those_that_are() -> None:
    with pytest.raises(Refusal, match="'hue' is not known here; there are order, limit, with"):
        query(hue="red")
    with pytest.raises(Refusal, match="'hue' is not known here; this request takes no parameters"):
        RequestQuery([("hue", "red")], ())
