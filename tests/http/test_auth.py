"""A caller with a token has access; others learn nothing, and probes need no token."""

import hmac

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from perdure.api.tokens import NamedToken, Tokens
from perdure.http.app import HttpOptions
from perdure.http.auth import TokenAuth, actor_of
from perdure.http.path import RawPath

from ..support.doors.fake_facade import FakeControl, FakeFacade, ask, make_app, state

GET = ("GET", "/v1.0/workflows/dapr/order-1")


def test_without_a_configured_token_the_door_is_open() -> None:
    assert ask(make_app(FakeFacade(state())), *GET).status_code == 200


@pytest.mark.parametrize("token", ["old", "new", "größe"])
def test_each_configured_token_opens(token: str) -> None:
    app = make_app(FakeFacade(state()), api_tokens=("old", "new", "größe"))
    assert ask(app, *GET, headers={"dapr-api-token": token.encode()}).status_code == 200


@pytest.mark.parametrize("token", [None, "", "wrong", "Old", "old,new", "old new", "ol", "oldd"])
@pytest.mark.parametrize(
    ("method", "target"),
    [
        GET,
        ("POST", "/v1.0-alpha1/workflows/dapr/W/start"),
        ("GET", "/v1.0/metadata"),
        ("PUT", "/v1.0/metadata/key"),
        ("POST", "/v1.0/shutdown"),
        ("GET", "/openapi.json"),
        ("GET", "/nowhere"),
        ("POST", "/v1.0/healthz"),
        ("HEAD", "/v1.0/healthz"),
        ("GET", "/v1.0-beta1/healthz"),
        ("GET", "/v1.0/healthz/other"),
        ("GET", "/v1.0/healthz/../metadata"),
        ("GET", "/v1.0/health%7A"),
        ("GET", "/v1.0/metadata%2F..%2Fhealthz"),
    ],
)
def test_any_other_token_is_turned_away(method: str, target: str, token: str | None) -> None:
    # Given a daemon with tokens,
    facade, control = FakeFacade(state()), FakeControl()
    app = make_app(facade, control, api_tokens=("old", "new"))
    # when a caller has none of them,
    response = ask(app, method, target, headers={} if token is None else {"dapr-api-token": token})
    # then it gets Dapr's plain answer, and the request had no effect.
    assert response.status_code == 401
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    if method != "HEAD":
        assert response.text == "invalid api token"
    assert facade.calls == []
    assert control.shutdowns == []


@pytest.mark.parametrize("target", ["/v1.0/healthz", "/v1.0/healthz/outbound", "/v1.0/healthz/", "//v1.0//healthz"])
def test_probes_need_no_token(target: str) -> None:
    app = make_app(api_tokens=("old",))
    assert ask(app, "GET", f"http://perdure{target}").status_code == 204


def test_every_token_is_compared_whatever_the_others_said(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a list of the lengths of the compared texts,
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def counting(given: bytes, known: bytes) -> bool:
        compared.append((len(given), len(known)))
        return compare(given, known)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    app = make_app(FakeFacade(state()), api_tokens=("first", "second", "a much longer third"))
    # when the first token fits,
    assert ask(app, *GET, headers={"dapr-api-token": "first"}).status_code == 200
    # then all three were compared, at one length.
    assert compared == [(32, 32)] * 3


def test_of_several_headers_the_first_counts() -> None:
    app = make_app(FakeFacade(state()), api_tokens=("old",))
    assert ask(app, *GET, headers=[("dapr-api-token", "old"), ("dapr-api-token", "x")]).status_code == 200
    assert ask(app, *GET, headers=[("dapr-api-token", "x"), ("dapr-api-token", "old")]).status_code == 401


def test_an_empty_token_cannot_be_configured() -> None:
    with pytest.raises(ValueError, match="empty token"):
        HttpOptions(app_id="orders", api_tokens=("good", ""))


# The management API: other headers, a cookie, answers in JSON.

LIST = ("GET", "/api/v1/instances")


@pytest.mark.parametrize(
    "headers",
    [
        {"dapr-api-token": "new"},
        {"authorization": "Bearer new"},
        {"authorization": "bearer new"},
        {"authorization": "Basic bmV3", "dapr-api-token": "new"},
    ],
)
def test_the_management_api_takes_either_header(headers: dict[str, str]) -> None:
    assert ask(make_app(api_tokens=("old", "new")), *LIST, headers=headers).status_code != 401


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "ERR_TOKEN_REQUIRED"),
        ({"authorization": "Basic bmV3"}, "ERR_TOKEN_REQUIRED"),
        ({"cookie": "perdure-80=new"}, "ERR_TOKEN_REQUIRED"),
        ({"authorization": "Bearer"}, "ERR_TOKEN_UNKNOWN"),
        ({"authorization": "Bearer wrong"}, "ERR_TOKEN_UNKNOWN"),
        ({"dapr-api-token": "wrong"}, "ERR_TOKEN_UNKNOWN"),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/instances", "/api/v1", "/api/v1/", "//api/v1/nowhere", "/api/v1/session"])
def test_the_management_api_answers_in_json(path: str, headers: dict[str, str], code: str) -> None:
    response = ask(make_app(api_tokens=("new",)), "GET", f"http://perdure{path}", headers=headers)
    assert response.status_code == 401
    assert response.json().keys() == {"errorCode", "message"}
    assert response.json()["errorCode"] == code
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_bearer_opens_none_of_daprs_routes() -> None:
    app = make_app(FakeFacade(state()), api_tokens=("new",))
    assert ask(app, *GET, headers={"authorization": "Bearer new"}).status_code == 401


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/page.js", "/ui/", "/ui/app.js"])
def test_what_a_browser_shows_before_it_has_logged_in_is_open(path: str) -> None:
    app = make_app(api_tokens=("new",))
    assert ask(app, "GET", path).status_code != 401
    assert ask(app, "POST", path).status_code == 401


@pytest.mark.parametrize("path", ["/uix", "/docsx", "/ui/../v1.0/metadata", "/docs/%2e%2e/v1.0/metadata"])
def test_what_only_looks_like_it_is_not(path: str) -> None:
    response = ask(make_app(api_tokens=("new",)), "GET", f"http://perdure{path}")
    assert response.status_code in (401, 404)
    assert b"runtimeVersion" not in response.content


def test_what_lies_behind_it_learns_who_asks() -> None:
    # Given an app that answers with the name of its caller,
    async def who(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(actor_of(scope))(scope, receive, send)

    guarded = TokenAuth(who, Tokens(["first", NamedToken("ops", "second")]))
    # when a caller has either token, then the app gets the token's name;
    for token, actor in (("first", "token-1"), ("second", "ops")):
        assert ask(RawPath(guarded), *GET, headers={"dapr-api-token": token}).text == actor  # type: ignore[arg-type]
    # no header sets the name, and without tokens all callers are anonymous.
    assert ask(RawPath(who), *GET, headers={"perdure_actor": "ops"}).text == "anonymous"  # type: ignore[arg-type]
