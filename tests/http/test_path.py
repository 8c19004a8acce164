"""Paths are split while they are encoded, and each piece is decoded once."""

from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from perdure.http.path import (
    PathMalformed,
    QueryMalformed,
    RawPath,
    clean,
    parameter,
    parameters,
    query,
    query_pairs,
    route,
)

from ..support.doors.fake_facade import FakeFacade, make_app, state


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [
        ("/v1.0/workflows/dapr/x", "/v1.0/workflows/dapr/x"),
        ("//v1.0///workflows/dapr//x", "/v1.0/workflows/dapr/x"),
        ("/v1.0/workflows/dapr/x/", "/v1.0/workflows/dapr/x"),
        ("/v1.0/workflows/dapr/x///", "/v1.0/workflows/dapr/x"),
        ("/v1.0/./workflows/dapr/../temporal/x", "/v1.0/workflows/temporal/x"),
        ("/../../x", "/x"),
        ("/", "/"),
        ("//", "/"),
        ("/a%2Fb/%2E%2E/c", "/a%2Fb/%2E%2E/c"),
        ("/.hidden/..more", "/.hidden/..more"),
    ],
)
def test_paths_are_cleaned_as_go_cleans_them(path: str, cleaned: str) -> None:
    assert clean(path) == cleaned
    assert clean(cleaned) == cleaned


def requested(**scope: Any) -> Request:
    return Request({"type": "http", "headers": [], "query_string": b"", "path_params": {}, **scope})


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        ("order-1", "order-1"),
        ("a%2Fb", "a/b"),
        ("a%2fb", "a/b"),
        ("a:b|c@d", "a:b|c@d"),
        ("%C3%A9%F0%9F%99%82", "é🙂"),
        ("a+b", "a+b"),
        ("a%2Bb", "a+b"),
        ("a%20b", "a b"),
        ("%2541", "%41"),
        ("%25252F", "%252F"),
        ("%00", "\x00"),
        ("\u00c3\u00a9", "é"),  # bytes that a lenient server has passed unchanged
    ],
)
def test_a_piece_is_decoded_once(raw: str, decoded: str) -> None:
    assert parameter(requested(path_params={"instance_id": raw}), "instance_id") == decoded


@pytest.mark.parametrize("raw", ["%", "%4", "a%zz", "%%41", "%FF", "%C3", "%ED%A0%80", "\u00ff"])
def test_a_piece_that_is_no_text_is_refused(raw: str) -> None:
    with pytest.raises(PathMalformed):
        parameters(requested(path_params={"instance_id": raw}))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_survives_the_way_into_a_path_and_out(text: str) -> None:
    raw = "".join(f"%{byte:02X}" for byte in text.encode())
    assert parameter(requested(path_params={"instance_id": raw}), "instance_id") == text


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"", None),
        (b"other=1", None),
        (b"instanceid=1", None),
        (b"instanceID", ""),
        (b"instanceID=", ""),
        (b"instanceID=a", "a"),
        (b"instanceID=a&instanceID=b", "a"),
        (b"x=1&instanceID=a=b&y", "a=b"),
        (b"instanceID=a+b%20c%2B", "a b c+"),
        (b"instance%49D=a", "a"),
        (b"instanceID=%C3%A9", "é"),
        (b"instanceID=%FF", "\ufffd"),
        (b"instanceID=\xc3\xa9", "é"),
        (b"instanceID=%zz", "%zz"),
    ],
)
def test_a_query_gives_the_first_value_under_the_exact_key(raw: bytes, value: str | None) -> None:
    assert query(requested(query_string=raw), "instanceID") == value


@pytest.mark.parametrize("raw", [b"id=%FF", b"id=\xff", b"%ED%A0%80=1", b"a=1&id=%C3"])
def test_pairs_that_are_no_text_are_refused_because_several_ids_would_become_one(raw: bytes) -> None:
    with pytest.raises(QueryMalformed, match="is not UTF-8"):
        query_pairs(requested(query_string=raw))


def test_a_route_is_for_one_method_and_head_is_none_of_them() -> None:
    async def endpoint(request: Request) -> Response:
        return Response()

    made = route("/x", "GET", endpoint)
    scope = {"type": "http", "path": "/x", "headers": []}
    assert made.matches({**scope, "method": "GET"})[0] is Match.FULL
    assert made.matches({**scope, "method": "HEAD"})[0] is not Match.FULL


def test_what_is_no_http_passes_through() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    async def nothing(*args: Any) -> Any: ...

    anyio.run(RawPath(app), {"type": "lifespan"}, nothing, nothing)
    assert seen == [{"type": "lifespan"}]


def status_of(app: Any, method: str, raw_path: bytes) -> int:
    """Send a request target unchanged, which client libraries do not do."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": "/decoded/by/the/server",
        "raw_path": raw_path,
        "query_string": b"",
        "headers": [],
    }
    anyio.run(app, scope, receive, send)
    status: int = sent[0]["status"]
    return status


@pytest.mark.parametrize(
    ("raw_path", "instance_id"),
    [
        (b"/v1.0/workflows/dapr/a%2Fb", "a/b"),
        (b"//v1.0//workflows/dapr/a%2Fpause", "a/pause"),
        (b"/v1.0/workflows/dapr/parent:0001/", "parent:0001"),
        (b"/v1.0/workflows/dapr/a|b", "a|b"),
        (b"/v1.0/workflows/dapr/%F0%9F%99%82", "🙂"),
        (b"/v1.0/workflows/dapr/%2E%2E", ".."),
        (b"/v1.0/workflows/dapr/%3F%23", "?#"),
        (b"/v1.0/workflows/dapr/a%0Ab", "a\nb"),
    ],
)
def test_the_app_routes_on_the_raw_path(raw_path: bytes, instance_id: str) -> None:
    facade = FakeFacade(state(instance_id))
    assert status_of(make_app(facade), "GET", raw_path) == 200
    assert facade.calls == [("inspect", instance_id)]


@pytest.mark.parametrize("raw_path", [b"/v1.0/workflows/dapr/%zz", b"/v1.0/workflows/dapr/%ff"])
def test_the_app_refuses_a_path_that_is_no_text(raw_path: bytes) -> None:
    facade = FakeFacade()
    assert status_of(make_app(facade), "GET", raw_path) == 400
    assert facade.calls == []


def test_an_id_with_an_encoded_slash_is_not_two_pieces() -> None:
    facade = FakeFacade(state("a"), state("a/pause"))
    assert status_of(make_app(facade), "POST", b"/v1.0/workflows/dapr/a%2Fpause") == 404
    assert status_of(make_app(facade), "POST", b"/v1.0/workflows/dapr/a%2Fpause/pause") == 202
    assert facade.calls == [("suspend", "a/pause")]
