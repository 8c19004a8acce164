"""A host reads any bytes of a wire as frames or ends the connection: it raises nothing, and runs none of them."""

import os
import pickle
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from perdure.actors.address import Address
from perdure.actors.cluster import protocol
from perdure.actors.cluster.protocol import (
    WIRE_MAX,
    WIRE_MIN,
    AnswerFrame,
    AskFrame,
    CallFrame,
    ChangedFrame,
    FrameCodec,
    FrameRefused,
    HelloFrame,
    MovedFrame,
    PostFrame,
    ReceiptFrame,
    RefusalFrame,
    ResultFrame,
    UnwatchFrame,
    WatchFrame,
    WelcomeFrame,
    wire_for,
)
from perdure.actors.cluster.transport.endpoint import MemoryEndpoint
from perdure.actors.cluster.transport.memory import MemoryNetwork, MemoryTransport
from perdure.actors.cluster.wire import LENGTH, framed
from perdure.testing.virtual_time import run_virtually

from ...support.actors.memory_wire import Notebook
from ...support.examples import examples
from .test_moving_hosts import Node

CODEC = FrameCodec()
NOTHING = Raw(msgspec.msgpack.encode(None))
A = Address("counter", "a")
TO_HOST: list[Any] = [
    HelloFrame("host-1", 1, 2),
    AskFrame(1, A, "Read", NOTHING, new=True),
    PostFrame(2, A, "Read", NOTHING, 3, 4),
    CallFrame(3, "who", NOTHING),
    WatchFrame(4, A),
    UnwatchFrame(4),
]
FROM_HOST: list[Any] = [
    WelcomeFrame(1),
    AnswerFrame(1, "", NOTHING),
    ResultFrame(3, NOTHING),
    RefusalFrame(1, "HostStopping", NOTHING, "text"),
    ReceiptFrame(2),
    ChangedFrame(4, b"record", True, lost=True),
    MovedFrame(1, 7, None, 9),
]


@pytest.mark.parametrize("frame", TO_HOST, ids=lambda frame: type(frame).__name__)
def test_what_goes_to_a_host_is_read_as_it_was(frame: Any) -> None:
    assert CODEC.pack(CODEC.to_host(CODEC.pack(frame))) == CODEC.pack(frame)


@pytest.mark.parametrize("frame", FROM_HOST, ids=lambda frame: type(frame).__name__)
def test_what_comes_from_a_host_is_read_as_it_was(frame: Any) -> None:
    assert CODEC.pack(CODEC.from_host(CODEC.pack(frame))) == CODEC.pack(frame)


def test_tags_and_the_order_of_fields_are_what_they_were() -> None:
    # Releases that run side by side read each other's frames by these numbers.
    kinds = [each for each in vars(protocol).values() if isinstance(each, type) and issubclass(each, msgspec.Struct)]
    found = {
        each.__name__: (each.__struct_config__.tag, *each.__struct_fields__)
        for each in kinds
        if each.__name__ != "Struct"
    }
    assert found == {
        "HelloFrame": (0, "name", "wire_min", "wire_max", "timeline"),
        "AskFrame": (1, "number", "address", "word", "body", "new"),
        "PostFrame": (2, "number", "address", "word", "body", "shard", "epoch"),
        "CallFrame": (3, "number", "method", "arguments"),
        "WatchFrame": (4, "number", "address"),
        "UnwatchFrame": (5, "number"),
        "WelcomeFrame": (0, "wire"),
        "AnswerFrame": (1, "number", "word", "value"),
        "ResultFrame": (2, "number", "value"),
        "RefusalFrame": (3, "number", "error", "arguments", "text"),
        "ReceiptFrame": (4, "number"),
        "ChangedFrame": (5, "number", "record", "deleted", "lost"),
        "MovedFrame": (6, "number", "shard", "owner", "epoch"),
    }


@given(packed=st.binary(max_size=60))
def test_any_bytes_are_a_frame_or_refused(packed: bytes) -> None:
    for read in (CODEC.to_host, CODEC.from_host):
        try:
            read(packed)
        except FrameRefused:
            continue


def test_a_frame_of_a_later_release_with_more_fields_is_read() -> None:
    assert CODEC.to_host(msgspec.msgpack.encode([5, 7, "more"])) == UnwatchFrame(7)


def test_two_hosts_talk_the_highest_wire_that_both_know() -> None:
    assert wire_for(WIRE_MIN, WIRE_MAX) == WIRE_MAX
    assert wire_for(WIRE_MIN, WIRE_MAX + 5) == WIRE_MAX
    assert wire_for(WIRE_MAX + 1, WIRE_MAX + 5) is None


# A live host, and any bytes.

frames = st.one_of(
    st.sampled_from(TO_HOST).map(CODEC.pack),
    st.sampled_from(FROM_HOST).map(CODEC.pack),
    st.binary(max_size=40),
    st.builds(
        lambda tag, rest: msgspec.msgpack.encode([tag, *rest]),
        st.integers(0, 7),
        st.lists(
            st.integers().filter(lambda n: abs(n) < 2**62) | st.text(max_size=5) | st.none() | st.binary(max_size=5),
            max_size=6,
        ),
    ),
)


@settings(max_examples=examples(300), deadline=None)
@given(come=st.lists(frames, max_size=8), broken=st.booleans(), greets=st.booleans())
def test_a_host_that_is_called_by_anything_stays_there_for_others(
    come: list[bytes], broken: bool, greets: bool
) -> None:
    async def story() -> None:
        network = MemoryNetwork()
        async with anyio.create_task_group() as tasks:
            host = Node(network, "b", "a", "host-1")
            await tasks.start(host.run)
            caller = Notebook()
            await MemoryTransport(network, "a").connect(MemoryEndpoint("b"), caller)
            if greets:
                caller.write(framed(CODEC.pack(HelloFrame("a", 1, 1))))
            for frame in come:
                caller.write(frame if broken else framed(frame))
                await anyio.sleep(0.01)
            # The next connection is taken as usual.
            other = Notebook()
            await MemoryTransport(network, "a").connect(MemoryEndpoint("b"), other)
            other.write(framed(CODEC.pack(HelloFrame("a", 1, 1))))
            await anyio.sleep(0.01)
            assert other.got == framed(CODEC.pack(WelcomeFrame(1)))
            tasks.cancel_scope.cancel()

    run_virtually(story)


@settings(max_examples=examples(200), deadline=None)
@given(come=st.lists(frames, max_size=8), broken=st.booleans(), greets=st.booleans())
def test_a_host_that_is_answered_with_anything_connects_again(come: list[bytes], broken: bool, greets: bool) -> None:
    async def story() -> None:
        network = MemoryNetwork()
        answered: list[Notebook] = []

        def answer() -> Notebook:
            answered.append(Notebook())
            return answered[-1]

        async with anyio.create_task_group() as tasks:
            listener = await MemoryTransport(network, "b").listen(answer)
            host = Node(network, "a", "b")
            await tasks.start(host.run)
            await anyio.sleep(0.01)
            if greets:
                answered[0].write(framed(CODEC.pack(WelcomeFrame(1))))
            for frame in come:
                answered[0].write(frame if broken else framed(frame))
                await anyio.sleep(0.01)
            # When another host answers at that address, it is connected.
            listener.close()
            network.kill("b")
            other = Node(network, "b", "a")
            await tasks.start(other.run)
            await anyio.sleep(20)
            assert host.peers.connected
            tasks.cancel_scope.cancel()

    run_virtually(story)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_a_pickle_is_no_frame_and_is_not_opened(tmp_path: Path) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "went-off"))
    for body in (bomb, CODEC.pack(AskFrame(1, A, "Read", Raw(bomb))), LENGTH.pack(len(bomb)) + bomb):
        try:
            frame = CODEC.to_host(body)
        except FrameRefused:
            continue
        assert isinstance(frame, AskFrame)
    assert not (tmp_path / "went-off").exists()
