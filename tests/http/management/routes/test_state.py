"""Values of state stores over the management API: they are read byte for byte, and changed in one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette

from perdure import App, Engine, Settings
from perdure.http.management.resource import routes_of
from perdure.http.management.routes.state import STATE, StoreRoutes
from perdure.http.path import RawPath
from perdure.runtime.settings import Opening, OtherApp
from perdure.runtime.state.state import StateChange

pytestmark = pytest.mark.anyio

URL = "/api/v1/state/statestore"


@asynccontextmanager
async def calling(engine: Engine, app_id: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    routes = StoreRoutes(engine.states.of_app(app_id or engine.app_id))
    handlers = [(endpoint, getattr(routes, endpoint.operation)) for endpoint in STATE]
    app = RawPath(Starlette(routes=routes_of(handlers, body_bytes_max=10_000)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_a_value_is_given_out_byte_for_byte_with_its_etag_and_never_as_a_page(settings: Settings) -> None:
    async with Engine(data=":memory:", settings=settings) as engine, calling(engine) as client:
        value = b"<script>\0\xff"
        await engine.states.change("statestore", [StateChange("a/b", value)])
        got = await client.get(f"{URL}/a%2Fb")
        assert (got.status_code, got.content, got.headers["etag"]) == (200, value, '"1"')
        assert got.headers["content-type"] == "application/octet-stream"
        assert got.headers["x-content-type-options"] == "nosniff"
        missing = await client.get(f"{URL}/none")
        assert (missing.status_code, missing.content) == (204, b"")


async def test_changes_are_made_together_or_not_at_all(settings: Settings) -> None:
    async with Engine(data=":memory:", settings=settings) as engine, calling(engine) as client:
        made = await client.post(
            URL, content=b'{"changes": [{"key": "a", "value": [1,  2]}, {"key": "b", "value": null}]}'
        )
        assert made.status_code == 204
        assert (await client.get(f"{URL}/a")).content == b"[1,  2]"
        assert (await client.get(f"{URL}/b")).content == b"null"
        # An etag may be written as it stands in the header.
        wrong = await client.post(URL, json={"changes": [{"key": "a"}, {"key": "b", "etag": '"9"'}]})
        assert (wrong.status_code, wrong.json()["errorCode"]) == (409, "ERR_ETAG_MISMATCH")
        assert (await client.get(f"{URL}/a")).status_code == 200
        right = await client.post(URL, json={"changes": [{"key": "a"}, {"key": "b", "etag": '"2"', "ttl_s": 60}]})
        assert right.status_code == 204
        assert [(await client.get(f"{URL}/{key}")).status_code for key in "ab"] == [204, 204]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/api/v1/state/cart", '{"changes": []}', 404, "ERR_STATE_STORE_NOT_FOUND"),
        (URL, '{"changes": [{"key": "a||b"}]}', 400, "ERR_STATE_KEY_INVALID"),
        (URL, '{"changes": [{"key": ""}]}', 422, "ERR_BODY_INVALID"),
        (URL, '{"changes": [{"key": "a", "ttl_s": -1}]}', 422, "ERR_BODY_INVALID"),
        (URL, '{"changes": [{"key": "a", "vlaue": 1}]}', 422, "ERR_BODY_INVALID"),
        (URL, "", 422, "ERR_BODY_INVALID"),
        (URL, "{", 400, "ERR_MALFORMED_REQUEST"),
        (URL, '{"changes": [{"key": "a", "value": "' + "x" * 10_000 + '"}]}', 413, "ERR_BODY_READ"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_code(
    settings: Settings, path: str, body: str, status: int, code: str
) -> None:
    async with Engine(data=":memory:", settings=settings) as engine, calling(engine) as client:
        refused = await client.post(path, content=body)
        assert (refused.status_code, refused.json()["errorCode"]) == (status, code)


async def test_each_app_has_values_of_its_own(settings: Settings) -> None:
    others = Opening(others=[OtherApp("bank", App("bank"))])
    async with Engine(App("shop"), data=":memory:", settings=settings, opening=others) as engine:
        for app_id in ("bank", None):
            async with calling(engine, app_id) as client:
                assert (await client.get(f"{URL}/k")).status_code == 204
                await client.post(URL, json={"changes": [{"key": "k", "value": app_id}]})
        async with calling(engine, "bank") as client:
            assert (await client.get(f"{URL}/k")).json() == "bank"
