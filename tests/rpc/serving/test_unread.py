"""Unread answers over gRPC are bounded: for each client by waiting, for all by cutting off clients that do not read."""

import gc
from contextlib import ExitStack, closing
from typing import Any

import anyio
import grpc
import pytest
from msgspec.structs import replace

from perdure.daemon.process.open_files import cut_off
from perdure.rpc.messages import TASK_HUB
from perdure.rpc.serving.method import CountedContext
from perdure.rpc.serving.unread import COUNTED_BYTES, MIB, ClientAnswers, UnreadAnswers

from ...support.doors.fake_facade import state
from ...support.doors.fake_management import FakeManagement
from ...support.doors.raw_http2 import DeafClient
from ...support.doors.rpc_host import Client, Host, run

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # gRPC's


class World:
    """Unread answers with a clock by hand, and the connections that were cut off."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.cut: list[str] = []
        self.unread = UnreadAnswers(
            bytes_max=100, client_bytes_max=40, cut_off=self.cut.append, clock=lambda: self.now_s
        )

    def give(self, client: str, size: int) -> ClientAnswers:
        self.now_s += 1
        return self.unread.hand_over(client, size)

    def read(self, reader: ClientAnswers, size: int) -> None:
        self.now_s += 1
        self.unread.taken(reader, size)


def test_beyond_the_limit_of_all_the_one_that_has_stood_still_longest_is_cut_off() -> None:
    world = World()
    first, second = world.give("a", 40), world.give("b", 30)
    world.give("c", 30)
    # Given a connection that was first, and has read something since,
    world.give("a", 0)
    world.read(first, 10)
    # when there is too much in all,
    world.give("d", 20)
    # then the other connection is cut off, with all its calls.
    assert world.cut == ["b"]
    assert world.unread.bytes == 30 + 30 + 20
    # The reports of its calls at their ends change nothing.
    world.read(second, 30)
    assert world.unread.bytes == 80


def test_a_single_client_is_let_be() -> None:
    world = World()
    world.give("a", 500)
    assert world.cut == []
    world.give("b", 1)
    assert world.cut == ["a"]


def test_what_has_been_read_does_not_count_and_nothing_stays_of_it() -> None:
    world = World()
    for number in range(50):
        world.read(world.give(f"c{number}", 40), 40)
    assert (world.unread.bytes, world.cut) == (0, [])
    assert world.unread._readers == {}


def test_without_a_way_to_cut_off_none_is() -> None:
    unread = UnreadAnswers(bytes_max=10)
    for name in "abc":
        unread.hand_over(name, 10)
    assert unread.bytes == 30


async def test_a_client_with_much_to_read_gets_its_answers_one_by_one_and_they_are_not_made_before() -> None:
    world = World()
    reader = world.give("a", 30)
    assert not world.unread.has_room("a", 20)
    assert world.unread.has_room("b", 20)
    made: list[int] = []

    async def answer(number: int) -> None:
        async def make() -> bytes:
            made.append(number)
            return bytes(30)

        data, given = await world.unread.in_turn("a", make)
        assert (len(data), given) == (30, reader)

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(answer, number)
            await anyio.wait_all_tasks_blocked()
        for done in range(3):
            assert made == list(range(done))
            world.read(reader, 30)
            await anyio.wait_all_tasks_blocked()
    world.read(reader, 30)
    assert world.unread._readers == {}


async def test_an_answer_that_cannot_be_made_leaves_nothing_behind() -> None:
    world = World()
    world.read(reader := world.give("a", 30), 30)

    async def fail() -> bytes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await world.unread.in_turn("a", fail)
    assert (world.unread.bytes, world.unread._readers) == (0, {})
    assert reader.bytes == 0


class Written:
    """As much of grpc's context as a stream needs."""

    def __init__(self, error: Exception | None = None, *, cancelled: bool = False) -> None:
        self.error = error
        self.was_cancelled = cancelled

    async def write(self, message: bytes) -> None:
        if self.error is not None:
            raise self.error

    async def abort(self, code: Any, details: str) -> None: ...
    def invocation_metadata(self) -> tuple[Any, ...]:
        return ()

    def peer(self) -> str:
        return "a"

    def cancelled(self) -> bool:
        return self.was_cancelled


@pytest.mark.parametrize(
    ("context", "size", "left"),
    [
        (Written(), 2 * COUNTED_BYTES, 0),
        (Written(TimeoutError()), 2 * COUNTED_BYTES, 2 * COUNTED_BYTES),  # given up by us: the library still has it
        (Written(TimeoutError(), cancelled=True), 2 * COUNTED_BYTES, 0),
        (Written(TimeoutError()), 100, 0),
    ],
)
async def test_a_message_of_a_stream_counts_until_it_is_read(context: Any, size: int, left: int) -> None:
    unread = UnreadAnswers()
    counted = CountedContext(context, unread)
    if context.error is not None:
        with pytest.raises(TimeoutError):
            await counted.write(bytes(size))
    else:
        await counted.write(bytes(size))
    assert unread.bytes == left


# Through the library.

ANSWER_BYTES = MIB


def big_host(**options: Any) -> Host:
    facade = FakeManagement(replace(state("x"), input="z" * ANSWER_BYTES), state("small"))
    return Host(facade, **options)


GET = f"/{TASK_HUB}/GetInstance"
WITH_PAYLOADS = b"\x0a\x01x\x10\x01"


def test_clients_that_never_read_cost_a_bounded_memory_and_no_other_client() -> None:
    host = big_host()
    host.unread = UnreadAnswers(
        bytes_max=8 * MIB, client_bytes_max=2 * MIB, cut_off=lambda client: cut_off(host.server.port, client)
    )

    async def test(client: Client) -> None:
        with ExitStack() as stack:
            # Given many clients that ask for much and read nothing,
            deaf = [stack.enter_context(closing(DeafClient(host.server.port))) for _ in range(12)]
            for each in deaf:
                for _ in range(10):
                    each.ask(GET, WITH_PAYLOADS)
            while sum(each.cut_off for each in deaf) < 4:
                await anyio.sleep(0.01)
            # then the waiting bytes are bounded,
            assert host.unread.bytes <= 8 * MIB
            # and an honest client has its answers, large and small ones.
            for _ in range(3):
                got = await client.call("GetInstance", instanceId="x", getInputsAndOutputs=True)
                assert len(got.workflowState.input.value) == ANSWER_BYTES
                assert (await client.call("GetInstance", instanceId="small")).exists
        while host.unread.bytes:
            await anyio.sleep(0.01)

    run(host, test)


def test_a_burst_of_large_answers_to_one_honest_client_arrives_whole() -> None:
    host = big_host()
    host.unread = UnreadAnswers(bytes_max=8 * MIB, client_bytes_max=2 * MIB, cut_off=lambda client: None)

    async def test(client: Client) -> None:
        answers: list[int] = []

        async def get() -> None:
            got = await client.call("GetInstance", instanceId="x", getInputsAndOutputs=True)
            answers.append(len(got.workflowState.input.value))

        async with anyio.create_task_group() as tasks:
            for _ in range(40):
                tasks.start_soon(get)
        assert answers == [ANSWER_BYTES] * 40
        while host.unread.bytes:
            await anyio.sleep(0.01)
        gc.collect()
        assert host.unread._readers == {}

    run(host, test)


def test_a_call_that_its_client_cancels_is_counted_no_more() -> None:
    host = big_host()

    async def test(client: Client) -> None:
        options = [("grpc.max_receive_message_length", 1000)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{host.server.port}", options=options) as channel:
            small = Client(channel)
            code, _ = await small.failure("GetInstance", instanceId="x", getInputsAndOutputs=True)
            assert code == "RESOURCE_EXHAUSTED"
        while host.unread.bytes:
            await anyio.sleep(0.01)

    run(host, test)
