"""The stand-in tells each caller that the daemon is not well, and closes only the sockets that it has opened."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from perdure.daemon.pulse import stand_in
from perdure.daemon.pulse.stand_in import StandIn, answer_to
from perdure.http.serving.listener import listen, share


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /v1.0/healthz HTTP/1.1", b"500"),
        (b"GET /v1.0/healthz?appid=x HTTP/1.1", b"500"),
        (b"GET /v1.0/healthz/outbound HTTP/1.1", b"500"),
        (b"HEAD /v1.0/healthz HTTP/1.1", b"500"),
        (b"POST /v1.0/workflows/dapr/w/start HTTP/1.1", b"503"),
        (b"GET / HTTP/1.1", b"503"),
        (b"GET /healthz/ready HTTP/1.1", b"503"),
        (b"GET /healthz/live HTTP/1.1", b"200"),
        (b"nonsense", b"503"),
        (b"", b"503"),
    ],
)
def test_health_is_500_all_else_503_and_the_process_is_live(line: bytes, status: bytes) -> None:
    head, _, body = answer_to(line + b"\r\nhost: x\r\n\r\n", "it is asleep").partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == status
    assert (b"retry-after: 1" in head) is (status == b"503")
    assert (b"it is asleep" in body) is (not line.startswith(b"HEAD") and status != b"200")


@contextmanager
def at_work(blocked: threading.Event) -> Iterator[tuple[StandIn, socket.socket]]:
    """A stand-in that works while `blocked` is set."""
    with listen("127.0.0.1", 0) as listener:
        answering = StandIn(listener)
        done = threading.Event()

        def work() -> None:
            while not done.is_set():
                answering.work(0.1, why="it is asleep", blocked=blocked.is_set)
                time.sleep(0.01)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield answering, listener
        finally:
            done.set()
            thread.join()
            answering.close()


def ask(listener: socket.socket, request: bytes) -> bytes:
    with socket.create_connection(listener.getsockname(), timeout=5) as caller:
        caller.sendall(request)
        answer = b""
        while received := caller.recv(65536):
            answer += received
        return answer


def test_a_caller_in_pieces_and_one_with_a_long_body_are_answered_while_another_says_nothing() -> None:
    blocked = threading.Event()
    blocked.set()
    with at_work(blocked) as (_, listener), socket.create_connection(listener.getsockname()):
        assert ask(listener, b"POST / HTTP/1.1\r\ncontent-length: 500000\r\n\r\n" + b"x" * 500_000).startswith(
            b"HTTP/1.1 503"
        )
        with socket.create_connection(listener.getsockname(), timeout=5) as slow:
            for piece in (b"GET /v1.0/healthz HT", b"TP/1.1\r\n", b"\r\n"):
                slow.sendall(piece)
                time.sleep(0.02)
            assert slow.recv(100).startswith(b"HTTP/1.1 500")


def test_a_caller_that_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand_in, "CLIENT_S", 0.1)
    blocked = threading.Event()
    blocked.set()
    with at_work(blocked) as (_, listener), socket.create_connection(listener.getsockname(), timeout=5) as silent:
        assert silent.recv(100) == b""


def test_when_the_loop_runs_again_its_connections_are_left_to_it() -> None:
    blocked = threading.Event()
    with at_work(blocked) as (answering, listener), socket.create_connection(listener.getsockname()):
        time.sleep(0.3)
        listener.setblocking(True)
        listener.settimeout(5)
        connection, _ = listener.accept()
        connection.close()
        assert answering.answers == 0


def test_a_port_that_is_shared_and_not_listened_on_yet_has_no_callers() -> None:
    with share("127.0.0.1", 0) as listener:
        answering = StandIn(listener)
        answering.work(0.1, why="it is asleep", blocked=lambda: True)
        answering.close()


def test_a_port_that_was_left_is_free() -> None:
    with listen("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        answering = StandIn(listener)
    with socket.create_connection((host, port)):
        pass  # the duplicate still listens
    answering.leave()
    with pytest.raises(ConnectionRefusedError), socket.create_connection((host, port)):
        pass
    answering.work(0.05, why="it is asleep", blocked=lambda: True)
    answering.close()
