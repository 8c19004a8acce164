"""The hub that stores nothing: enough of an engine for a chain and a fan-out."""

import anyio
import grpc
import pytest

from perdure.benchmarks.drivers.sdk.stub_hub import NotInTheStub, StubHub, server_of
from perdure.runtime.history.event import ExecutionCompleted, TaskCompleted, TaskScheduled, TimerCreated
from perdure.runtime.history.status import Status
from perdure.runtime.instance.message import WorkflowAnswer
from perdure.runtime.workers.items import ActivityAnswer, ActivityItem, Worker, WorkflowItem

from ....support.doors.rpc_host import Client

pytestmark = pytest.mark.anyio


def worker(*, stateful: bool) -> Worker:
    return Worker("peer", "agent", stateful)


def scheduled(task_id: int) -> TaskScheduled:
    return TaskScheduled(task_id, "add_one", "0", f"execution-{task_id}")


@pytest.mark.parametrize("stateful", [True, False])
async def test_a_chain_comes_to_its_end(stateful: bool) -> None:
    hub = StubHub()
    with anyio.fail_after(5):
        async with hub.connect(worker(stateful=stateful)) as items:
            # When an instance is started,
            instance_id = await hub.start("chain", input="1")
            turn = await anext(items)
            assert isinstance(turn, WorkflowItem)
            assert (turn.instance_id, list(turn.past), turn.cached_count) == (instance_id, [], None)
            # asks for an activity,
            await hub.complete_workflow(WorkflowAnswer(instance_id, turn.token, [scheduled(0)]))
            assert (await hub.wait(instance_id, lambda status: status is not Status.PENDING)).output is None
            task = await anext(items)
            assert isinstance(task, ActivityItem)
            assert (task.name, task.input, task.task_id) == ("add_one", "0", 0)
            # and has its result,
            await hub.complete_activity(ActivityAnswer(instance_id, 0, task.token, "1", None))
            turn = await anext(items)
            # then the next turn is fed the result; a worker that keeps histories had nothing of the past yet.
            assert isinstance(turn, WorkflowItem)
            assert [type(timed.event).__name__ for timed in turn.past] == [
                "TurnStarted",
                "ExecutionStarted",
                "TaskScheduled",
            ]
            assert turn.new[1].event == TaskCompleted(0, "1")
            await hub.complete_workflow(
                WorkflowAnswer(instance_id, turn.token, [ExecutionCompleted(1, Status.COMPLETED.value, "1")])
            )
            state = await hub.wait(instance_id)
            assert (state.status, state.output) == (Status.COMPLETED, "1")


async def test_a_worker_that_keeps_histories_is_sent_the_rest() -> None:
    hub = StubHub()
    with anyio.fail_after(5):
        async with hub.connect(worker(stateful=True)) as items:
            instance_id = await hub.start("chain", input="3")
            cached = []
            for task_id in range(3):
                turn = await anext(items)
                assert isinstance(turn, WorkflowItem)
                cached.append((turn.cached_count, len(turn.past)))
                await hub.complete_workflow(WorkflowAnswer(instance_id, turn.token, [scheduled(task_id)]))
                task = await anext(items)
                await hub.complete_activity(ActivityAnswer(instance_id, task_id, task.token, "1", None))
            assert cached == [(None, 0), (None, 3), (3, 3)]


async def test_results_that_come_during_a_turn_are_fed_together_in_the_next() -> None:
    hub = StubHub()
    with anyio.fail_after(5):
        async with hub.connect(worker(stateful=False)) as items:
            # Given a fan-out of three,
            instance_id = await hub.start("fan_out", input="3")
            turn = await anext(items)
            await hub.complete_workflow(WorkflowAnswer(instance_id, turn.token, [scheduled(n) for n in range(3)]))
            for _ in range(3):
                await anext(items)
            # when one result leads to a turn, and two come during it,
            for task_id in range(3):
                await hub.complete_activity(ActivityAnswer(instance_id, task_id, "", "1", None))
            first = await anext(items)
            await hub.complete_workflow(WorkflowAnswer(instance_id, first.token, []))
            second = await anext(items)
            # then these share the next.
            assert isinstance(first, WorkflowItem)
            assert isinstance(second, WorkflowItem)
            assert (len(first.new), len(second.new)) == (2, 3)


async def test_what_no_workload_needs_is_refused() -> None:
    hub = StubHub()
    async with hub.connect(worker(stateful=False)):
        instance_id = await hub.start("sleeper", input=None)
        with pytest.raises(NotInTheStub, match="TimerCreated"):
            await hub.complete_workflow(WorkflowAnswer(instance_id, "", [TimerCreated(0, 1)]))


async def test_the_daemons_services_find_in_it_what_they_ask_for() -> None:
    hub = StubHub()
    server = server_of(hub)
    await server.start()
    try:
        with anyio.fail_after(20):
            async with (
                grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
                hub.connect(worker(stateful=True)) as items,
                anyio.create_task_group() as tasks,
            ):
                client = Client(channel)

                async def work() -> None:
                    turn = await anext(items)
                    end = ExecutionCompleted(0, Status.COMPLETED.value, "1")
                    await hub.complete_workflow(WorkflowAnswer(turn.instance_id, turn.token, [end]))

                # When an instance is started over gRPC, and a worker ends it,
                tasks.start_soon(work)
                started = await client.call("StartInstance", name="chain", input={"value": "0"})
                # then a wait shows its end.
                ended = await client.call(
                    "WaitForInstanceCompletion", instanceId=started.instanceId, getInputsAndOutputs=True
                )
                assert ended.workflowState.output.value == "1"
    finally:
        await server.stop(grace_s=0)
