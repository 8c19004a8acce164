"""A server takes a port or raises an error, and the error for a port in use says what to do."""

import re
import socket

import pytest

from perdure.api.ports import CannotListen
from perdure.daemon.config import RUN_FLAGS
from perdure.daemon.hints import explain
from perdure.http.serving.listener import address, listen, reserve, share


def test_port_0_is_some_free_port() -> None:
    with listen("127.0.0.1", 0) as listener:
        host, port = address(listener)
    assert host == "127.0.0.1"
    assert port > 0


def test_a_port_that_is_taken_is_named_with_what_to_do() -> None:
    with listen("127.0.0.1", 0) as listener:
        _, port = address(listener)
        with pytest.raises(CannotListen) as raised:
            listen("127.0.0.1", port)
    assert explain(raised.value, RUN_FLAGS) == (
        f"cannot listen on 127.0.0.1:{port}: another program has port {port}, perhaps a Dapr sidecar or another "
        "Perdure. Stop it, or choose another port with --http-port (0 takes any free one)."
    )


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(CannotListen) as raised:
        listen("192.0.2.1", 0)
    assert re.fullmatch(r"cannot listen on 192\.0\.2\.1:0: .*--host\.", explain(raised.value, RUN_FLAGS))


def test_a_host_that_does_not_exist_is_named() -> None:
    with pytest.raises(CannotListen) as raised:
        listen("no such host", 0)
    assert re.fullmatch(r"cannot listen on no such host:0: .*--host\.", explain(raised.value, RUN_FLAGS))


def test_the_port_is_free_again_at_once() -> None:
    # Given a server that had a connection,
    with listen("127.0.0.1", 0) as listener:
        host, port = address(listener)
        with socket.create_connection((host, port)):
            accepted, _ = listener.accept()
            accepted.close()
    # when it has ended, then the next server can have its port.
    listen("127.0.0.1", port).close()


def test_a_port_is_shared_only_by_sockets_that_ask_for_it() -> None:
    # Given two sockets that listen on one port,
    with share("127.0.0.1", 0) as one:
        host, port = address(one)
        with share(host, port) as other:
            for each in (one, other):
                each.listen()
            # when a server that does not share wants it, or a daemon that would share it among its own processes,
            for take in (listen, reserve):
                # then neither gets it.
                with pytest.raises(CannotListen, match=f":{port}"):
                    take(host, port)


def test_a_reserved_port_is_kept_while_no_socket_listens() -> None:
    # Given a port that is reserved,
    with reserve("127.0.0.1", 0) as reserved:
        host, port = address(reserved)
        # when another server wants it, then it is in use, before a socket has listened and afterwards,
        for _ in range(2):
            with pytest.raises(CannotListen):
                listen(host, port)
            # and the sockets it is reserved for get it, one after the other.
            with share(host, port) as shared:
                shared.listen()
                with socket.create_connection((host, port)):
                    shared.setblocking(True)
                    shared.accept()[0].close()


def test_a_port_may_be_reserved_again_right_after_a_connection_on_it_ended() -> None:
    # Given a port on which a connection was closed by its server,
    with reserve("127.0.0.1", 0) as reserved:
        host, port = address(reserved)
        with share(host, port) as shared:
            shared.setblocking(True)
            shared.listen()
            with socket.create_connection((host, port)):
                shared.accept()[0].close()
    # when the daemon is started again, with several processes or one, then it gets the port.
    reserve(host, port).close()
    listen(host, port).close()
