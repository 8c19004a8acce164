"""The client: workflows from Python, with values and dates."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from perdure import App, Engine, PayloadError, Settings, Status, WorkflowContext, WorkflowFailed

pytestmark = pytest.mark.anyio


@dataclass
class Order:
    name: str
    total: float


def make_app() -> App:
    app = App("test")

    @app.workflow(name="Order")
    def order(ctx: WorkflowContext, given: Order) -> Order:
        assert isinstance(given, Order)
        return Order(given.name.upper(), given.total * 2)

    @app.workflow
    async def waits(ctx: WorkflowContext) -> object:
        return await ctx.wait_for_external_event("go")

    make_app.order = order  # type: ignore[attr-defined]
    return app


@pytest.fixture
def engine(settings: Settings) -> Engine:
    return Engine(make_app(), data=":memory:", settings=settings)


async def test_a_function_stands_for_the_name_it_was_registered_under(engine: Engine) -> None:
    async with engine:
        function = make_app.order  # type: ignore[attr-defined]
        assert await engine.client.run(function, input=Order("clip", 2.5)) == {"name": "CLIP", "total": 5.0}


async def test_a_run_that_does_not_complete_raises_with_the_state(engine: Engine) -> None:
    async with engine:
        with pytest.raises(WorkflowFailed) as caught:
            await engine.client.run("Order", input={"name": 5})
        assert caught.value.state.status is Status.FAILED
        assert "PayloadError" in str(caught.value)


async def test_dates_name_their_time_zone(engine: Engine) -> None:
    async with engine:
        before = datetime.now(UTC)
        instance_id = await engine.client.start("waits")
        state = await engine.client.get(instance_id)
        assert state is not None
        assert before - timedelta(seconds=1) < state.created_at <= datetime.now(UTC)
        assert state.last_updated_at >= state.created_at


async def test_an_instance_is_steered_by_its_id(engine: Engine) -> None:
    async with engine:
        client = engine.client
        await client.start("waits", instance_id="i")
        await client.suspend("i", reason="lunch")
        state = await client.get("i")
        assert state is not None
        assert state.status is Status.SUSPENDED
        await client.raise_event("i", "GO", {"x": [1]})
        await client.resume("i")
        assert (await client.wait("i")).output == {"x": [1]}
        assert await client.purge("i") == 1
        assert await client.get("i") is None


async def test_a_start_at_a_date_is_pending_until_then(engine: Engine) -> None:
    async with engine:
        await engine.client.start("waits", instance_id="i", start_at=datetime.now(UTC) + timedelta(days=1))
        state = await engine.client.get("i")
        assert state is not None
        assert state.status is Status.PENDING
        await engine.client.terminate("i", output="no")
        assert (await engine.client.wait("i")).output == "no"


async def test_a_value_without_a_form_in_json_is_refused_before_anything_happens(engine: Engine) -> None:
    async with engine:
        with pytest.raises(PayloadError):
            await engine.client.start("waits", instance_id="i", input=object())
        assert await engine.client.get("i") is None


async def test_a_payload_that_is_no_json_is_shown_as_text(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("waits", instance_id="i", input="plain text")
        state = await engine.client.get("i")
        assert state is not None
        assert state.input == "plain text"
