"""A function makes an app from an engine, and two apps share nothing."""

import pytest
from starlette.applications import Starlette

from perdure.api.sidecar import Sidecar
from perdure.http.app import HttpOptions, create_app
from perdure.runtime.engine import Engine

from ..support.doors.fake_facade import FakeControl, FakeFacade, ask, make_app, state


def test_an_app_is_a_starlette_app() -> None:
    assert isinstance(make_app(), Starlette)


def test_two_apps_in_one_process_have_an_engine_each() -> None:
    one, other = make_app(FakeFacade(state("a"))), make_app(FakeFacade(state("b")))
    assert ask(one, "GET", "/v1.0/workflows/dapr/a").status_code == 200
    assert ask(other, "GET", "/v1.0/workflows/dapr/a").status_code == 404


def test_a_start_does_not_wait_for_the_version_which_the_documents_tell() -> None:
    # Given a daemon whose version takes a while to find,
    asked: list[str] = []

    class Slow(FakeControl):
        @property
        def runtime_version(self) -> str:
            asked.append("version")
            return "2.0"

        @runtime_version.setter
        def runtime_version(self, version: str) -> None:
            pass

    # when the app is made, then the version has not been looked up;
    management = Engine(None, data=":memory:").management
    app = create_app(FakeFacade(), HttpOptions(app_id="a"), Sidecar(Slow(), app_id="a"), management)
    assert asked == []
    # and each document has it, and is made once.
    for path in ("/openapi.json", "/api/v1/openapi.json", "/api/v1/openapi.json?of=dapr"):
        assert ask(app, "GET", path).json()["info"]["version"] == "2.0"
        assert ask(app, "GET", path).status_code == 200
    assert len(asked) == 2


def test_an_app_and_its_sidecar_are_of_one_app_id() -> None:
    with pytest.raises(AssertionError):
        create_app(FakeFacade(), HttpOptions(app_id="orders"), Sidecar(FakeControl(), app_id="billing"))


def test_no_two_routes_share_a_method_and_a_path() -> None:
    routes = [(route.path, method) for route in make_app().routes for method in route.methods]  # type: ignore[attr-defined]
    assert len(routes) == len(set(routes)) == 7 * 3 + 5 + 2 + 1 + 10  # the last ten are routes of state stores


def test_nothing_is_redirected() -> None:
    app = make_app(FakeFacade(state()))
    assert ask(app, "GET", "/v1.0/workflows/dapr/order-1/").status_code == 200
    assert ask(app, "GET", "/v1.0/nowhere/").status_code == 404


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"app_id": ""}, "app_id must not be empty"),
        ({"app_id": "a", "body_bytes_max": 0}, "body_bytes_max must be at least 1, not 0"),
        ({"app_id": "a", "api_tokens": ("",)}, "api_tokens must not hold an empty token"),
    ],
)
def test_options_that_cannot_be_are_named(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        HttpOptions(**options)  # type: ignore[arg-type]
