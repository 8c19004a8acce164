"""Hosts of one machine reach each other by sockets in a private folder."""

import asyncio

import anyio
import pytest

from perdure.actors.cluster.transport.endpoint import UnixEndpoint
from perdure.actors.cluster.transport.unix import UnixTransport

from ....support.actors.memory_wire import Notebook
from ....support.actors.several_hosts import socket_directory

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_file_that_a_dead_process_has_left_is_replaced() -> None:
    with socket_directory() as directory, anyio.fail_after(10):
        path = f"{directory}/0"
        # Given a socket at which no process listens any more,
        (await UnixTransport(path).listen(asyncio.Protocol)).close()
        with pytest.raises(ConnectionRefusedError):
            await UnixTransport("unused").connect(UnixEndpoint(path), asyncio.Protocol())
        # when a host listens there again, then others reach it.
        answered: list[Notebook] = []

        def answer() -> Notebook:
            answered.append(Notebook())
            return answered[-1]

        listener = await UnixTransport(path).listen(answer)
        caller = Notebook()
        await UnixTransport("unused").connect(UnixEndpoint(path), caller)
        caller.close()
        while not answered or not answered[0].lost:
            await anyio.sleep(0.001)
        listener.close()


def test_who_calls_is_not_known_by_the_socket() -> None:
    assert UnixTransport("unused").caller(asyncio.Transport()) is None
