"""The server takes a free port, tolerates the pings and the idle times of SDKs, and describes itself."""

import socket
import threading
from collections import Counter
from contextlib import closing
from typing import Any

import anyio
import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from perdure.api.ports import CannotListen
from perdure.daemon.config import RUN_FLAGS
from perdure.daemon.hints import explain
from perdure.http.serving.listener import reserve
from perdure.rpc.messages import DAPR, TASK_HUB
from perdure.rpc.serving.server import RpcOptions, channel_options, create_server

from ...support.doors.fake_facade import state
from ...support.doors.fake_management import FakeManagement
from ...support.doors.rpc_host import Client, Host, run


def test_port_0_takes_a_free_port_and_names_it() -> None:
    async def test(client: Client) -> None:
        assert host.server.port > 0
        await client.call("Hello")

    host = Host(FakeManagement())
    run(host, test)


def test_a_port_that_is_in_use_is_not_shared() -> None:
    async def main() -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(CannotListen, match=f":{port} for gRPC") as raised:
                create_server([], RpcOptions(), host="127.0.0.1", port=port)
            assert "--grpc-port" in explain(raised.value, RUN_FLAGS)
        # Nor is it shared with a server of this program, which would get half of the calls.
        first = create_server([], RpcOptions(), host="127.0.0.1", port=0)
        with pytest.raises(CannotListen, match=str(first.port)):
            create_server([], RpcOptions(), host="127.0.0.1", port=first.port)
        await first.stop(grace_s=0)

    anyio.run(main)


def test_a_port_is_shared_only_among_the_processes_of_a_daemon() -> None:
    async def main() -> None:
        # Given a port that is reserved, and two servers that share it,
        with closing(reserve("127.0.0.1", 0)) as reserved:
            host, port = reserved.getsockname()
            servers = [create_server([], RpcOptions(), host=host, port=port, shared=True) for _ in range(2)]
            assert [server.port for server in servers] == [port] * 2
            # when another wants it, then it does not get it.
            with pytest.raises(CannotListen, match=f"{host}:{port}"):
                create_server([], RpcOptions(), host=host, port=port)
        for server in servers:
            await server.stop(grace_s=0)

    anyio.run(main)


def test_both_services_describe_themselves() -> None:
    async def test(client: Client) -> None:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(client.channel)
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=TASK_HUB),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=DAPR),
        ]
        listed, task_hub, dapr = [answer async for answer in stub.ServerReflectionInfo(iter(requests))]
        names = {service.name for service in listed.list_services_response.service}
        assert {TASK_HUB, DAPR} <= names
        assert task_hub.file_descriptor_response.file_descriptor_proto
        assert dapr.file_descriptor_response.file_descriptor_proto

    run(Host(FakeManagement()), test)


def test_a_message_over_the_limit_is_refused() -> None:
    async def test(client: Client) -> None:
        code, text = await client.failure("RaiseEvent", instanceId="a", name="x" * 2000)
        assert code == "RESOURCE_EXHAUSTED"
        assert "1000" in text
        await client.call("RaiseEvent", instanceId="a", name="x" * 500)

    run(Host(FakeManagement(state("a")), receive_bytes_max=1000), test)


def test_clients_may_ping_as_often_as_sdks_do_and_more() -> None:
    async def main() -> None:
        host = Host(FakeManagement())
        await host.start()
        # Given a client that pings at the highest rate that grpc allows it, idle or not,
        pinging = [
            ("grpc.keepalive_time_ms", 100),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{host.server.port}", options=pinging) as channel:
            client = Client(channel)
            # when it waits for work for a while,
            stream = client.call("GetWorkItems")
            await host.dispatcher.until(lambda dispatcher: dispatcher.connected == 1)
            await anyio.sleep(1.0)
            # then it is still connected.
            assert not stream.done()
            assert host.dispatcher.connected == 1
            stream.cancel()
        host.dispatcher.stop()
        await host.server.stop(grace_s=1.0)

    anyio.run(main)


def test_running_calls_finish_and_new_ones_are_not_taken() -> None:
    host = Host(FakeManagement(begins=False))

    async def test(client: Client) -> None:
        # Given a call that waits,
        call = client.call("StartInstance", instanceId="a", name="Order")
        while "a" not in host.facade.instances:
            await anyio.sleep(0.01)
        async with anyio.create_task_group() as tasks:
            # when the server stops and the call can finish in time,
            tasks.start_soon(lambda: host.server.stop(grace_s=10))
            await anyio.sleep(0.05)
            host.facade.put(state("a"))
            # then it has its answer.
            assert (await call).instanceId == "a"
        assert (await client.failure("Hello"))[0] == "UNAVAILABLE"

    run(host, test)


def test_options_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="empty token"):
        RpcOptions(api_tokens=("a", ""))
    with pytest.raises(ValueError, match="at least 1"):
        RpcOptions(receive_bytes_max=0)


@pytest.mark.parametrize(
    ("wanted", "given"), [(1000, 1000), (2**31 - 1, 2**31 - 1), (2**31, 2**31 - 1), (2**70, 2**31 - 1)]
)
def test_a_message_may_be_as_large_as_grpc_can_say(wanted: int, given: int) -> None:
    assert channel_options(RpcOptions(receive_bytes_max=wanted))["grpc.max_receive_message_length"] == given


def test_connections_may_be_idle_for_hours() -> None:
    options = channel_options(RpcOptions())
    assert options["grpc.http2.max_ping_strikes"] == 0
    assert options["grpc.http2.min_recv_ping_interval_without_data_ms"] <= 10_000
    assert not [name for name in options if "max_connection" in name]


@pytest.mark.parametrize("waiting", [2_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_thousands_of_calls_at_once_are_taken_though_the_server_is_busy_when_they_come(waiting: int) -> None:
    # Given a server whose event loop is blocked,
    host = Host(FakeManagement())
    free = threading.Event()

    async def serve() -> None:
        await host.start()
        started.set()
        await anyio.to_thread.run_sync(sent.wait)
        free.wait(60)  # in the loop, on purpose
        await anyio.to_thread.run_sync(done.wait)
        await host.server.stop(grace_s=1.0)

    started, sent, done = threading.Event(), threading.Event(), threading.Event()
    server = threading.Thread(target=lambda: anyio.run(serve))
    server.start()
    assert started.wait(10)
    # when more calls come than the thousand that grpc keeps by default,
    with grpc.insecure_channel(f"127.0.0.1:{host.server.port}") as channel:
        hello = channel.unary_unary(f"/{TASK_HUB}/Hello", request_serializer=bytes, response_deserializer=bytes)
        hello(b"", timeout=10)
        sent.set()
        calls = [hello.future(b"", timeout=60) for _ in range(waiting)]
        free.set()
        # then each is answered.
        codes = Counter(call.code() for call in calls)
    done.set()
    server.join()
    assert codes == {grpc.StatusCode.OK: waiting}
