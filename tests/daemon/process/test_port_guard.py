"""A daemon ends when code of the app has closed its listening sockets."""

import os
import socket
from contextlib import closing

import anyio
import pytest

from perdure.daemon.process.port_guard import guard_ports, inode_of, listening_at


def listener() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0))
    made.set_inheritable(False)
    return made


def guard(port: int, *, stopping: bool = False) -> list[int]:
    """Guard the port until the process would end, or for a while; return the exit codes."""
    ends: list[int] = []

    async def main() -> None:
        with anyio.move_on_after(0.2):
            await guard_ports([port], stopping=lambda: stopping, end=ends.append, interval_s=0.001)

    anyio.run(main)
    return ends


def test_a_listening_socket_is_found_and_others_are_not() -> None:
    with closing(listener()) as listening, closing(socket.create_connection(listening.getsockname())):
        port = listening.getsockname()[1]
        assert listening_at([port]) == {listening.fileno(): (inode_of(listening.fileno()), port)}
    assert listening_at([port]) == {}


def test_nothing_happens_while_they_listen() -> None:
    with closing(listener()) as listening:
        assert guard(listening.getsockname()[1]) == []


@pytest.mark.parametrize("taken", [False, True], ids=["closed", "and taken by another socket"])
@pytest.mark.parametrize("stopping", [False, True], ids=["served", "stopping"])
def test_the_process_ends_when_one_is_gone_unless_it_stops(
    *, taken: bool, stopping: bool, caplog: pytest.LogCaptureFixture
) -> None:
    listening = listener()
    port, descriptor = listening.getsockname()[1], listening.detach()
    ends: list[int] = []

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            told = False
            tasks.start_soon(lambda: guard_ports([port], stopping=lambda: told, end=ends.append, interval_s=0.001))
            await anyio.wait_all_tasks_blocked()
            told = stopping
            os.close(descriptor)
            other = socket.socket() if taken else None
            await anyio.sleep(0.05)
            if other is not None:
                other.close()

    anyio.run(main)
    assert ends == ([] if stopping else [1])
    assert (f"has closed the socket of port {port}" in caplog.text) is not stopping
