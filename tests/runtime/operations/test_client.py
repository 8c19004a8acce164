"""The client: workflows from Python, with values and dates."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perdure import App, Engine, PayloadError, PerdureError, Settings, Status, WorkflowContext, WorkflowFailed
from perdure.actors.store.memory import MemoryStore
from perdure.runtime.authoring.limits import WorkflowLimits
from perdure.runtime.errors import LimitExceeded

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
        assert await engine.client.run(function, input=Order("clip", 2.5)) == Order("CLIP", 5.0)


async def test_values_have_the_annotated_types_whether_a_workflow_is_named_or_handed_over(engine: Engine) -> None:
    async with engine:
        client = engine.client
        handle = await client.start("Order", input=Order("clip", 2.5), instance_id="i")
        assert await handle.result() == Order("CLIP", 5.0)
        assert await client.run("Order", input={"name": "nut", "total": 1}) == Order("NUT", 2.0)
        for state in (await client.wait("i"), await client.get("i"), await handle.state()):
            assert state is not None
            assert (state.input, state.output) == (Order("clip", 2.5), Order("CLIP", 5.0))


async def test_a_workflow_of_another_app_gives_its_type_and_a_name_of_another_gives_what_json_has(
    settings: Settings,
) -> None:
    store = MemoryStore()
    async with Engine(make_app(), data=store, settings=settings) as first:
        await first.client.run("Order", input=Order("clip", 2.5), instance_id="i")
    async with Engine(None, data=store, settings=settings) as second:
        plain = {"name": "CLIP", "total": 5.0}
        function = make_app.order  # type: ignore[attr-defined]
        assert await second.client.handle("i").result() == plain
        assert await second.client.handle("i", function).result() == Order("CLIP", 5.0)
        assert (await second.client.wait("i")).output == plain


async def test_a_payload_that_no_longer_fits_is_shown_as_json_has_it_and_is_no_result(
    settings: Settings,
) -> None:
    older, newer = App("test"), App("test")

    @older.workflow(name="Order")
    async def before(ctx: WorkflowContext, name: str) -> str:
        return name

    @newer.workflow(name="Order")
    async def after(ctx: WorkflowContext, given: Order) -> Order:
        return given

    store = MemoryStore()
    async with Engine(older, data=store, settings=settings) as engine:
        await engine.client.run(before, input="clip", instance_id="i")
    async with Engine(newer, data=store, settings=settings) as engine:
        state = await engine.client.wait("i")
        assert (state.input, state.output) == ("clip", "clip")
        with pytest.raises(PayloadError, match="Order"):
            await engine.client.handle("i").result()


async def test_the_output_of_a_terminated_instance_is_not_the_workflows(engine: Engine) -> None:
    async with engine:
        await engine.client.start("Order", instance_id="i", start_at=datetime.now(UTC) + timedelta(days=1))
        await engine.client.terminate("i", output={"name": "x", "total": 1})
        assert (await engine.client.wait("i")).output == {"name": "x", "total": 1}
        with pytest.raises(WorkflowFailed, match="TERMINATED"):
            await engine.client.result("i")


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


MISUSED: list[tuple[Callable[[Any], Awaitable[Any]], str]] = [
    (lambda client: client.start(5), "expected a function or its name, not int"),
    (lambda client: client.run(None), "expected a function or its name, not NoneType"),
    (lambda client: client.start("waits", instance_id=5), "instance_id must be str, not int"),
    (lambda client: client.run("waits", instance_id=b"x"), "instance_id must be str, not bytes"),
    (lambda client: client.start("waits", start_at="tomorrow"), "start_at must be datetime, not str"),
    (lambda client: client.start("waits", start_at=timedelta(1)), "start_at must be datetime, not timedelta"),
    (lambda client: client.get(5), "instance_id must be str, not int"),
    (lambda client: client.wait(None), "instance_id must be str, not NoneType"),
    (lambda client: client.wait("x", timeout="5"), "timeout must be int or float, not str"),
    (lambda client: client.raise_event(5, "e"), "instance_id must be str, not int"),
    (lambda client: client.raise_event("x", 5), "the name of the event must be str, not int"),
    (lambda client: client.suspend(5), "instance_id must be str, not int"),
    (lambda client: client.resume(5), "instance_id must be str, not int"),
    (lambda client: client.terminate(5), "instance_id must be str, not int"),
    (lambda client: client.purge(["x"]), "instance_id must be str, not list"),
]


@pytest.mark.parametrize(("call", "said"), MISUSED)
async def test_a_value_of_another_type_is_refused_by_its_name(
    engine: Engine, call: Callable[[Any], Awaitable[Any]], said: str
) -> None:
    async with engine:
        with pytest.raises(PerdureError, match=said):
            await call(engine.client)


async def test_a_workflow_that_was_called_instead_of_handed_over_is_told(engine: Engine) -> None:
    async def greet(ctx: object) -> None: ...

    client: Any = engine.client
    async with engine:
        with pytest.raises(PerdureError, match="was called instead of handed over"):
            await client.start(greet(None))


async def test_a_timeout_may_be_seconds(engine: Engine) -> None:
    async with engine:
        instance_id = await engine.client.start("waits")
        with pytest.raises(TimeoutError):
            await engine.client.wait(instance_id, timeout=0.01)


LONG, BIG = "ü" * 513, "ü" * 513  # 1026 and, with quotes, 1028 bytes

TOO_MUCH: list[tuple[Callable[[Any], Awaitable[Any]], str]] = [
    (
        lambda client: client.start(LONG),
        "the name of the workflow has 1026 bytes, and the limit name_bytes_max is 1024",
    ),
    (lambda client: client.run(LONG), "the name of the workflow has 1026 bytes, and the limit name_bytes_max is 1024"),
    (lambda client: client.start("waits", instance_id=LONG), "the instance ID has 1026 bytes"),
    (lambda client: client.raise_event("i", LONG), "the name of the event has 1026 bytes"),
    (
        lambda client: client.start("waits", input=BIG),
        "the input has 1028 bytes, and the limit payload_bytes_max is 1024",
    ),
    (lambda client: client.run("waits", input=[BIG]), "the input has 1030 bytes"),
    (lambda client: client.raise_event("i", "go", BIG), "the data of the event has 1028 bytes"),
    (lambda client: client.suspend("i", reason=BIG), "the reason has 1026 bytes"),
    (lambda client: client.resume("i", reason=BIG), "the reason has 1026 bytes"),
    (lambda client: client.terminate("i", output=BIG), "the output has 1028 bytes"),
]


@pytest.mark.parametrize(("call", "said"), TOO_MUCH)
async def test_what_is_too_long_is_refused_with_the_limit_and_changes_nothing(
    settings: Settings, call: Callable[[Any], Awaitable[Any]], said: str
) -> None:
    limits = WorkflowLimits(payload_bytes_max=1024)
    async with Engine(make_app(), data=":memory:", settings=replace(settings, limits=limits)) as engine:
        await engine.client.start("waits", instance_id="i", input="x" * 1022)
        before = await engine.facade.history("i")
        with pytest.raises(LimitExceeded, match=said):
            await call(engine.client)
        assert await engine.facade.history("i") == before
        assert (await engine.facade.list_ids()).ids == ["i"]
