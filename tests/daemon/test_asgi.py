"""`perdure.asgi`: the management API of an embedded engine, in another program's web app."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

import perdure
from perdure import App, Engine, Settings, WorkflowContext

pytestmark = pytest.mark.anyio

WRONG: list[dict[str, Any]] = [
    {},
    {"api_tokens": []},
    {"api_tokens": ["t"], "unauthenticated": True},
    {"api_tokens": "token"},
    {"api_tokens": [""]},
    {"api_tokens": {"ada": ""}},
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[Engine]:
    app = App("shop")

    @app.workflow
    async def waits(ctx: WorkflowContext) -> Any:
        return await ctx.wait_for_external_event("go")

    async with Engine(app, data=":memory:", settings=settings) as engine:
        yield engine


def asking(app: Any, **more: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost", **more)


@pytest.mark.parametrize("given", WRONG, ids=str)
async def test_the_program_has_to_say_who_may_use_the_api(engine: Engine, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="api_tokens"):
        perdure.asgi(engine, **given)


@pytest.mark.parametrize("root", ["", "/perdure", "/a/b"])
async def test_it_serves_the_management_api_under_any_path(engine: Engine, root: str) -> None:
    await engine.client.start("waits", instance_id="a/b")
    inside = perdure.asgi(engine, unauthenticated=True)
    web = Starlette(routes=[Mount(root, inside)]) if root else inside
    async with asking(web) as http:
        listed = (await http.get(f"{root}/api/v1/instances")).json()
        assert [item["id"] for item in listed["items"]] == ["a/b"]
        assert (await http.get(f"{root}/api/v1/instances/a%2Fb")).json()["status"] == "RUNNING"
        assert (await http.get(f"{root}/docs")).status_code == 200
        suspended = await http.post(f"{root}/api/v1/instances/a%2Fb/suspend", json={"reason": "lunch"})
        assert suspended.status_code == 200


async def test_the_page_is_there_under_any_path_unless_it_is_switched_off(engine: Engine) -> None:
    web = Starlette(routes=[Mount("/tools", perdure.asgi(engine, unauthenticated=True))])
    async with asking(web) as http:
        shell = (await http.get("/tools/ui/instances/a%2Fb")).text
        assert 'src="/tools/ui/static/' in shell
        assert 'href="/tools/ui/"' in (await http.get("/tools/")).text
    async with asking(perdure.asgi(engine, unauthenticated=True, page=False)) as http:
        assert (await http.get("/ui/")).status_code == 404
        assert "/ui/" not in (await http.get("/")).text


@pytest.mark.parametrize(
    "path", ["/v1.0/shutdown", "/v1.0/workflows/dapr/x", "/x/../v1.0/shutdown", "/%761.0/shutdown"]
)
async def test_daprs_routes_are_not_there(engine: Engine, path: str) -> None:
    async with asking(perdure.asgi(engine, unauthenticated=True)) as http:
        for answer in (await http.post(path), await http.get(path)):
            assert answer.status_code == 404
    assert engine.ready


async def test_tokens_open_it(engine: Engine) -> None:
    web = perdure.asgi(engine, api_tokens={"ada": "secret"})
    async with asking(web) as http:
        assert (await http.get("/api/v1/instances")).status_code == 401
        for headers in ({"dapr-api-token": "secret"}, {"authorization": "Bearer secret"}):
            assert (await http.get("/api/v1/instances", headers=headers)).status_code == 200


async def test_without_tokens_other_names_than_those_allowed_are_refused(engine: Engine) -> None:
    web = perdure.asgi(engine, unauthenticated=True, allowed_hosts=["shop.example.com"])
    async with asking(web) as http:
        for host, status in (("shop.example.com", 200), ("evil.example.com", 403)):
            assert (await http.get("/api/v1/count", headers={"host": host})).status_code == status


async def test_an_engine_that_does_not_run_is_said_to_be(settings: Settings) -> None:
    web = perdure.asgi(Engine(App("shop"), data=":memory:", settings=settings), unauthenticated=True)
    async with asking(web) as http:
        answer = await http.get("/api/v1/instances")
        assert (answer.status_code, answer.json()["errorCode"]) == (503, "ERR_HOST_NOT_RUNNING")


async def test_long_polls_end_when_the_engine_stops(engine: Engine) -> None:
    await engine.client.start("waits", instance_id="i")
    answers: list[int] = []
    async with asking(perdure.asgi(engine, unauthenticated=True)) as http, anyio.create_task_group() as tasks:

        async def wait() -> None:
            answers.append((await http.get("/api/v1/instances/i/wait", timeout=30)).status_code)

        tasks.start_soon(wait)
        await anyio.sleep(0.1)
        with anyio.fail_after(5):
            await engine.stop()
    assert answers == [503]


async def test_a_client_in_the_same_process_has_the_management_api_too(engine: Engine) -> None:
    inside = perdure.asgi(engine, api_tokens={"ada": "secret"})
    async with perdure.connect(inside, token="secret") as client:  # noqa: S106
        handle = await client.start("waits", instance_id="i", tags={"a": "b"})
        assert [item.id async for item in client.instances(tags={"a": "b"})] == ["i"]
        assert (await client.count(by="status")).counts[0].count == 1
        await handle.raise_event("go", 1)
        assert await handle.result() == 1
        assert (await client.history("i")).items
        await client.purge("i", reason="test")
        assert [row.actor for row in (await client.audit()).items] == ["ada"]
        async with client.events() as changes:
            assert (await anext(aiter(changes))).kind == "ready"
