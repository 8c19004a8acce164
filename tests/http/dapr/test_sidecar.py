"""The sidecar routes do what contract 1.7 says."""

import anyio
import pytest

from perdure.api.sidecar import Sidecar
from perdure.http.app import HttpOptions, create_app

from ...support.doors.fake_facade import FakeControl, FakeFacade, ask, make_app
from ...support.doors.fake_peers import daemon_of


@pytest.mark.parametrize("path", ["/v1.0/healthz", "/v1.0/healthz/outbound", "/v1.0/healthz?appid=orders"])
def test_a_ready_daemon_says_so_with_nothing(path: str) -> None:
    response = ask(make_app(), "GET", path)
    assert (response.status_code, response.content) == (204, b"")


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("/v1.0/healthz", "ERR_HEALTH_NOT_READY", "dapr is not ready: [engine]"),
        ("/v1.0/healthz/outbound", "ERR_OUTBOUND_HEALTH_NOT_READY", "dapr outbound is not ready"),
    ],
)
def test_a_daemon_that_is_not_ready_says_so(path: str, code: str, message: str) -> None:
    control = FakeControl()
    control.is_ready = False
    response = ask(make_app(control=control), "GET", path)
    assert response.status_code == 500
    assert response.json() == {"errorCode": code, "message": message}


@pytest.mark.parametrize("query", ["appid=billing", "appid=", "appid"])
def test_a_probe_for_another_app_fails(query: str) -> None:
    response = ask(make_app(), "GET", f"/v1.0/healthz?{query}")
    assert response.status_code == 500
    assert response.json() == {"errorCode": "ERR_HEALTH_APPID_NOT_MATCH", "message": "dapr app-id does not match"}


def test_the_metadata_of_a_daemon_with_a_worker_are_as_in_dapr() -> None:
    response = ask(make_app(), "GET", "/v1.0/metadata")
    actors = [
        {"type": "dapr.internal.default.orders.workflow", "count": 3},
        {"type": "dapr.internal.default.orders.activity", "count": 2},
        {"type": "dapr.internal.default.orders.retentioner", "count": 0},
    ]
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "id": "orders",
        "runtimeVersion": "0.1.0",
        "actors": actors,
        "extended": {"daprRuntimeVersion": "0.1.0"},
        "actorRuntime": {
            "runtimeStatus": "RUNNING",
            "activeActors": actors,
            "hostReady": True,
            "placement": "placement: connected",
        },
        "workflows": {"connectedWorkers": 1},
    }


def test_without_a_worker_there_are_no_workflow_actors_to_speak_of() -> None:
    control = FakeControl()
    control.workers = 0
    body = ask(make_app(control=control), "GET", "/v1.0/metadata").json()
    assert "workflows" not in body
    assert "actors" not in body
    assert "activeActors" not in body["actorRuntime"]


def test_actors_of_other_types_are_listed_as_they_are() -> None:
    control = FakeControl()
    control.workers = 0
    control.actors = {"Cart": 7}
    body = ask(make_app(control=control), "GET", "/v1.0/metadata").json()
    assert body["actors"] == [{"type": "Cart", "count": 7}]


def test_what_is_put_into_the_metadata_shows_up_there() -> None:
    app = make_app()
    # When `dapr run` tells the sidecar who started it,
    response = ask(app, "PUT", "/v1.0/metadata/cliPID", content=b"4711")
    assert (response.status_code, response.content) == (204, b"")
    # and when an odd key is put, and the first key once more,
    ask(app, "PUT", "/v1.0/metadata/app%2Fcommand", content="größe".encode())
    ask(app, "PUT", "/v1.0/metadata/cliPID", content=b"4712")
    # then the metadata has both keys, with their last values.
    extended = ask(app, "GET", "/v1.0/metadata").json()["extended"]
    assert extended == {"cliPID": "4712", "app/command": "größe", "daprRuntimeVersion": "0.1.0"}


def test_the_version_cannot_be_put() -> None:
    app = make_app()
    ask(app, "PUT", "/v1.0/metadata/daprRuntimeVersion", content=b"9")
    assert ask(app, "GET", "/v1.0/metadata").json()["extended"] == {"daprRuntimeVersion": "0.1.0"}


def test_two_apps_do_not_share_what_was_put() -> None:
    one, other = make_app(), make_app()
    ask(one, "PUT", "/v1.0/metadata/key", content=b"value")
    assert "key" not in ask(other, "GET", "/v1.0/metadata").json()["extended"]


def test_what_is_put_over_another_api_shows_up_too() -> None:
    # Given a sidecar that two APIs share,
    sidecar = Sidecar(FakeControl(), app_id="orders")
    app = create_app(FakeFacade(), HttpOptions(app_id="orders"), sidecar)
    # when each puts an entry,
    anyio.run(sidecar.put, "there", "1")
    ask(app, "PUT", "/v1.0/metadata/here", content=b"2")
    # then both show both entries.
    both = {"there": "1", "here": "2", "daprRuntimeVersion": "0.1.0"}
    assert ask(app, "GET", "/v1.0/metadata").json()["extended"] == anyio.run(sidecar.describe).extended == both


def test_each_host_of_a_daemon_speaks_for_all_of_them() -> None:
    # Given a daemon of two hosts,
    options = HttpOptions(app_id="orders")
    peers = daemon_of(2)
    one, other = (
        create_app(FakeFacade(), options, Sidecar(FakeControl(), app_id="orders", peers=each)) for each in peers
    )
    # when an entry is put on one, then the other shows it, and the actors of both.
    assert ask(one, "PUT", "/v1.0/metadata/here", content=b"2").status_code == 204
    body = ask(other, "GET", "/v1.0/metadata").json()
    assert body["extended"] == {"here": "2", "daprRuntimeVersion": "0.1.0"}
    assert body["actors"][0] == {"type": "dapr.internal.default.orders.workflow", "count": 6}


def test_metadata_cannot_eat_the_memory() -> None:
    # Given metadata that is nearly full,
    app = make_app()
    assert ask(app, "PUT", "/v1.0/metadata/a", content=b"x" * 1_000_000).status_code == 204
    # when more is put than there is room for,
    response = ask(app, "PUT", "/v1.0/metadata/b", content=b"x" * 100_000)
    # then it is refused,
    assert response.status_code == 413
    assert response.json() == {
        "errorCode": "ERR_BODY_READ",
        "message": "metadata may hold 1048576 bytes in all, and this entry would make it 1100002",
    }
    # and the entries that were there can still be replaced.
    assert ask(app, "PUT", "/v1.0/metadata/a", content=b"y").status_code == 204


def test_metadata_is_text() -> None:
    response = ask(make_app(), "PUT", "/v1.0/metadata/a", content=b"\xff")
    assert response.status_code == 400
    assert response.json()["errorCode"] == "ERR_MALFORMED_REQUEST"


@pytest.mark.parametrize(
    ("headers", "force"),
    [
        ({}, False),
        ({"dapr-force-shutdown": "true"}, True),
        ({"dapr-force-shutdown": "TRUE"}, True),
        ({"dapr-force-shutdown": "false"}, False),
        ({"dapr-force-shutdown": "1"}, False),
    ],
)
def test_shutdown_answers_and_tells_the_daemon(headers: dict[str, str], force: bool) -> None:
    control = FakeControl()
    response = ask(make_app(control=control), "POST", "/v1.0/shutdown", headers=headers)
    assert (response.status_code, response.content) == (204, b"")
    assert control.shutdowns == [force]


@pytest.mark.parametrize("version", ["v1.0-alpha1", "v1.0-beta1"])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "healthz"), ("GET", "healthz/outbound"), ("GET", "metadata"), ("POST", "shutdown")]
)
def test_the_sidecar_routes_have_one_prefix(version: str, method: str, path: str) -> None:
    control = FakeControl()
    assert ask(make_app(FakeFacade(), control), method, f"/{version}/{path}").status_code == 404
    assert control.shutdowns == []
