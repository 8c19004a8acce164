"""The API that only the client in the same process reaches: it needs no token, and the audit names the caller."""

import pytest

import perdure

pytestmark = pytest.mark.anyio


async def test_what_the_program_changes_is_its_own_and_what_comes_from_outside_is_not() -> None:
    app = perdure.App("shop")

    @app.workflow
    async def waits(ctx: perdure.WorkflowContext) -> None:
        await ctx.wait_for_external_event("go")

    async with perdure.Engine(app, data=":memory:") as engine:
        await engine.client.start(waits, instance_id="i")
        # Given the engine's own client, and one of the app that it serves to others,
        outside = perdure.asgi(engine, api_tokens={"ada": "secret"})
        async with perdure.connect(outside, token="secret") as other:  # noqa: S106  of a test
            # when both change something,
            await engine.client.act("suspend", "i", reason="mine")
            await other.act("resume", "i", reason="hers")
        # then the audit tells them apart.
        rows = (await engine.client.audit(instance_id="i")).items
        assert [(row.actor, row.door, row.reason) for row in rows] == [
            ("ada", "api", "hers"),
            ("embedded", "embedded", "mine"),
        ]
