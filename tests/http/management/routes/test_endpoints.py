"""The management API answers an invalid value of each parameter with 400 and the parameter's name."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

import perdure
from perdure.http.management.app import ENDPOINTS
from perdure.http.management.endpoint import Endpoint

pytestmark = pytest.mark.anyio

NONSENSE = "\N{PILE OF POO} & co"

# Parameters that take any text, so that no value is invalid.
ANY_TEXT = {("import_instance", "id"), ("list_audit", "id"), ("list_audit", "actor"), ("start_instance", "id")}


def parameters() -> list[Any]:
    """The parameters of all routes in the description, of a query or a header."""
    found = []
    for endpoint in ENDPOINTS:
        names = [("query", name) for name in endpoint.names if (endpoint.operation, name) not in ANY_TEXT]
        names += [("header", name) for name in endpoint.headers if name != "Last-Event-ID"]
        if endpoint.filters:
            names += [("query", name) for name in ("status", "root", "created_after", "updated_before", "stuck_for")]
        found += [pytest.param(endpoint, *each, id=f"{endpoint.operation}-{each[1]}") for each in names]
    return found


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    app = perdure.App("shop")

    @app.workflow
    async def wait(ctx: perdure.WorkflowContext) -> None:
        await ctx.wait_for_external_event("go")

    async with perdure.Engine(app, data=":memory:") as engine:
        await engine.client.start(wait, instance_id="one")
        transport = httpx.ASGITransport(perdure.asgi(engine, unauthenticated=True))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1") as client:
            yield client


@pytest.mark.parametrize(("endpoint", "place", "name"), parameters())
async def test_nonsense_is_refused_by_the_name_of_its_parameter(
    api: httpx.AsyncClient, endpoint: Endpoint, place: str, name: str
) -> None:
    path = endpoint.path.replace("{id}", "one").replace("{name}", "wait")
    # When the parameter has an invalid value,
    if place == "query":
        response = await api.request(endpoint.method, path, params={name: NONSENSE})
    else:
        response = await api.request(endpoint.method, path, headers={name: 'no such "thing'})
    # then the answer names the parameter.
    assert response.status_code == 400, response.text
    assert f"'{name}'" in response.json()["message"]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.operation)
async def test_a_parameter_that_a_route_does_not_have_is_refused_by_name(
    api: httpx.AsyncClient, endpoint: Endpoint
) -> None:
    path = endpoint.path.replace("{id}", "one").replace("{name}", "wait").replace("{key}", "1-1-x")
    response = await api.request(endpoint.method, path, params={"nosuch": "1"})
    assert response.status_code == 400, response.text
    assert "'nosuch'" in response.json()["message"]
