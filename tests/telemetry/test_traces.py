"""One trace holds an instance: its start, its generations, tries of activities, timers, events, children, reruns."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import anyio
import opentelemetry.trace as otel
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import StatusCode

from perdure import ActivityContext, App, Engine, RetryPolicy, WorkflowContext
from perdure.actors.store.memory import MemoryStore
from perdure.runtime.observing.spans import SpanChoice
from perdure.runtime.operations.rerun import Rerun
from perdure.telemetry.traces import traces_of
from perdure.testing.faulty_store import FaultyStore
from perdure.testing.virtual_time import LoopClock, run_virtually

from ..support.workflows.spans import Memory, trace_ids, tree

pytestmark = pytest.mark.usefixtures("virtual_backend")

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def make_app() -> App:
    app = App("shop")
    seen: dict[str, Any] = {"tries": 0}

    @app.activity
    async def pay(ctx: ActivityContext, amount: int) -> int:
        if amount < 0:
            raise ValueError("insufficient funds")
        return amount

    @app.activity
    async def flaky(ctx: ActivityContext) -> int:
        seen["tries"] += 1
        if seen["tries"] < 3:
            raise OSError("not yet")
        return ctx.attempt or 0

    @app.activity
    async def context(ctx: ActivityContext) -> list[str | None]:
        current = otel.get_current_span().get_span_context()
        return [ctx.traceparent, otel.format_span_id(current.span_id)]

    @app.activity
    def context_of_thread(ctx: ActivityContext) -> list[str | None]:
        current = otel.get_current_span().get_span_context()
        return [ctx.traceparent, otel.format_span_id(current.span_id)]

    @app.workflow
    async def order(ctx: WorkflowContext, amount: int) -> int:
        paid: int = await ctx.call_activity(pay, input=amount)
        return paid

    @app.workflow
    async def retries(ctx: WorkflowContext) -> int:
        policy = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=5)
        tries: int = await ctx.call_activity(flaky, retry_policy=policy)
        return tries

    @app.workflow
    async def waits(ctx: WorkflowContext) -> str:
        await ctx.create_timer(timedelta(hours=1))
        said: str = await ctx.wait_for_external_event("Approval")
        return said

    @app.workflow
    async def parent(ctx: WorkflowContext) -> int:
        paid: int = await ctx.call_child_workflow(order, input=3)
        return paid

    @app.workflow
    async def counts_down(ctx: WorkflowContext, left: int) -> None:
        await ctx.call_activity(pay, input=left)
        if left:
            ctx.continue_as_new(left - 1)

    @app.workflow
    async def shows(ctx: WorkflowContext) -> list[Any]:
        return [await ctx.call_activity(context), await ctx.call_activity(context_of_thread)]

    return app


def traced(
    steps: Callable[[Engine], Awaitable[None]],
    memory: Memory | None = None,
    *,
    store: Any = None,
    app: App | None = None,
) -> Memory:
    """Do something with an engine whose spans stay in memory."""
    memory = memory or Memory()

    async def main() -> None:
        engine = Engine(make_app(), data=store or MemoryStore(), clock=LoopClock())
        memory.traces.now_us = engine._clock.now_us
        engine.trace(memory.traces)
        async with engine:
            await steps(engine)

    run_virtually(main)
    return memory


def json(given: Any) -> str | None:
    return None if given is None else str(given)


def run(name: str, given: Any = None, **more: Any) -> Callable[[Engine], Awaitable[None]]:
    async def steps(engine: Engine) -> None:
        instance_id = await engine.facade.start(
            name, instance_id="i", input=None if given is None else str(given), **more
        )
        await engine.facade.wait(instance_id)

    return steps


def test_a_start_a_generation_and_an_activity_are_spans_below_one_another_in_the_callers_trace() -> None:
    memory = traced(run("order", 3, trace=(CALLER, "", "a=b")))
    assert tree(memory.spans) == ["create_orchestration||order", "  orchestration||order", "    activity||pay"]
    assert trace_ids(memory.spans) == {0x0AF7651916CD43DD8448EB211C80319C}
    create = memory.one("create_orchestration||order")
    assert create.parent is not None
    assert create.parent.span_id == 0xB7AD6B7169203331
    assert create.context.trace_state.to_header() == "a=b"


def test_the_attributes_are_daprs() -> None:
    memory = traced(run("order", 3))
    create, generation, activity = (
        memory.one(name) for name in ("create_orchestration||order", "orchestration||order", "activity||pay")
    )
    common = {"durabletask.task.instance_id": "i"}
    workflow = {"durabletask.type": "orchestration", "durabletask.task.name": "order", **common}
    assert dict(create.attributes or {}) == workflow
    assert dict(generation.attributes or {}) == workflow | {"durabletask.runtime_status": "COMPLETED"}
    assert dict(activity.attributes or {}) == common | {
        "durabletask.type": "activity",
        "durabletask.task.name": "pay",
        "durabletask.task.task_id": 1,
        "perdure.attempt": 1,
    }
    assert [span.kind for span in (create, generation, activity)] == [
        otel.SpanKind.CLIENT, otel.SpanKind.SERVER, otel.SpanKind.SERVER,
    ]  # fmt: skip


def test_what_failed_says_why() -> None:
    memory = traced(run("order", -1))
    for name in ("orchestration||order", "activity||pay"):
        status = memory.one(name).status
        assert (status.status_code, "insufficient funds" in (status.description or "")) == (StatusCode.ERROR, True)
    assert memory.one("orchestration||order").attributes["durabletask.runtime_status"] == "FAILED"  # type: ignore[index]


def test_each_attempt_of_an_activity_is_a_span_and_so_is_each_pause_between() -> None:
    memory = traced(run("retries"))
    tries = memory.named("activity||flaky")
    assert [span.attributes["perdure.attempt"] for span in tries if span.attributes] == [1, 2, 3]
    assert len({span.context.span_id for span in tries}) == 3
    assert [span.status.status_code for span in tries] == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET]
    assert len(memory.named("timer")) == 2
    assert len(trace_ids(memory.spans)) == 1


async def approve(engine: Engine) -> None:
    facade = engine.facade
    await facade.start("waits", instance_id="i")
    await facade.suspend("i", reason="lunch")
    await facade.resume("i", reason="back")
    await anyio.sleep(60)
    await facade.raise_event("i", "approval", '"yes"')
    await facade.wait("i")


def test_timers_and_events_are_spans_and_what_happened_stands_on_the_generation() -> None:
    memory = traced(approve)
    assert tree(memory.spans) == [
        "create_orchestration||waits",
        "  orchestration||waits",
        "    timer",
        "    orchestration_event||approval",
    ]
    timer = memory.one("timer")
    assert (timer.end_time - timer.start_time) / 1e9 == pytest.approx(3600, abs=1)  # type: ignore[operator]
    events = [(event.name, dict(event.attributes or {})) for event in memory.one("orchestration||waits").events]
    assert events == [
        ("Execution suspended", {"reason": "lunch"}),
        ("Execution resumed", {"reason": "back"}),
        ("Received external event", {"name": "approval", "size": 5}),
    ]


def test_a_child_is_below_its_parent() -> None:
    memory = traced(run("parent"))
    assert tree(memory.spans) == [
        "create_orchestration||parent",
        "  orchestration||parent",
        "    orchestration||order",
        "      activity||pay",
    ]


def test_generations_are_in_one_trace() -> None:
    memory = traced(run("counts_down", 2))
    assert len(trace_ids(memory.spans)) == 1
    assert (
        tree(memory.spans)
        == ["create_orchestration||counts_down"]
        + [
            "  orchestration||counts_down",
            "    activity||pay",
        ]
        * 3
    )
    statuses = [
        (span.attributes or {})["durabletask.runtime_status"] for span in memory.named("orchestration||counts_down")
    ]
    assert statuses == ["CONTINUED_AS_NEW", "CONTINUED_AS_NEW", "COMPLETED"]


def test_as_in_dapr_each_generation_can_have_a_trace_of_its_own_which_is_linked_to_the_one_before() -> None:
    memory = traced(run("counts_down", 1), Memory(SpanChoice(own_generations=True)))
    first, second = memory.named("orchestration||counts_down")
    assert first.context.trace_id != second.context.trace_id
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert second.parent is None
    paid = [span.context.trace_id for span in memory.named("activity||pay")]
    assert paid == [first.context.trace_id, second.context.trace_id]
    assert memory.one("create_orchestration||counts_down").context.trace_id == first.context.trace_id


async def order_and_rerun(engine: Engine) -> None:
    await run("order", 3)(engine)
    await engine.facade.rerun(Rerun("i", 1, new_id="again"))
    await engine.facade.wait("again")


def test_a_rerun_is_in_the_trace_of_its_source_with_spans_of_its_own() -> None:
    memory = traced(order_and_rerun)
    assert len(trace_ids(memory.spans)) == 1
    assert tree(memory.spans) == ["create_orchestration||order"] + ["  orchestration||order", "    activity||pay"] * 2


def test_an_activity_is_told_its_own_span_in_its_context_and_as_the_current_span() -> None:
    results: list[Any] = []

    async def steps(engine: Engine) -> None:
        results.extend(await engine.client.run("shows"))

    memory = traced(steps)
    for name, (traceparent, current) in zip(("context", "context_of_thread"), results, strict=True):
        span_id = otel.format_span_id(memory.one(f"activity||{name}").context.span_id)
        assert (traceparent.split("-")[2], current) == (span_id, span_id)


def test_without_spans_an_activity_is_told_the_callers_trace() -> None:
    results: list[Any] = []

    async def main() -> None:
        async with Engine(make_app(), data=MemoryStore(), clock=LoopClock()) as engine:
            await engine.facade.start("shows", instance_id="i", trace=(CALLER, "", None))
            results.append((await engine.facade.wait("i")).output)

    run_virtually(main)
    assert CALLER in results[0]


def test_a_start_in_a_span_of_the_program_is_below_it() -> None:
    provider = TracerProvider(shutdown_on_exit=False)

    async def steps(engine: Engine) -> None:
        with provider.get_tracer("test").start_as_current_span("checkout") as span:
            ids.append(span.get_span_context().span_id)
            await run("order", 3)(engine)

    ids: list[int] = []
    create = traced(steps).one("create_orchestration||order")
    assert create.parent is not None
    assert create.parent.span_id == ids[0]


@pytest.mark.parametrize("trace", [None, (CALLER[:-1] + "0", "", None)], ids=["by the sampler", "by the caller"])
def test_what_is_not_sampled_makes_no_spans_and_passes_the_callers_trace_on(trace: Any) -> None:
    sampler = ParentBased(ALWAYS_OFF) if trace is None else None
    results: list[Any] = []

    async def steps(engine: Engine) -> None:
        await run("shows", trace=trace)(engine)
        results.append(await engine.facade.inspect("i"))

    assert traced(steps, Memory(sampler=sampler)).spans == ()
    assert (CALLER[:-1] + "0" in results[0].output) is (trace is not None)


def test_a_start_that_is_refused_is_a_span_that_failed() -> None:
    async def steps(engine: Engine) -> None:
        await engine.facade.start("waits", instance_id="i")
        with pytest.raises(Exception, match="already exists"):
            await engine.facade.start("waits", instance_id="i")

    created = traced(steps).named("create_orchestration||waits")
    assert [span.status.status_code for span in created] == [StatusCode.UNSET, StatusCode.ERROR]


def test_a_turn_is_a_span_on_request() -> None:
    assert "turn||order" not in traced(run("order", 3)).names
    memory = traced(run("order", 3), Memory(SpanChoice(turns=True)))
    assert [
        ((span.attributes or {})["perdure.turn.fed"], (span.attributes or {})["perdure.turn.asked"])
        for span in memory.named("turn||order")
    ] == [(1, 1), (1, 1)]


def test_a_turn_whose_commit_failed_makes_its_spans_when_it_is_durable_and_once() -> None:
    store = FaultyStore(MemoryStore())
    store.fail_commit(2)  # the activity's result, and with it the end
    memory = traced(run("order", 3), store=store)
    assert memory.names == ["activity||pay", "create_orchestration||order", "orchestration||order"]


def test_replays_and_restarts_make_no_span_twice_and_keep_the_trace() -> None:
    # Given an instance whose first hour is seen by one engine, with an eviction after each turn,
    store = MemoryStore()
    memory = Memory()

    async def begin(engine: Engine) -> None:
        await engine.facade.start("waits", instance_id="i", trace=(CALLER, "", None))
        await engine.facade.suspend("i", reason="lunch")
        await engine.facade.resume("i")

    traced(begin, memory, store=store)
    assert memory.names == ["create_orchestration||waits"]

    # when another engine runs it to its end,
    async def end(engine: Engine) -> None:
        await anyio.sleep(60)
        await engine.facade.raise_event("i", "approval", '"yes"')
        await engine.facade.wait("i")

    traced(end, memory, store=store)
    # then all spans are there once, in one trace, and the generation remembers what the first engine saw.
    assert tree(memory.spans) == [
        "create_orchestration||waits",
        "  orchestration||waits",
        "    timer",
        "    orchestration_event||approval",
    ]
    moments = [event.name for event in memory.one("orchestration||waits").events]
    assert moments == ["Execution suspended", "Execution resumed", "Received external event"]


def test_an_embedded_engine_takes_the_provider_of_its_program() -> None:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def main() -> None:
        engine = Engine(make_app(), data=MemoryStore(), clock=LoopClock())
        engine.trace(traces_of(provider))
        async with engine:
            await run("order", 3)(engine)

    run_virtually(main)
    assert len(exporter.get_finished_spans()) == 3
    with pytest.raises(TypeError, match="a TracerProvider of the SDK was expected"):
        traces_of(otel.get_tracer_provider())  # the API's own exports nothing
