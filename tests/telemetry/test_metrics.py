"""Metrics: each request is counted once, by Dapr's names, and nothing else is claimed."""

import inspect
from collections.abc import Awaitable, Callable

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from perdure import App, Engine, Settings, Status, WorkflowContext
from perdure.runtime.errors import InstanceNotFound
from perdure.runtime.observing.observer import ActivityWatch, Observer
from perdure.runtime.operations.facade import Facade
from perdure.runtime.operations.rerun import EventNotFound, Rerun
from perdure.runtime.settings import Opening, OtherApp
from perdure.telemetry.metrics import OPERATIONS, AppGauges, ExecutionMetrics, Gauges, Metrics

COUNT = "dapr_runtime_workflow_operation_count"
LATENCY = "dapr_runtime_workflow_operation_latency"
ACTIVITY = "dapr_runtime_workflow_activity"
ORDER = ("operation", "workflow_name", "activity_name", "status", "type", "le")


def make_metrics() -> Metrics:
    gauges = Gauges(
        turns=lambda: 7,
        commits=lambda: 3,
        apps=lambda: {"orders": AppGauges({"workflow": 2}, 1), "bank": AppGauges({"workflow": 5}, 3)},
    )
    return Metrics(app_id="orders", gauges=gauges)


def scrape(metrics: Metrics) -> str:
    async def get() -> str:
        transport = httpx.ASGITransport(metrics.app())
        async with httpx.AsyncClient(transport=transport, base_url="http://perdure") as client:
            response = await client.get("/metrics")
            assert response.status_code == 200
            return response.text

    return anyio.run(get)


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Return the values of a metric, by operation and status or by its other labels."""
    found = {}
    for family in text_string_to_metric_families(scrape(metrics)):
        for sample in family.samples:
            if sample.name == name:
                labels = {key: value for key, value in sample.labels.items() if key not in ("app_id", "namespace")}
                found[tuple(labels[key] for key in sorted(labels, key=ORDER.index))] = sample.value
    return found


def make_app() -> App:
    app = App("orders")

    @app.workflow
    async def waits(ctx: WorkflowContext) -> object:
        return await ctx.wait_for_external_event("go")

    return app


def after(settings: Settings, tell: Callable[[Facade], Awaitable[None]], *others: OtherApp) -> Metrics:
    """Send requests to a metered facade of a real engine, and return the counts."""
    metrics = make_metrics()

    async def main() -> None:
        opening = Opening(others=others)
        async with Engine(make_app(), data=":memory:", settings=settings, opening=opening) as engine:
            await tell(engine.facade.watched_by(metrics.of_app("orders")))

    anyio.run(main)
    return metrics


def test_each_request_is_counted_as_the_operation_that_dapr_has_for_it(settings: Settings) -> None:
    async def tell(facade: Facade) -> None:
        await facade.start("waits", instance_id="a")
        await facade.inspect("a")
        await facade.suspend("a")
        await facade.resume("a")
        await facade.raise_event("a", "go")
        await facade.wait("a")  # not an operation of Dapr's; its reads on the way are not counted
        await facade.purge("a")
        await facade.start("waits", instance_id="b")
        await facade.terminate("b")
        await facade.purge_where()

    metrics = after(settings, tell)
    assert samples(metrics, COUNT) == {
        ("create_workflow", "success"): 2,
        ("get_workflow", "success"): 1,
        ("add_event", "success"): 4,
        ("purge_workflow", "success"): 2,
    }


def test_a_refused_request_is_counted_as_failed(settings: Settings) -> None:
    async def tell(facade: Facade) -> None:
        for request in (facade.suspend, facade.terminate, facade.purge):
            with pytest.raises(InstanceNotFound):
                await request("nobody")

    metrics = after(settings, tell)
    assert samples(metrics, COUNT) == {("add_event", "failed"): 2, ("purge_workflow", "failed"): 1}


def test_each_request_has_a_latency_in_milliseconds(settings: Settings) -> None:
    async def tell(facade: Facade) -> None:
        await facade.start("waits", instance_id="a")

    metrics = after(settings, tell)
    assert samples(metrics, f"{LATENCY}_count") == {("create_workflow", "success"): 1}
    (took_ms,) = samples(metrics, f"{LATENCY}_sum").values()
    assert 0 < took_ms < 60_000
    assert ("create_workflow", "success", "2.0") in samples(metrics, f"{LATENCY}_bucket")


def test_every_sample_of_daprs_has_the_app_and_the_namespace(settings: Settings) -> None:
    async def tell(facade: Facade) -> None:
        await facade.inspect("a")

    text = scrape(after(settings, tell))
    assert f'{COUNT}{{app_id="orders",namespace="default",operation="get_workflow",status="success"}} 1.0' in text


def test_a_request_is_counted_for_the_app_whose_instances_it_is_about(settings: Settings) -> None:
    async def tell(facade: Facade) -> None:
        await facade.inspect("a")
        await facade.of_app("bank").start("waits", instance_id="a")
        # Back in the app of the facade, the request is one of its own again.
        await facade.of_app("bank").of_app("orders").inspect("a")

    text = scrape(after(settings, tell, OtherApp("bank", make_app())))
    labels = 'namespace="default",operation="{}",status="success"'
    assert f'{COUNT}{{app_id="orders",{labels.format("get_workflow")}}} 2.0' in text
    assert f'{COUNT}{{app_id="bank",{labels.format("create_workflow")}}} 1.0' in text
    assert f'{LATENCY}_count{{app_id="bank",{labels.format("create_workflow")}}} 1.0' in text


def test_ends_are_counted_for_the_app_in_which_they_were() -> None:
    metrics = make_metrics()
    executions = ExecutionMetrics(metrics)
    executions.of_app("orders").workflow_ended("order", Status.COMPLETED, 0.5)
    executions.of_app("bank").activity_given("pay", 0.1)
    text = scrape(metrics)
    ended, given = "dapr_runtime_workflow_execution_count", f"{ACTIVITY}_operation_count"
    assert f'{ended}{{app_id="orders",namespace="default",status="success",workflow_name="order"}} 1.0' in text
    assert f'{given}{{activity_name="pay",app_id="bank",namespace="default",status="success"}} 1.0' in text


def test_what_the_engine_says_of_itself_is_shown() -> None:
    metrics = make_metrics()
    assert samples(metrics, "perdure_turns_total") == {(): 7}
    assert samples(metrics, "perdure_commits_total") == {(): 3}


def test_workers_and_actors_are_shown_for_the_app_that_they_are_of() -> None:
    text = scrape(make_metrics())
    for app_id, workers, actors in (("orders", 1, 2), ("bank", 3, 5)):
        assert f'perdure_connected_workers{{app_id="{app_id}"}} {workers}.0' in text
        assert f'perdure_active_actors{{app_id="{app_id}",type="workflow"}} {actors}.0' in text


def test_workflows_and_the_apps_own_activities_are_counted_by_name_and_by_how_they_ended() -> None:
    metrics = make_metrics()
    observer: Observer = ExecutionMetrics(metrics).of_app("orders")
    for status in (Status.COMPLETED, Status.TERMINATED, Status.FAILED, Status.FAILED):
        observer.workflow_ended("order", status, 0.5)
    observer.app_activity_ended("pay", failed=True, took_s=0.002)
    assert samples(metrics, "dapr_runtime_workflow_execution_count") == {
        ("order", "success"): 1,
        ("order", "terminated"): 1,
        ("order", "failed"): 2,
    }
    assert samples(metrics, "dapr_runtime_workflow_execution_latency_sum")["order", "failed"] == 1000
    assert samples(metrics, f"{ACTIVITY}_execution_count") == {("pay", "failed"): 1}


def test_what_workers_do_is_counted_by_activity_and_by_how_it_ended() -> None:
    metrics = make_metrics()
    watch: ActivityWatch = ExecutionMetrics(metrics).of_app("orders")
    for took_s in (0.002, 0.004):
        watch.activity_given("reserve", took_s)
        watch.activity_ended("reserve", "success", took_s)
    watch.activity_ended("charge", "failed", 1.5)
    watch.activity_ended("charge", "recoverable", 0.5)
    assert samples(metrics, f"{ACTIVITY}_operation_count") == {("reserve", "success"): 2}
    assert samples(metrics, f"{ACTIVITY}_operation_latency_sum") == {("reserve", "success"): pytest.approx(6)}
    assert samples(metrics, f"{ACTIVITY}_execution_count") == {
        ("reserve", "success"): 2,
        ("charge", "failed"): 1,
        ("charge", "recoverable"): 1,
    }
    assert samples(metrics, f"{ACTIVITY}_execution_latency_sum")["charge", "failed"] == 1500
    text = scrape(metrics)
    name = f"{ACTIVITY}_execution_count"
    assert f'{name}{{activity_name="charge",app_id="orders",namespace="default",status="failed"}} 1.0' in text


def test_two_daemons_in_one_process_count_apart() -> None:
    one, other = make_metrics(), make_metrics()
    with one.of_app("orders").operation("inspect"):
        pass
    assert samples(one, COUNT) == {("get_workflow", "success"): 1}
    assert samples(other, COUNT) == {}


def test_an_operation_that_dapr_does_not_count_is_let_pass(settings: Settings) -> None:
    async def tell(facade: Facade) -> None:
        await facade.start("waits", instance_id="a")
        await facade.list_ids()
        await facade.history("a")
        await facade.raise_event("a", "go")
        await facade.wait("a")
        with pytest.raises(EventNotFound):
            await facade.rerun(Rerun("a", 99))

    metrics = after(settings, tell)
    assert samples(metrics, COUNT) == {("create_workflow", "success"): 1, ("add_event", "success"): 1}


def test_every_operation_of_the_facade_is_counted_or_let_pass_on_purpose() -> None:
    methods = {name for name, method in vars(Facade).items() if inspect.iscoroutinefunction(method)}
    let_pass = {"wait", "list_ids", "history", "rerun", "release", "repair"}
    # `begin`, which `start` calls, and `request_start` count as a start, and `deliver` as a raised event.
    told = {*OPERATIONS, "begin", "request_start", "deliver"} - {"start"}
    assert {name for name in methods if not name.startswith("_")} == told | let_pass
