"""The stand-in: answers callers of the HTTP API while the event loop is blocked.

The rule: it reports that the daemon is not healthy, and does nothing else. Health is 500; every other request is
answered 503 and not processed. Only `/healthz/live` is 200, because the watchdog ends a process whose code it cannot
interrupt, and a restart from outside would be no faster. Connections that the event loop has accepted before wait for
it.

`daemon/pulse/watchdog.py` lets it work while the event loop is blocked.
"""

import contextlib
import json
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

HEALTH_PATHS = ("/v1.0/healthz", "/v1.0/healthz/outbound")
LIVE_PATH = "/healthz/live"
HEAD_BYTES_MAX = 64 * 1024
CLIENT_S = 2.0  # how long a client may take to send the head of its request, and to close
CONNECTIONS_MAX = 256  # at once; others wait in the kernel's queue
LOOK_S = 0.05  # how often the stand-in checks whether the event loop runs again


@dataclass(slots=True)
class Caller:
    """A connection that the stand-in has accepted."""

    connection: socket.socket
    until_s: float
    head: bytes = b""
    answered: bool = False


class StandIn:
    """Accepts connections on the daemon's own listening socket.

    Args:
        listener: The socket on which the daemon listens. A duplicate of it is used, and closed by `close`.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener.dup()
        self._listener.setblocking(False)
        self._left = False
        self._waiting = selectors.DefaultSelector()
        self._callers: dict[int, Caller] = {}
        self._accepting = False
        self.answers = 0

    def leave(self) -> None:
        """Close the duplicate when the daemon stops, because an open duplicate would keep the port open."""
        self._accept_if(False)
        self._left = True
        self._listener.close()

    def close(self) -> None:
        """Close all connections, and the duplicate of the listening socket."""
        for caller in list(self._callers.values()):
            self._end(caller)
        self._waiting.close()
        self._listener.close()

    @property
    def busy(self) -> bool:
        """Whether callers wait for answers."""
        return bool(self._callers)

    def work(self, seconds: float, *, why: str, blocked: Callable[[], bool]) -> None:
        """Answer callers for a while.

        Args:
            why: The reason why the daemon does not answer, for the callers.
            blocked: Whether the event loop is still blocked. When it is not, no more connections are accepted.
        """
        end_s = time.monotonic() + seconds
        while (now_s := time.monotonic()) < end_s:
            self._accept_if(not self._left and blocked() and len(self._callers) < CONNECTIONS_MAX)
            if not (self._accepting or self._callers):
                return
            for caller in [each for each in self._callers.values() if each.until_s <= now_s]:
                self._end(caller)
            for key, _ in self._waiting.select(min(LOOK_S, end_s - now_s)):
                if key.data is None:
                    self._accept()
                else:
                    self._receive(key.data, why)
        self._accept_if(False)

    def _accept_if(self, accepting: bool) -> None:
        if accepting and not self._accepting:
            self._waiting.register(self._listener, selectors.EVENT_READ, None)
        elif self._accepting and not accepting:
            self._waiting.unregister(self._listener)
        self._accepting = accepting

    def _accept(self) -> None:
        # The event loop may have accepted the connection, or the caller may have closed it.
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            caller = Caller(connection, time.monotonic() + CLIENT_S)
            self._callers[connection.fileno()] = caller
            self._waiting.register(connection, selectors.EVENT_READ, caller)

    def _receive(self, caller: Caller, why: str) -> None:
        try:
            received = caller.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not caller.answered:
            caller.head += received
            if b"\r\n\r\n" in caller.head or len(caller.head) > HEAD_BYTES_MAX:
                # The kernel takes so few bytes at once. The rest of the request is read until the caller closes: an
                # earlier close would reset the connection, and the answer would be lost.
                with contextlib.suppress(OSError):
                    caller.connection.send(answer_to(caller.head, why))
                    caller.connection.shutdown(socket.SHUT_WR)
                caller.answered = True
                self.answers += 1
        if not received:
            self._end(caller)

    def _end(self, caller: Caller) -> None:
        del self._callers[caller.connection.fileno()]
        self._waiting.unregister(caller.connection)
        caller.connection.close()


def answer_to(head: bytes, why: str) -> bytes:
    """Make the answer to a request.

    Args:
        head: The first line and the headers of the request.
    """
    target = [*head.split(b"\r\n", 1)[0].split(b" "), b"", b""][1].decode("latin-1")
    path = target.partition("?")[0]
    if path == LIVE_PATH:
        status, told = "200 OK", {"status": "live"}
    elif path in HEALTH_PATHS:
        status, told = "500 Internal Server Error", refusal("ERR_HEALTH_NOT_READY", why)
    else:
        status, told = "503 Service Unavailable", refusal("ERR_EVENT_LOOP_BLOCKED", why)
    body = json.dumps(told).encode()
    lines = [
        f"HTTP/1.1 {status}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
        *(["retry-after: 1"] if status.startswith("503") else []),
    ]
    sent = b"" if head.startswith(b"HEAD ") else body
    return "\r\n".join([*lines, "", ""]).encode() + sent


def refusal(code: str, why: str) -> dict[str, str]:
    """Return the body of an answer in Dapr's form: the code, and the reason why the request was refused."""
    return {"errorCode": code, "message": f"{why}; nothing of this request was done"}
