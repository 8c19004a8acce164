"""Tags: the allowed names and values, and the refused ones."""

from typing import Any

import pytest

from perdure.runtime.errors import InvalidRequest, NulRefused
from perdure.runtime.operations.tags import KEY_BYTES_MAX, TAGS_MAX, VALUE_BYTES_MAX, checked_tags, refuse_nul


def test_tags_are_kept_by_key() -> None:
    assert checked_tags({"team": "billing", "env": ""}) == (("env", ""), ("team", "billing"))
    assert checked_tags({}) == ()


def test_the_longest_tags_are_taken() -> None:
    longest = {f"{n:0{KEY_BYTES_MAX}}": "é" * (VALUE_BYTES_MAX // 2) for n in range(TAGS_MAX)}
    assert checked_tags(longest) == tuple(longest.items())


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({str(n): "" for n in range(TAGS_MAX + 1)}, "at most 16 tags, not 17"),
        ({"": "x"}, "1 to 64 bytes, not 0"),
        ({"k" * 65: "x"}, "1 to 64 bytes, not 65"),
        ({"é" * 33: "x"}, "1 to 64 bytes, not 66"),
        ({"k": "é" * 129}, "tag 'k' has 258 bytes; at most 256"),
        ({"k": 1}, "must be text, not 'k': 1"),
        ({1: "v"}, "must be text, not 1: 'v'"),
        ({"k": None}, "must be text"),
        ({"k": b"v"}, "must be text"),
        ({"k": "\ud800"}, "must be text"),
        ({"\udfff": "v"}, "must be text"),
    ],
)
def test_other_tags_are_refused_and_the_error_says_why(tags: Any, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        checked_tags(tags)


@pytest.mark.parametrize("tags", [{"a\0": "b"}, {"a": "\0"}])
def test_a_tag_with_a_nul_is_refused(tags: dict[str, str]) -> None:
    with pytest.raises(NulRefused, match="must not have a NUL"):
        checked_tags(tags)


def test_a_nul_is_named_with_what_has_it() -> None:
    refuse_nul("the instance ID", "ab")
    with pytest.raises(NulRefused, match="the instance ID must not have a NUL"):
        refuse_nul("the instance ID", "a\0b")
