"""A method that is not served says so, a broken one says only that it broke, and no text is too long for a header."""

import logging
from typing import Any

import anyio
import grpc
import pytest

from perdure.actors.store.errors import StoreFailed
from perdure.rpc.messages import DAPR, TASK_HUB
from perdure.rpc.services.task_hub import task_hub
from perdure.rpc.serving.method import TEXT_BYTES_MAX, UNPARSABLE, Unparsable, cut

from ...support.doors.fake_management import FakeManagement
from ...support.doors.rpc_host import Client, Host, described, run


def make_host(failure: Exception | None = None) -> Host:
    host = Host(FakeManagement())
    host.facade.failure = failure
    return host


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (f"/{TASK_HUB}/QueryInstances", "Dapr dropped it in 1.17"),
        (f"/{TASK_HUB}/RewindInstance", "Dapr dropped it in 1.17"),
        (f"/{TASK_HUB}/StreamInstanceHistory", "Dapr dropped it in 1.17"),
        (f"/{DAPR}/PublishEvent", "none of the other building blocks"),
        (f"/{DAPR}/StartWorkflow", "none of the other building blocks"),
    ],
)
def test_a_method_that_is_not_served_says_why(path: str, why: str) -> None:
    async def test(client: Client) -> None:
        for call in (client.channel.unary_unary(path)(b""), client.channel.unary_stream(path)(b"").read()):
            with pytest.raises(grpc.aio.AioRpcError, match=why) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert path.rsplit("/", 1)[1] in (caught.value.details() or "")

    run(make_host(), test)


@pytest.mark.parametrize("path", ["/grpc.health.v1.Health/Check", "/x", "/a/b/c"])
def test_an_unknown_service_is_left_to_grpc(path: str) -> None:
    async def test(client: Client) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.channel.unary_unary(path)(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED

    run(make_host(), test)


def test_a_bug_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    async def test(client: Client) -> None:
        failure = await client.failure("GetInstance", instanceId="a")
        assert failure == ("INTERNAL", "an internal error of Perdure; its log has the details")

    run(make_host(KeyError("secret")), test)
    assert "TaskHubSidecarService.GetInstance broke" in caplog.text
    assert "secret" in caplog.text


def test_a_long_text_is_cut_to_what_a_header_holds() -> None:
    async def test(client: Client) -> None:
        # Several times, because grpc decides at random about headers that are slightly too long.
        for _ in range(20):
            code, text = await client.failure("GetInstance", instanceId="a")
            assert (code, text) == ("UNAVAILABLE", "ü" * (TEXT_BYTES_MAX // 2))

    run(make_host(StoreFailed("ü" * 100_000)), test)


def test_a_cut_text_is_still_text() -> None:
    assert cut("a" + "ü" * TEXT_BYTES_MAX) == "a" + "ü" * (TEXT_BYTES_MAX // 2 - 1)
    assert cut("\udcff") == "?"
    assert cut("short") == "short"


def test_a_request_that_is_no_message_is_refused() -> None:
    async def test(client: Client) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.channel.unary_unary(f"/{TASK_HUB}/GetInstance")(b"\xff\xff")
        assert caught.value.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)

    run(make_host(), test)


@pytest.mark.parametrize("method", ["StartInstance", "GetWorkItems", "CompleteOrchestratorTask"])
def test_a_message_that_cannot_be_parsed_is_refused_and_a_thousand_of_them_are_one_line(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def test(client: Client) -> None:
        made = described(method)
        make = client.channel.unary_stream if made.server_streaming else client.channel.unary_unary
        call = make(f"/{made.containing_service.full_name}/{method}")
        for _ in range(50):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                if made.server_streaming:
                    [_ async for _ in call(b"\xff\xff\xff")]
                else:
                    await call(b"\xff\xff\xff")
            assert refused.value.code() is grpc.StatusCode.INTERNAL
            assert refused.value.details() == UNPARSABLE
        await client.call("Hello")

    run(Host(FakeManagement()), test)
    [line] = caplog.messages
    assert method in line
    assert "cannot be parsed" in line


def test_a_table_takes_bytes_and_gives_bytes_without_a_server() -> None:
    context: Any = None  # which no caller requests

    async def test() -> None:
        host = make_host()
        table = task_hub(host.facade, host.items, app_id="shop")
        method = table.methods["GetInstance"]
        request = method.parse(method.request(instanceId="nobody").SerializeToString())
        answer = await method.serve(request, context)
        assert answer is not None
        assert method.response.FromString(answer).exists is False
        assert (table.name, table.methods["GetWorkItems"].streaming, method.streaming) == (TASK_HUB, True, False)
        assert isinstance(method.parse(b"\xff\xff"), Unparsable)

    anyio.run(test)
