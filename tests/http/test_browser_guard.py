"""Without a token a web page of another site may neither read nor change anything."""

import socket

import pytest

from perdure.http.browser_guard import name_in

from ..support.doors.fake_facade import FakeControl, FakeFacade, ask, make_app, state

GET = ("GET", "/v1.0/workflows/dapr/order-1")
# A route of each method that changes something.
CHANGES = [
    ("POST", "/v1.0/workflows/dapr/W/start?instanceID=x"),
    ("POST", "/v1.0-beta1/workflows/dapr/W/start?instanceID=x"),
    ("POST", "/v1.0/workflows/dapr/order-1/terminate"),
    ("POST", "/v1.0/workflows/dapr/order-1/pause"),
    ("POST", "/v1.0/workflows/dapr/order-1/raiseEvent/e"),
    ("POST", "/v1.0/workflows/dapr/order-1/purge"),
    ("POST", "/v1.0/shutdown"),
    ("PUT", "/v1.0/metadata/key"),
    ("DELETE", "/v1.0/metadata/key"),
]

OURS = [
    "127.0.0.1",
    "127.0.0.1:3500",
    "10.1.2.3:80",
    "[::1]:3500",
    "[::1]",
    "[fe80::1%25eth0]:1",
    "localhost",
    "LocalHost:3500",
    "localhost.:3500",
    "perdure",
    "perdure:3500",
    "my_host-1",
    socket.gethostname(),
    "orders.example.com",
    "Orders.Example.Com.:443",
    "a.b.svc.local",
    "svc.local",
    "127.0.0.1:",
]
FOREIGN = [
    "evil.example",
    "evil.example:3500",
    "127.0.0.1.nip.io",
    "localhost.evil.example",
    "orders.example.com.evil.example",
    "xorders.example.com",
    "example.com",
    "evilsvc.local.com",
    "evilsvc.local",
    "127.0.0.1@evil.example",
    "evil.example#.svc.local",
    "127.0.0.1:x",
    "[::1",
    "[evil.example]",
    ":3500",
    "1.2.3",
    "0x7f.1",
    "evil.example,localhost",
    "größe.example",
]
ALLOWED = ("orders.example.com", ".svc.local")


@pytest.mark.parametrize("host", OURS)
def test_a_name_of_ours_is_answered(host: str) -> None:
    app = make_app(FakeFacade(state()), allowed_hosts=ALLOWED)
    assert [ask(app, *GET, headers={"host": host}).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    ("method", "target", "host"),
    [
        *((*GET, host) for host in FOREIGN),
        *((*route, "evil.example") for route in (("GET", "/v1.0/healthz"), ("GET", "/openapi.json"), *CHANGES)),
    ],
)
def test_a_foreign_name_is_refused_whatever_is_asked(method: str, target: str, host: str) -> None:
    facade, control = FakeFacade(state()), FakeControl()
    app = make_app(facade, control, allowed_hosts=ALLOWED)
    response = ask(app, method, target, headers={"host": host.encode()})
    assert response.status_code == 403
    assert response.json()["errorCode"] == "ERR_HOST_NOT_ALLOWED"
    assert "--allowed-host" in response.json()["message"]
    assert (facade.calls, control.shutdowns) == ([], [])


def test_of_several_hosts_each_must_be_ours() -> None:
    app = make_app(FakeFacade(state()))
    assert ask(app, *GET, headers=[("host", "localhost"), ("host", "evil.example")]).status_code == 403


def test_any_name_may_be_allowed() -> None:
    assert ask(make_app(FakeFacade(state()), allowed_hosts=("*",)), *GET, headers={"host": "a.b.c"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": ""},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "file://"},
        {"origin": "chrome-extension://abcdef"},
        {"origin": "http://localhost:3500.evil.example"},
        {"origin": "http://localhost:3500", "sec-fetch-site": "cross-site"},
        {"origin": "http://evil.example", "sec-fetch-site": "same-origin"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("method", "target"), CHANGES)
def test_a_page_of_another_origin_changes_nothing(method: str, target: str, headers: dict[str, str]) -> None:
    facade, control = FakeFacade(state()), FakeControl()
    app = make_app(facade, control)
    response = ask(app, method, target, headers={"host": "localhost:3500", **headers})
    assert response.status_code == 403
    assert response.json()["errorCode"] == "ERR_ORIGIN_NOT_ALLOWED"
    assert (facade.calls, control.shutdowns) == ([], [])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin"},
        {"origin": "http://localhost:3500"},
        {"origin": "https://LOCALHOST:3500"},
        {"origin": "https://orders.example.com", "sec-fetch-site": "same-origin"},  # as if a proxy had changed Host
        {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
    ],
    ids=str,
)
def test_programs_and_pages_of_our_own_origin_may_change_things(headers: dict[str, str]) -> None:
    app = make_app(FakeFacade(), allowed_hosts=ALLOWED)
    path = "/v1.0/workflows/dapr/W/start"
    assert ask(app, "POST", path, headers={"host": "localhost:3500", **headers}).status_code == 202


def test_reading_needs_no_origin() -> None:
    # The page cannot see the answer: the browser keeps it from a page of another origin.
    app = make_app(FakeFacade(state()))
    assert ask(app, *GET, headers={"origin": "http://evil.example", "sec-fetch-site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("host", [*OURS, *FOREIGN])
def test_with_a_token_neither_is_checked(host: str) -> None:
    app = make_app(FakeFacade(), api_tokens=("secret",))
    headers = {"host": host.encode(), "origin": b"http://evil.example", "sec-fetch-site": b"cross-site"}
    headers["dapr-api-token"] = b"secret"
    assert ask(app, "POST", "/v1.0/workflows/dapr/W/start", headers=headers).status_code == 202


def test_a_name_is_taken_out_of_what_stands_around_it() -> None:
    assert name_in("A.b:80") == "a.b"
    assert name_in("[::1]:80") == "::1"
    assert name_in("") is None
