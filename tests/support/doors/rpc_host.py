"""A gRPC server made of fakes, and a client that knows our schema."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import grpc

from perdure.api.sidecar import OtherHosts, Sidecar
from perdure.rpc.messages import DAPR, POOL, TASK_HUB, Message, message
from perdure.rpc.services.dapr import dapr
from perdure.rpc.services.task_hub import task_hub
from perdure.rpc.services.work_items import WorkItems
from perdure.rpc.serving.auth import actor_by
from perdure.rpc.serving.server import RpcOptions, RpcServer, create_server
from perdure.rpc.serving.unread import UnreadAnswers
from perdure.rpc.wire.work_items import WorkItemWriter
from perdure.runtime.observing.observer import ActivityWatch

from .fake_dispatcher import FakeDispatcher
from .fake_facade import FakeControl
from .fake_management import FakeManagement

APP_ID = "orders"


class Host:
    """The fakes and the server in front of them."""

    def __init__(
        self,
        facade: FakeManagement,
        *,
        send_timeout_s: float = 10.0,
        watch: ActivityWatch | None = None,
        peers: OtherHosts | None = None,
        **options: Any,
    ) -> None:
        self.facade = facade
        self.dispatcher = FakeDispatcher()
        self.control = FakeControl()
        self.sidecar = Sidecar(self.control, app_id=APP_ID, peers=peers)
        self.writer = WorkItemWriter(APP_ID)
        self.items = WorkItems(
            self.dispatcher,
            writer=self.writer,
            send_timeout_s=send_timeout_s,
            watch=watch,
        )
        self.unread = UnreadAnswers()
        self.options = RpcOptions(**options)
        self.actor = actor_by(self.options.api_tokens)
        self.server: RpcServer

    async def start(self) -> None:
        services = [
            task_hub(self.facade, self.items, app_id=APP_ID, actor=self.actor, unread=self.unread),
            dapr(self.facade, self.sidecar, actor=self.actor, unread=self.unread),
        ]
        self.server = create_server(services, self.options, host="127.0.0.1", port=0)
        await self.server.start()


@asynccontextmanager
async def running(host: Host) -> AsyncIterator["Client"]:
    """Serve, and be a client."""
    await host.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{host.server.port}") as channel:
            yield Client(channel)
    finally:
        host.dispatcher.stop()
        await host.server.stop(grace_s=1.0)


def run(host: Host, test: Callable[["Client"], Awaitable[None]]) -> None:
    """Run a test against a host."""

    async def main() -> None:
        with anyio.fail_after(30):
            async with running(host) as client:
                await test(client)

    anyio.run(main)


class Client:
    """Calls methods by their name."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel

    def method(self, name: str) -> Any:
        method = described(name)
        make = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        return make(
            f"/{method.containing_service.full_name}/{name}",
            request_serializer=message(method.input_type.full_name).SerializeToString,
            response_deserializer=message(method.output_type.full_name).FromString,
        )

    def call(
        self, name: str, /, *, with_token: str | None = None, timeout_s: float | None = None, **fields: Any
    ) -> Any:
        """Call a method; to be awaited, or iterated over if it streams."""
        request = message(described(name).input_type.full_name)(**fields)
        metadata = (("dapr-api-token", with_token),) if with_token is not None else ()
        return self.method(name)(request, metadata=metadata, timeout=timeout_s)

    async def failure(self, name: str, /, **fields: Any) -> tuple[str, str]:
        """Call a method that fails, and give the name of its code and its text."""
        try:
            answer: Message = await self.call(name, **fields)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details() or ""
        raise AssertionError(f"{name} has answered: {answer}")


def described(name: str) -> Any:
    """Find a method of either service in the schema."""
    methods = POOL.FindServiceByName(TASK_HUB).methods_by_name
    return methods[name] if name in methods else POOL.FindServiceByName(DAPR).methods_by_name[name]


def ask(host: Host, name: str, /, **fields: Any) -> Any:
    """Call one method and give its answer."""
    answers: list[Any] = []

    async def test(client: Client) -> None:
        answers.append(await client.call(name, **fields))

    run(host, test)
    return answers[0]


def fail(host: Host, name: str, /, **fields: Any) -> tuple[str, str]:
    """Call one method that fails and give its code and text."""
    failures: list[tuple[str, str]] = []

    async def test(client: Client) -> None:
        failures.append(await client.failure(name, **fields))

    run(host, test)
    return failures[0]
