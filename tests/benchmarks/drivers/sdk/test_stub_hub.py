"""The hub that stores nothing: enough of an engine for a chain and a fan-out."""

from collections.abc import AsyncIterator

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


async def turn_of(items: AsyncIterator[WorkflowItem | ActivityItem]) -> WorkflowItem:
    item = await anext(items)
    assert isinstance(item, WorkflowItem)
    return item


@pytest.mark.parametrize(
    ("stateful", "sent"),
    # A worker that keeps histories gets each event once.
    [(True, [(None, 0), (None, 3), (3, 3)]), (False, [(None, 0), (None, 3), (None, 6)])],
)
async def test_a_chain_comes_to_its_end(stateful: bool, sent: list[tuple[int | None, int]]) -> None:
    hub = StubHub()
    with anyio.fail_after(5):
        async with hub.connect(worker(stateful=stateful)) as items:
            instance_id = await hub.start("chain", input="3")
            found = []
            # When each turn asks for an activity, and has its result,
            for task_id in range(3):
                turn = await turn_of(items)
                found.append((turn.cached_count, len(turn.past)))
                await hub.complete_workflow(WorkflowAnswer(instance_id, turn.token, [scheduled(task_id)]))
                assert (await hub.wait(instance_id, lambda status: status is Status.RUNNING)).output is None
                task = await anext(items)
                assert isinstance(task, ActivityItem)
                assert (task.name, task.input, task.task_id) == ("add_one", "0", task_id)
                await hub.complete_activity(ActivityAnswer(instance_id, task_id, task.token, "1", None))
            # then the next one is fed that, and the last one ends the instance.
            turn = await turn_of(items)
            assert turn.new[1].event == TaskCompleted(2, "1")
            end = ExecutionCompleted(3, Status.COMPLETED.value, "1")
            await hub.complete_workflow(WorkflowAnswer(instance_id, turn.token, [end]))
            state = await hub.wait(instance_id)
    assert (state.status, state.output, found) == (Status.COMPLETED, "1", sent)


async def test_results_that_come_during_a_turn_are_fed_together_in_the_next() -> None:
    hub = StubHub()
    with anyio.fail_after(5):
        async with hub.connect(worker(stateful=False)) as items:
            # Given a fan-out of three,
            instance_id = await hub.start("fan_out", input="3")
            turn = await turn_of(items)
            await hub.complete_workflow(WorkflowAnswer(instance_id, turn.token, [scheduled(n) for n in range(3)]))
            for _ in range(3):
                await anext(items)
            # when one result leads to a turn, and two come during it,
            for task_id in range(3):
                await hub.complete_activity(ActivityAnswer(instance_id, task_id, "", "1", None))
            first = await turn_of(items)
            await hub.complete_workflow(WorkflowAnswer(instance_id, first.token, []))
            # then these share the next.
            assert (len(first.new), len((await turn_of(items)).new)) == (2, 3)


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
