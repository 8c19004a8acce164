"""Whoever has a token comes in; the others learn nothing, and probes need none."""

import hmac

import pytest

from perdure.http.app import HttpOptions

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
    # when somebody comes without one of them,
    response = ask(app, method, target, headers={} if token is None else {"dapr-api-token": token})
    # then they get Dapr's plain answer, and nothing has happened.
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
    # Given a count of comparisons, and of what was compared,
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def counting(given: bytes, known: bytes) -> bool:
        compared.append((len(given), len(known)))
        return compare(given, known)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    app = make_app(FakeFacade(state()), api_tokens=("first", "second", "a much longer third"))
    # when the first token fits,
    assert ask(app, *GET, headers={"dapr-api-token": "first"}).status_code == 200
    # then all three were looked at, at one length.
    assert compared == [(32, 32)] * 3


def test_of_several_headers_the_first_counts() -> None:
    app = make_app(FakeFacade(state()), api_tokens=("old",))
    assert ask(app, *GET, headers=[("dapr-api-token", "old"), ("dapr-api-token", "x")]).status_code == 200
    assert ask(app, *GET, headers=[("dapr-api-token", "x"), ("dapr-api-token", "old")]).status_code == 401


def test_an_empty_token_cannot_be_configured() -> None:
    with pytest.raises(ValueError, match="empty token"):
        HttpOptions(app_id="orders", api_tokens=("good", ""))
