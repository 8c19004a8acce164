"""Bulk operations over HTTP: a dry run gives the number and a plan, and the plan starts the operation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette

from perdure import App, Engine, Settings, WorkflowContext
from perdure.http.management.resource import routes_of
from perdure.http.management.routes.bulk import BULK_ENDPOINTS, BulkRoutes
from perdure.http.path import RawPath

pytestmark = pytest.mark.anyio


def make_app() -> App:
    app = App("orders")

    @app.workflow
    async def waits(ctx: WorkflowContext) -> object:
        return await ctx.wait_for_external_event("go")

    return app


class Caller:
    """Calls the routes of an engine."""

    def __init__(self, engine: Engine, client: httpx.AsyncClient) -> None:
        self.engine = engine
        self.client = client

    async def post(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        response = await self.client.post(f"/api/v1{path}", json=body)
        assert response.status_code == status, response.text
        return response.json()

    async def get(self, path: str, *, status: int = 200) -> Any:
        response = await self.client.get(f"/api/v1{path}")
        assert response.status_code == status, response.text
        return response.json()

    async def start(self, count: int) -> None:
        for number in range(count):
            await self.engine.facade.start("waits", instance_id=f"order-{number:02}")

    async def ended(self, operation_id: str) -> Any:
        with anyio.fail_after(20):
            while (found := await self.get(f"/operations/{operation_id}"))["state"] == "RUNNING":
                await anyio.sleep(0.01)
        return found


@asynccontextmanager
async def calling(settings: Settings) -> AsyncIterator[Caller]:
    async with Engine(make_app(), data=":memory:", settings=settings) as engine:
        routes = BulkRoutes(engine.management, app_id="perdure")
        handlers = [(endpoint, getattr(routes, endpoint.operation)) for endpoint in BULK_ENDPOINTS]
        app = RawPath(Starlette(routes=routes_of(handlers, body_bytes_max=10_000)))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield Caller(engine, client)


async def test_a_dry_run_tells_the_number_and_some_of_them_and_changes_nothing(settings: Settings) -> None:
    async with calling(settings) as caller:
        await caller.start(25)

        found = await caller.post("/bulk/terminate", {"filter": {"status": ["running"]}, "dry_run": True})

        assert found["matches"] == 25
        assert found["more"] is False
        assert len(found["sample"]) == 20
        assert found["sample"][0]["status"] == "RUNNING"
        assert set(found) == {"matches", "more", "sample", "plan"}
        assert (await caller.get("/operations"))["items"] == []


async def test_a_plan_begins_the_operation_which_is_done_and_told(settings: Settings) -> None:
    async with calling(settings) as caller:
        await caller.start(5)
        body = {"filter": {"name": ["waits"]}, "reason": "no use", "dry_run": True}
        plan = (await caller.post("/bulk/terminate", body))["plan"]

        begun = await caller.post("/bulk/terminate", {"plan": plan}, status=202)
        again = await caller.post("/bulk/terminate", {"plan": plan}, status=202)
        found = await caller.ended(begun["id"])

        assert again["id"] == begun["id"]
        assert {
            name: found[name] for name in ("state", "action", "matches", "done", "failed", "skipped", "errors")
        } == {
            "state": "COMPLETED",
            "action": "terminate",
            "matches": 5,
            "done": 5,
            "failed": 0,
            "skipped": 0,
            "errors": [],
        }
        assert (found["actor"], found["reason"]) == ("anonymous", "no use")
        assert found["ended"].endswith("Z")
        state = await caller.engine.facade.inspect("order-03")
        assert state is not None
        assert state.status.name == "TERMINATED"


async def test_the_body_of_the_dry_run_may_stand_beside_its_plan_and_no_other(settings: Settings) -> None:
    async with calling(settings) as caller:
        await caller.start(2)
        # Given a plan of a body with all its fields,
        body: dict[str, Any] = {
            "filter": {
                "status": ["!failed"],
                "name": ["waits"],
                "created_after": "2001-01-01T00:00:00Z",
                "tags": {},
                "stuck_for": "0s",
            },
            "reason": "first thought",
            "recurse": False,
            "rate": 400,
        }
        plan = (await caller.post("/bulk/suspend", {**body, "dry_run": True}))["plan"]
        # when the plan comes with another body, then no operation begins;
        others: list[dict[str, Any]] = [
            {"filter": {}},
            {"filter": {**body["filter"], "stuck_for": "1s"}},
            {"recurse": True},
            {"force": True},
            {"rate": 401},
        ]
        for other in others:
            refused = await caller.post("/bulk/suspend", {**body, **other, "plan": plan}, status=400)
            assert f"another {next(iter(other))!r}" in refused["message"]
        assert (await caller.get("/operations"))["items"] == []
        # with its own body the operation begins, with the reason that was given last.
        begun = await caller.post("/bulk/suspend", {**body, "plan": plan, "reason": "second thought"}, status=202)
        assert begun["reason"] == "second thought"


async def test_errors_of_single_instances_stand_in_the_operation_and_not_in_the_list(settings: Settings) -> None:
    async with calling(settings) as caller:
        await caller.start(1)
        plan = (await caller.post("/bulk/purge", {"filter": {}, "dry_run": True}))["plan"]

        begun = await caller.post("/bulk/purge", {"plan": plan}, status=202)
        found = await caller.ended(begun["id"])

        assert found["errors"] == [{"id": "order-00", "message": "orchestration has not yet completed"}]
        [listed] = (await caller.get("/operations"))["items"]
        assert listed == found | {"errors": []}


async def test_an_operation_is_cancelled(settings: Settings) -> None:
    async with calling(settings) as caller:
        await caller.start(30)
        plan = (await caller.post("/bulk/suspend", {"filter": {}, "dry_run": True, "rate": 10}))["plan"]
        begun = await caller.post("/bulk/suspend", {"plan": plan}, status=202)

        found = await caller.post(f"/operations/{begun['id']}/cancel", {"reason": "wrong filter"})

        assert found["state"] == "CANCELED"
        assert (await caller.post(f"/operations/{begun['id']}/cancel"))["state"] == "CANCELED"


REFUSALS: dict[str, tuple[str, Any, int, str, str]] = {
    "neither a dry run nor a plan": ("terminate", {"filter": {}}, 422, "ERR_BODY_INVALID", "dry_run: true"),
    "nothing": ("terminate", None, 422, "ERR_BODY_INVALID", "dry_run: true"),
    "both": ("terminate", {"plan": "x", "dry_run": True}, 422, "ERR_BODY_INVALID", "leave out"),
    "no filter": ("terminate", {"dry_run": True}, 422, "ERR_BODY_INVALID", "`filter` is missing"),
    "an unknown filter": ("purge", {"dry_run": True, "filter": {"hue": "red"}}, 400, "ERR_FILTER_INVALID", "hue"),
    "an unknown status": ("purge", {"dry_run": True, "filter": {"status": ["red"]}}, 400, "ERR_FILTER_INVALID", "red"),
    "a filter that is no object": ("purge", {"dry_run": True, "filter": []}, 400, "ERR_FILTER_INVALID", "filter"),
    "an unknown field": ("purge", {"dry_run": True, "filter": {}, "all": True}, 422, "ERR_BODY_INVALID", "all"),
    "no plan of ours": ("purge", {"plan": "x"}, 400, "ERR_REQUEST_INVALID", "no plan that a dry run gave"),
    "a rate of nothing": ("purge", {"dry_run": True, "filter": {}, "rate": 0}, 400, "ERR_REQUEST_INVALID", "above 0"),
    "no such action": ("dance", {"dry_run": True, "filter": {}}, 404, "ERR_ROUTE_NOT_FOUND", "/bulk/dance"),
}


@pytest.mark.parametrize(("action", "body", "status", "code", "told"), REFUSALS.values(), ids=REFUSALS)
async def test_what_cannot_be_meant_is_refused(
    settings: Settings, action: str, body: Any, status: int, code: str, told: str
) -> None:
    async with calling(settings) as caller:
        found = await caller.post(f"/bulk/{action}", body, status=status)

        assert found["errorCode"] == code
        assert told in found["message"]


async def test_a_plan_for_another_action_is_refused(settings: Settings) -> None:
    async with calling(settings) as caller:
        plan = (await caller.post("/bulk/suspend", {"filter": {}, "dry_run": True}))["plan"]

        found = await caller.post("/bulk/purge", {"plan": plan}, status=400)

        assert "to suspend instances, not to purge them" in found["message"]


async def test_an_operation_that_is_not_there_is_404(settings: Settings) -> None:
    async with calling(settings) as caller:
        found = await caller.get("/operations/nothing", status=404)

        assert found["errorCode"] == "ERR_OPERATION_NOT_FOUND"
        assert "'nothing'" in found["message"]
        await caller.post("/operations/nothing/cancel", status=404)
