"""A sidecar's spans reach the collectors of its Configuration, and a worker is told the span of each activity."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import grpc
import httpx

from ..support.cli.daprd_command import environment
from ..support.doors.collectors import otlp_over_grpc, otlp_over_http, zipkin
from ..support.doors.rpc_host import Client
from ..support.processes.daemon import Daemon

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

APP = """
import perdure

app = perdure.App("shop")

@app.activity
def pay(ctx: perdure.ActivityContext) -> str | None:
    return ctx.traceparent

@app.workflow
async def order(ctx: perdure.WorkflowContext) -> str:
    return await ctx.call_activity(pay)
"""


@contextmanager
def sidecar(folder: Path, tracing: str) -> Iterator[str]:
    """Run `perdure daprd` with a Configuration, and give the address of its gRPC."""
    (folder / "config.yaml").write_text(f"kind: Configuration\nspec: {{tracing: {tracing}}}\n")
    command = [
        sys.executable, "-m", "perdure", "daprd", "--app-id", "shop", "--enable-metrics=false",
        "--config", "config.yaml", "--dapr-http-port", "0", "--dapr-grpc-port", "0",
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True, env=environment()
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert "grpc=" in line, (folder / "log").read_text()[-2000:]
        yield line.split("grpc=")[1].strip()
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def work(address: str, **start: Any) -> str:
    """Start an instance that asks for one activity, be its worker, and return the trace that the activity came with."""
    async with grpc.aio.insecure_channel(address) as channel:
        client = Client(channel)
        stream = client.call("GetWorkItems")

        async def begin() -> None:
            await client.call("StartInstance", instanceId="i", name="order", **start)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(begin)
            item = await stream.read()
            await client.call(
                "CompleteWorkflowTask",
                instanceId="i",
                completionToken=item.completionToken,
                actions=[{"id": 0, "scheduleTask": {"name": "pay"}}],
            )
            activity = await stream.read()
            told: str = activity.activityRequest.parentTraceContext.traceParent
            task_id = activity.activityRequest.taskId
            await client.call(
                "CompleteActivityTask", instanceId="i", taskId=task_id, completionToken=activity.completionToken
            )
            item = await stream.read()
            await client.call(
                "CompleteWorkflowTask",
                instanceId="i",
                completionToken=item.completionToken,
                actions=[{"id": 1, "completeWorkflow": {"workflowStatus": 1}}],
            )
        await client.call("WaitForInstanceCompletion", instanceId="i")
        stream.cancel()
        return told


def test_the_spans_of_a_worker_s_instance_reach_both_collectors_below_one_another(tmp_path: Path) -> None:
    with zipkin() as one, otlp_over_grpc() as other:
        tracing = (
            f"{{samplingRate: '1', zipkin: {{endpointAddress: 'http://127.0.0.1:{one.port}/api/v2/spans'}}, "
            f"otel: {{endpointAddress: '127.0.0.1:{other.port}', protocol: grpc, isSecure: false}}}}"
        )
        with sidecar(tmp_path, tracing) as address:
            told = anyio.run(work, address)
        # The remaining spans have been sent at the end.
        for collector in (one, other):
            names = ["/TaskHubSidecarService/StartInstance", "create_orchestration||order", "orchestration||order"]
            call, create, generation, activity = (collector.named(name)[0] for name in (*names, "activity||pay"))
            assert sorted(span.name for span in collector.spans) == sorted([*names, "activity||pay"])
            assert len({span.trace_id for span in collector.spans}) == 1
            assert [create.parent_id, generation.parent_id, activity.parent_id] == [
                call.span_id, create.span_id, generation.span_id,
            ]  # fmt: skip
            assert told == f"00-{activity.trace_id}-{activity.span_id}-01"
            assert activity.service == "shop"


def test_the_trace_in_a_request_comes_before_that_of_its_call(tmp_path: Path) -> None:
    with zipkin() as collector:
        tracing = (
            f"{{samplingRate: '0', zipkin: {{endpointAddress: 'http://127.0.0.1:{collector.port}/api/v2/spans'}}}}"
        )
        with sidecar(tmp_path, tracing) as address:
            told = anyio.run(lambda: work(address, parentTraceContext={"traceParent": CALLER}))
        assert sorted(span.name for span in collector.spans) == [
            "activity||pay", "create_orchestration||order", "orchestration||order",
        ]  # fmt: skip
        assert {span.trace_id for span in collector.spans} == {told.split("-")[1]} == {CALLER.split("-")[1]}
        assert collector.named("create_orchestration||order")[0].parent_id == CALLER.split("-")[2]


def test_the_variables_alone_turn_traces_on_and_a_kill_makes_no_span_twice(tmp_path: Path) -> None:
    app = tmp_path / "shop.py"
    app.write_text(APP)
    with otlp_over_http() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}", "OTEL_BSP_SCHEDULE_DELAY": "50"}
        with Daemon(app, tmp_path / "store.db", env=env) as daemon:
            headers = {"traceparent": CALLER}
            daemon._http.post("order/start", params={"instanceID": "i"}, headers=headers).raise_for_status()
            told = daemon.wait_for("i", "COMPLETED")["properties"]["dapr.workflow.output"]
            [activity] = collector.wait_for("activity||pay")
            collector.wait_for("orchestration||order")
            daemon.kill()
        with Daemon(app, tmp_path / "store.db", env=env) as daemon:
            daemon.start("order", "j")
            daemon.wait_for("j", "COMPLETED")
            assert daemon.stop() == 0
        assert told == f'"00-{CALLER.split("-")[1]}-{activity.span_id}-01"'
        traces = [span.trace_id for span in collector.named("orchestration||order")]
        assert len(traces) == len(set(traces)) == 2
        assert activity.service == "shop"


def test_a_collector_that_is_not_there_stops_nothing(tmp_path: Path) -> None:
    app = tmp_path / "shop.py"
    app.write_text(APP)
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with Daemon(app, tmp_path / "store.db", env=env) as daemon:
        daemon.start("order", "i")
        daemon.wait_for("i", "COMPLETED")
        assert daemon.stop() == 0


BOOKS = """
import perdure

app = perdure.App("books")

@app.workflow
async def audit(ctx: perdure.WorkflowContext, left: int) -> str:
    await ctx.wait_for_external_event("page")
    paid = await ctx.call_activity("pay", app_id="bank")
    closed = await ctx.call_child_workflow("close", app_id="bank")
    if left:
        ctx.continue_as_new(left - 1)
    return f"{paid} {closed}"
"""

BANK = """
import perdure

app = perdure.App("bank")

@app.activity
def pay(ctx: perdure.ActivityContext) -> str | None:
    return ctx.traceparent

@app.workflow
async def close(ctx: perdure.WorkflowContext) -> str:
    await ctx.call_activity(pay)
    return ctx.instance_id
"""


def test_one_trace_holds_what_two_apps_do_over_a_pause_a_restart_a_new_generation_and_a_rerun(tmp_path: Path) -> None:
    # Given a daemon of two apps, whose spans go to a collector,
    for name, text in (("books.py", BOOKS), ("bank.py", BANK)):
        (tmp_path / name).write_text(text)
    with otlp_over_http() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}", "OTEL_BSP_SCHEDULE_DELAY": "50"}
        apps, store = (tmp_path / "books.py", str(tmp_path / "bank.py")), tmp_path / "store.db"
        with Daemon(apps[0], store, apps[1], env=env) as daemon:
            # when an instance is suspended, and its daemon killed,
            daemon._http.post(
                "audit/start", params={"instanceID": "i"}, headers={"traceparent": CALLER}, content="1"
            ).raise_for_status()
            daemon.post("i", "pause")
            daemon.wait_for("i", "SUSPENDED")
            collector.wait_for("create_orchestration||audit")
            daemon.kill()
        with Daemon(apps[0], store, apps[1], env=env) as daemon:
            # resumed by the next one, has a second generation, and is run again,
            daemon.post("i", "resume")
            for generation in (1, 2):
                daemon.post("i", "raiseEvent/page", generation)
                collector.wait_for("orchestration||audit", generation)
            daemon.wait_for("i", "COMPLETED")
            again = httpx.post(f"{daemon.url}/api/v1/instances/i/rerun", json={"id": "j", "from_event": 1})
            assert again.status_code == 201, again.text
            daemon.wait_for("j", "COMPLETED")
            collector.wait_for("orchestration||audit", 3)
            assert daemon.stop() == 0
    # then all spans are in one trace, each with the app that did the work.
    assert {span.trace_id for span in collector.spans} == {CALLER.split("-")[1]}
    assert {(span.name, span.service) for span in collector.spans} == {
        ("create_orchestration||audit", "books"),
        ("orchestration||audit", "books"),
        ("orchestration_event||page", "books"),
        ("activity||pay", "bank"),
        ("orchestration||close", "bank"),
    }
    parents = {span.span_id: span.name for span in collector.spans}
    assert {parents.get(span.parent_id) for span in collector.named("orchestration||close")} == {"orchestration||audit"}
    assert {parents.get(span.parent_id) for span in collector.named("activity||pay")} == {
        "orchestration||audit", "orchestration||close",
    }  # fmt: skip
    # No span is there twice: there are two generations and a rerun.
    assert len({span.span_id for span in collector.spans}) == len(collector.spans)
    assert len(collector.named("orchestration||audit")) == 3
