"""Work goes out over streams and answers come back over any connection; the dispatcher handles broken streams."""

import time
from typing import Any

import anyio
import grpc
import pytest

from perdure.actors.errors import HostStopping
from perdure.actors.store.errors import StoreFailed
from perdure.rpc.wire.history import HistoryWriter
from perdure.rpc.wire.past_events import PastEvents
from perdure.runtime.history.event import ExecutionStarted, TaskCompleted, TaskScheduled
from perdure.runtime.history.timed_event import TimedEvent, TurnStarted
from perdure.runtime.workers.items import ActivityItem, WorkflowItem, WorkUnknown

from ...support.doors.fake_management import FakeManagement
from ...support.doors.rpc_host import Client, Host, run, running

STARTED = TimedEvent(-1, 7, ExecutionStarted("Order", "1", "e1"))
TURN = WorkflowItem("I1", "e1", past=[], new=[TimedEvent(-1, 7, TurnStarted()), STARTED], token="k1")  # noqa: S106
ACTIVITY = ActivityItem("I1", 3, "t-3", "reserve", "1", token="k2")  # noqa: S106


def make_host(**options: Any) -> Host:
    return Host(FakeManagement(), **options)


def test_hello_is_answered() -> None:
    async def test(client: Client) -> None:
        assert (await client.call("Hello")).ListFields() == []

    run(make_host(), test)


def test_work_goes_to_a_worker_and_its_answers_come_back() -> None:
    host = make_host()

    async def test(client: Client) -> None:
        # Given a worker,
        stream = client.call("GetWorkItems", capabilities=[3, 2])
        # when there is a turn and an activity,
        host.dispatcher.give(TURN, ACTIVITY)
        turn, activity = await stream.read(), await stream.read()
        # then it gets both,
        assert (turn.completionToken, activity.completionToken) == ("k1", "k2")
        assert turn.workflowRequest.executionId.value == "e1"
        assert [event.WhichOneof("eventType") for event in turn.workflowRequest.newEvents] == [
            "workflowStarted",
            "executionStarted",
        ]
        assert activity.activityRequest.taskExecutionId == "t-3"
        # and both kinds of answer reach the dispatcher, by the older name as well.
        scheduled = {"id": 1, "scheduleTask": {"name": "reserve"}}
        for name in ("CompleteWorkflowTask", "CompleteOrchestratorTask"):
            await client.call(name, instanceId="I1", actions=[scheduled], completionToken="k1")
        await client.call("CompleteActivityTask", instanceId="I1", taskId=3, completionToken="k2")
        assert [answer.token for answer in host.dispatcher.workflow_answers] == ["k1", "k1"]
        assert host.dispatcher.workflow_answers[0].commands == [TaskScheduled(1, "reserve", None, "")]
        assert [answer.token for answer in host.dispatcher.activity_answers] == ["k2"]

    run(host, test)


@pytest.mark.parametrize(
    ("said", "stateful"),
    [
        ({"capabilities": [3, 2]}, True),
        ({"capabilitiesOld": [2]}, True),
        ({"capabilities": [3]}, False),
        ({"maxConcurrentOrchestrationWorkItems": 200}, False),
        ({}, False),
    ],
)
def test_a_worker_says_what_it_can_under_either_number(said: dict[str, Any], stateful: bool) -> None:
    host = make_host()

    async def test(client: Client) -> None:
        stream = client.call("GetWorkItems", **said)
        await host.dispatcher.until(lambda dispatcher: dispatcher.connected == 1)
        (worker,) = host.dispatcher.workers
        assert worker.stateful is stateful
        assert worker.agent.startswith("grpc-python-asyncio/")
        assert "127.0.0.1" in worker.peer
        stream.cancel()

    run(host, test)


def test_a_worker_that_goes_away_is_let_go() -> None:
    host = make_host()

    async def test(client: Client) -> None:
        stream = client.call("GetWorkItems")
        await host.dispatcher.until(lambda dispatcher: dispatcher.connected == 1)
        stream.cancel()
        await host.dispatcher.until(lambda dispatcher: dispatcher.connected == 0)

    run(host, test)


def test_a_worker_that_takes_nothing_is_let_go() -> None:
    host = make_host(send_timeout_s=0.2)
    large = ACTIVITY._replace(input="x" * 1_000_000)

    async def test(client: Client) -> None:
        # Given a worker that does not read,
        stream = client.call("GetWorkItems")
        # when there is more work than the buffers on the way hold,
        host.dispatcher.give(*[large] * 50)
        # then its stream is ended, and not all of it was taken.
        await host.dispatcher.until(lambda dispatcher: dispatcher.connected == 1)
        await host.dispatcher.until(lambda dispatcher: dispatcher.connected == 0)
        assert len(host.dispatcher.given) < 50
        # If the worker reads again, it gets the error.
        with pytest.raises(grpc.aio.AioRpcError, match="has taken nothing") as caught:
            async for _ in stream:
                pass
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    run(host, test)


def test_a_host_that_stops_ends_its_streams_so_that_workers_come_back() -> None:
    host = make_host()

    async def main() -> None:
        async with running(host) as client:
            stream = client.call("GetWorkItems")
            await host.dispatcher.until(lambda dispatcher: dispatcher.connected == 1)
            host.dispatcher.stop()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stream.read()
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    anyio.run(main)


def test_a_stream_that_is_not_ended_in_time_does_not_end_as_cancelled_either() -> None:
    host = make_host()

    async def main() -> None:
        async with running(host) as client:
            stream = client.call("GetWorkItems")
            await host.dispatcher.until(lambda dispatcher: dispatcher.connected == 1)
            await host.server.stop(grace_s=0.1)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stream.read()
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    anyio.run(main)


@pytest.mark.parametrize(
    ("failure", "code", "text"),
    [
        (WorkUnknown("I1"), "UNKNOWN", "unknown instance ID: I1"),
        (WorkUnknown("I1", 3), "UNKNOWN", "unknown instance ID/task ID combo: I1/3"),
        (HostStopping(), "UNAVAILABLE", "the host is shutting down; nothing of this request was done"),
        (StoreFailed("disk"), "UNAVAILABLE", "disk"),
        (ValueError("secret"), "INTERNAL", "an internal error of Perdure; its log has the details"),
    ],
)
def test_an_answer_that_is_not_taken_ends_as_in_dapr(failure: Exception, code: str, text: str) -> None:
    host = make_host()
    host.dispatcher.failure = failure

    async def test(client: Client) -> None:
        assert await client.failure("CompleteOrchestratorTask", instanceId="I1") == (code, text)
        assert await client.failure("CompleteActivityTask", instanceId="I1", taskId=3) == (code, text)

    run(host, test)


def step(number: int) -> list[TimedEvent]:
    """The events that a turn adds to a history, made again at each call."""
    return [
        TimedEvent(-1, number, TurnStarted()),
        TimedEvent(-1, number, TaskCompleted(number - 1, "1")),
        TimedEvent(number, number, TaskScheduled(number, "reserve", "1", "t")),
    ]


class CountedPasts(PastEvents):
    """The histories that a service keeps, and the number of requests for them."""

    asked = 0

    def serialized(self, item: WorkflowItem, writer: HistoryWriter) -> bytes | bytearray:
        self.asked += 1
        return super().serialized(item, writer)


@pytest.mark.parametrize("stateful", [True, False])
def test_pasts_are_kept_for_workers_that_do_not_until_the_instance_ends(stateful: bool) -> None:
    host = make_host()
    host.writer.past_events = kept = CountedPasts()

    async def test(client: Client) -> None:
        # Given a worker that keeps histories, or does not,
        stream = client.call("GetWorkItems", capabilities=[2] if stateful else [])
        # when it gets a growing history,
        past = step(1)
        host.dispatcher.give(TURN._replace(past=past))
        assert len((await stream.read()).workflowRequest.pastEvents) == 3
        host.dispatcher.give(TURN._replace(past=[*past, *step(2)]))
        assert len((await stream.read()).workflowRequest.pastEvents) == 6
        # then the written events are kept for the worker that keeps no histories,
        assert (kept.asked, len(kept) > 0) == ((0, False) if stateful else (2, True))
        # until the instance ends.
        await client.call("CompleteOrchestratorTask", instanceId="I1", actions=[{"id": 3, "createTimer": {}}])
        assert (len(kept) > 0) is not stateful
        await client.call(
            "CompleteOrchestratorTask", instanceId="I1", actions=[{"id": 4, "completeWorkflow": {"workflowStatus": 1}}]
        )
        assert len(kept) == 0

    run(host, test)


def test_a_large_turn_goes_out_and_its_answer_comes_in() -> None:
    host = make_host()
    large = "x" * 20_000_000

    async def main() -> None:
        await host.start()
        options = [("grpc.max_receive_message_length", -1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{host.server.port}", options=options) as channel:
            client = Client(channel)
            stream = client.call("GetWorkItems")
            host.dispatcher.give(ACTIVITY._replace(input=large))
            assert len((await stream.read()).activityRequest.input.value) == len(large)
            await client.call("CompleteActivityTask", instanceId="I1", taskId=3, result={"value": large})
            stream.cancel()
        host.dispatcher.stop()
        await host.server.stop(grace_s=1.0)

    anyio.run(main)
    assert len(host.dispatcher.activity_answers[0].result or "") == len(large)


def test_a_stream_is_quick_enough() -> None:
    """Not a measure, only an alarm: a thousand items take well under the minute that a mistake would take."""
    host = make_host()
    host.dispatcher.give(*[ACTIVITY] * 1000)
    began = time.monotonic()

    async def test(client: Client) -> None:
        stream = client.call("GetWorkItems")
        for _ in range(1000):
            await stream.read()
        stream.cancel()

    run(host, test)
    assert time.monotonic() - began < 10


def test_an_answer_that_no_instance_can_take_is_refused_and_the_stream_goes_on() -> None:
    host = make_host()

    async def test(client: Client) -> None:
        stream = client.call("GetWorkItems", capabilities=[])
        host.dispatcher.give(TURN)
        await stream.read()
        code, text = await client.failure(
            "CompleteOrchestratorTask", instanceId="I1", actions=[{"id": 4, "completeWorkflow": {"workflowStatus": 7}}]
        )
        assert code == "INVALID_ARGUMENT"
        assert "status 7" in text
        host.dispatcher.give(ACTIVITY)
        assert (await stream.read()).completionToken == "k2"

    run(host, test)
