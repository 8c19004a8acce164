"""A daemon counts the requests to each of its apps and to those of other hosts, where it has a port for metrics."""

from collections.abc import Iterable

import pytest
from prometheus_client import generate_latest

from perdure import App, Engine, Status, WorkflowContext
from perdure.api.sidecar import INTERNAL_TYPES
from perdure.daemon.daemon import operations_of
from perdure.daemon.telemetry.meter import AppMeter, NoMeter
from perdure.daemon.telemetry.metrics_port import PrometheusMeter, gauges_of
from perdure.runtime.errors import InstanceNotFound
from perdure.runtime.history.attribution import By
from perdure.runtime.settings import Opening, OtherApp, Settings
from perdure.runtime.workers.items import Worker
from perdure.runtime.workers.stream import Stream, StreamRoom
from perdure.telemetry.metrics import ExecutionMetrics, Gauges, Metrics

BY = By("ann", "api")
NOTHING = Gauges(turns=lambda: 0, commits=lambda: 0, apps=dict)


def engine_of_two() -> Engine:
    return Engine(data=":memory:", settings=Settings(app_id="shop"), opening=Opening(others=(OtherApp("bank"),)))


async def ask_the_bank(engine: Engine, meter: AppMeter) -> None:
    """Ask the second app by its facade, and by the management API."""
    with pytest.raises(InstanceNotFound):
        await meter.facade(engine.apps["bank"]).suspend("i")
    operations = operations_of(engine, meter, "bank")
    assert operations is not None
    with pytest.raises(InstanceNotFound):
        await operations.steering.terminate("i", by=BY)
    assert operations_of(engine, meter, "moon") is None


def lines(metrics: Metrics) -> Iterable[str]:
    return generate_latest(metrics.registry).decode().splitlines()


@pytest.mark.anyio
async def test_a_request_counts_for_the_app_that_it_is_for_at_each_door() -> None:
    metrics = Metrics(app_id="shop", gauges=NOTHING)
    async with engine_of_two() as engine:
        await ask_the_bank(engine, PrometheusMeter(metrics, ExecutionMetrics(metrics)))
    labels = 'app_id="bank",namespace="default",operation="add_event",status="failed"'
    assert f"dapr_runtime_workflow_operation_count{{{labels}}} 2.0" in lines(metrics)
    assert not [line for line in lines(metrics) if "operation_count{" in line and "shop" in line]


@pytest.mark.anyio
async def test_the_activities_of_workers_count_for_their_app() -> None:
    metrics = Metrics(app_id="shop", gauges=NOTHING)
    meter = PrometheusMeter(metrics, ExecutionMetrics(metrics))
    meter.activities("bank").activity_given("pay", 0.1)
    labels = 'activity_name="pay",app_id="bank",namespace="default",status="success"'
    assert f"dapr_runtime_workflow_activity_operation_count{{{labels}}} 1.0" in lines(metrics)


@pytest.mark.anyio
async def test_workers_and_actors_are_those_of_the_app() -> None:
    bank = App("bank")

    @bank.workflow
    async def waits(ctx: WorkflowContext) -> object:
        return await ctx.wait_for_external_event("go")

    others = (OtherApp("bank", bank),)
    engine = Engine(data=":memory:", settings=Settings(app_id="shop"), opening=Opening(others=others))
    async with engine:
        # Given an app without code or workers, and one with an instance in memory,
        hosted = engine.apps["bank"]
        await hosted.facade.start("waits", instance_id="i", input=None)
        await hosted.facade.wait("i", lambda status: status is Status.RUNNING)
        # then each shows its own values.
        assert gauges_of(engine.apps["shop"], alone=False) == ({}, 0)
        found = gauges_of(hosted, alone=False)
        assert found.connected_workers == 1
        assert {kind.rpartition(".")[2] for kind, count in found.active_actors.items() if count} == {"workflow"}
        assert all(kind.startswith("dapr.internal.default.bank.") for kind in found.active_actors)


@pytest.mark.anyio
async def test_a_worker_at_another_host_serves_the_app_and_counts_for_that_host() -> None:
    async with engine_of_two() as engine:
        # Given an app without code, whose only worker is connected to another host,
        hosted = engine.apps["bank"]
        worker = Worker("peer", "agent", stateful=True)
        elsewhere = Stream(worker, lambda job: None, gate="b", room=StreamRoom(1, 1), now_us=lambda: 0)
        hosted.dispatcher.streams.append(elsewhere)
        # then its actors are counted here, and the worker only where it is connected.
        found = gauges_of(hosted, alone=False)
        assert found.connected_workers == 0
        assert hosted.connected_workers() == 1
        assert found.active_actors == {f"dapr.internal.default.bank.{kind}": 0 for kind in INTERNAL_TYPES}


@pytest.mark.anyio
async def test_without_a_port_for_metrics_nothing_is_counted_and_all_is_answered() -> None:
    meter = NoMeter()
    async with engine_of_two() as engine:
        await ask_the_bank(engine, meter)
        assert meter.facade(engine.apps["bank"]) is engine.apps["bank"].facade
    assert meter.activities("bank") is None
