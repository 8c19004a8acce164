"""A piece of a path may be any text, and reads back unchanged."""

from urllib.parse import unquote

import pytest

from perdure.api.management.paths import path_piece


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("order-17", "order-17"),
        ("a/b c?", "a%2Fb%20c%3F"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("...", "%2E%2E%2E"),
        ("a.b", "a.b"),
        ("../a", "..%2Fa"),
        ("ü%", "%C3%BC%25"),
        ("parent:0001", "parent%3A0001"),
    ],
)
def test_a_piece_leads_nowhere_else(text: str, encoded: str) -> None:
    assert path_piece(text) == encoded
    assert unquote(encoded) == text


def test_a_lone_surrogate_cannot_be_in_a_path() -> None:
    with pytest.raises(UnicodeEncodeError):
        path_piece("\ud800")
