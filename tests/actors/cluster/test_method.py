"""A method's arguments and its result cross as the types that it names."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from perdure.actors.address import Address
from perdure.actors.cluster.method import HostMethod
from perdure.actors.cluster.protocol import FrameRefused

LOOK = HostMethod("look", (Address, int | None), dict[tuple[str, str], int])
PING = HostMethod("ping", (), None)


def test_arguments_and_results_arrive_as_what_they_were() -> None:
    arguments = (Address("counter", "a"), None)
    assert LOOK.arguments_in(LOOK.pack_arguments(arguments)) == arguments
    assert type(LOOK.arguments_in(LOOK.pack_arguments(arguments))[0]) is Address
    assert LOOK.result_in(LOOK.pack_result({("a", "b"): 1})) == {("a", "b"): 1}
    assert PING.arguments_in(PING.pack_arguments(())) == ()
    assert PING.result_in(PING.pack_result(None)) is None


@pytest.mark.parametrize("said", [[], [["counter"], 1], [["counter", "a"], "1"], [["counter", "a"], 1, 2], "x", None])
def test_other_arguments_are_refused(said: object) -> None:
    with pytest.raises(FrameRefused, match="'look'"):
        LOOK.arguments_in(Raw(msgspec.msgpack.encode(said)))


@given(said=st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(said: bytes) -> None:
    for read in (LOOK.arguments_in, LOOK.result_in, PING.arguments_in, PING.result_in):
        with contextlib.suppress(FrameRefused):
            read(Raw(said))
