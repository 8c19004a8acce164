"""The common parts of all servers of the API: paths, tokens, queries, lines."""

from collections.abc import AsyncIterator

import pytest

from perdure.client.api_server import checked_token, encoded, lines_of, path_of, query_text
from perdure.client.errors import TokenInvalid
from perdure.runtime.errors import InstanceNotFound, InvalidRequest

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("token", ["a\nb", "ü", "a\x00"])
def test_a_token_that_fits_into_no_header_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(TokenInvalid) as caught:
        checked_token(token)
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("piece", "text"),
    [("a", "a"), ("a/b c?", "a%2Fb%20c%3F"), ("..", "%2E%2E"), (".", "%2E"), ("a.b", "a.b"), ("ü%", "%C3%BC%25")],
)
def test_a_piece_of_a_path_may_be_any_text(piece: str, text: str) -> None:
    assert encoded(piece) == text
    assert path_of("instances", piece) == f"/api/v1/instances/{text}"


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        (("instances", ""), InstanceNotFound),
        (("instances", "", "terminate"), InstanceNotFound),
        (("instances", "i", "events", ""), InvalidRequest),
        (("workflows", "", "instances"), InvalidRequest),
        (("operations", ""), InvalidRequest),
    ],
)
def test_a_piece_that_is_empty_is_not_left_out_of_the_path(pieces: tuple[str, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        path_of(*pieces)


def test_a_query_holds_any_text_but_a_lone_surrogate() -> None:
    assert query_text([("a b", "c&d"), ("ü", "")]) == "a%20b=c%26d&%C3%BC="
    with pytest.raises(InvalidRequest, match="lone surrogate"):
        query_text([("a", "\ud800")])


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([], []),
        ([b""], []),
        ([b"a\nb"], ["a", "b"]),
        ([b"a", b"b\n", b"\nc\r", b"\n"], ["ab", "", "c"]),
        (["\u2028\x85\n".encode()[:2], "\u2028\x85\n".encode()[2:]], ["\u2028\x85"]),
    ],
)
async def test_only_a_line_feed_ends_a_line(pieces: list[bytes], lines: list[str]) -> None:
    async def given() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    assert [line async for line in lines_of(given())] == lines
