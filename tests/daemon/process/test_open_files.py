"""The connections of both ports leave files for the rest of the daemon, for each limit."""

import socket

import anyio
import pytest

from perdure.daemon.process.open_files import (
    GRPC_MAX,
    HTTP_MAX,
    SHARE_MIN,
    connections_on,
    cut_off,
    open_files_max,
    shares_of,
    watch_connections,
)


@pytest.mark.parametrize("processes", [1, 4, 64])
@pytest.mark.parametrize("limit", [256, 1024, 4096, 65_536, 2**20])
def test_a_reserve_is_left(limit: int, processes: int) -> None:
    shares = shares_of(limit, processes)
    if limit > 64 + limit // 8 + 4 * processes + 2 * SHARE_MIN:
        assert shares.http + shares.grpc <= limit - 64
    assert SHARE_MIN <= shares.http <= HTTP_MAX
    assert SHARE_MIN <= shares.grpc <= GRPC_MAX


def test_the_usual_limits_allow_hundreds() -> None:
    assert (shares_of(1024).http, shares_of(1024).grpc) == (554, 277)
    assert (shares_of(256).http, shares_of(256).grpc) == (106, 53)


def test_there_is_a_limit() -> None:
    assert open_files_max() > 0


def test_it_is_said_once_that_a_port_has_all_the_connections_it_may_have(caplog: pytest.LogCaptureFixture) -> None:
    async def watch(most: int) -> None:
        with anyio.move_on_after(0.2):
            await watch_connections(port, most, interval_s=0.02)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        accepted = [listener.accept()[0] for _ in clients]
        assert connections_on(port) == 3
        anyio.run(watch, 4)
        assert caplog.messages == []
        anyio.run(watch, 3)
        for each in (*clients, *accepted):
            each.close()
    [line] = caplog.messages
    assert line.startswith("gRPC has 3 connections")


@pytest.mark.parametrize(
    ("family", "address", "form"),
    [
        (socket.AF_INET, "127.0.0.1", "ipv4:127.0.0.1:{}"),
        (socket.AF_INET6, "::1", "ipv6:[::1]:{}"),
        (socket.AF_INET6, "::1", "ipv6:%5B::1%5D:{}"),
    ],
)
def test_a_connection_is_cut_off_by_the_name_that_grpc_has_for_it(
    family: socket.AddressFamily, address: str, form: str
) -> None:
    try:
        listener = socket.create_server((address, 0), family=family)
    except OSError:
        pytest.skip("this machine has no such addresses")
    with listener:
        port = listener.getsockname()[1]
        clients = [socket.create_connection((address, port), 10) for _ in range(2)]
        accepted = [listener.accept()[0] for _ in clients]
        name = form.format(clients[0].getsockname()[1])
        # Only this connection, and only on this port.
        assert not cut_off(port + 1, name)
        assert not cut_off(port, form.format(1))
        assert cut_off(port, name)
        assert clients[0].recv(1) == b""
        accepted[1].send(b"x")
        assert clients[1].recv(1) == b"x"
        for each in (*clients, *accepted):
            each.close()
        assert not cut_off(port, name)
