"""uvicorn's HTTP/1.1, with deadlines and limits, and without upgrades to other protocols.

The rule: whether a client sends or is silent, it costs a limited time and memory, and an answer that was written
reaches a client that still reads. `http/serving/crowd.py` decides which connections time out; `http/serving/server.py`
makes the connections.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ...journal.vocabulary import REQUEST_REFUSED
from .crowd import BODY, HEAD, IDLE, LINGER, Crowd

logger = logging.getLogger(__name__)

# Of a request line and its headers, so that an endless head cannot fill the memory. Dapr's limit is 4 KiB; this is the
# limit of h11, and enough for any id or token.
HEAD_BYTES_MAX = 64 * 1024

# Requests that may wait on one connection behind the request under way. A chunk of 256 KiB holds 13 000.
PIPELINED_MAX = 100

INVALID = 400, "Invalid HTTP request received."
HEAD_TOO_LARGE = 431, f"The head of the request has more than {HEAD_BYTES_MAX} bytes."
# The characters of a Host, as Go's server takes them (httpguts.ValidHostHeader).
HOST = re.compile(rb"[A-Za-z0-9!$%&()*+,\-.:;=\[\]'_~]*")


class PlainHttp(HttpToolsProtocol):
    """A connection of HTTP/1.1.

    Java's own client, and every client built on it, offers HTTP/2 with each request (`Upgrade: h2c`). A server may
    ignore that (RFC 9110, 7.8). uvicorn ignores it, but its parser stops after the head, so that the handler gets an
    empty body: an instance would be started without its input, with 202. This workaround may go when
    https://github.com/Kludex/uvicorn/issues/2722 is closed.
    """

    cycle: Any  # the last request that arrived; None before the first
    under_way: Any = None  # the request whose handler runs, or was the last to run
    in_head = False
    head_bytes = 0  # of the lines of the head, as the parser has told them
    beside_bytes = 0  # that came later, and are neither head nor body to the parser: half a line, chunk heads, trailers
    since_s = 0.0
    unread_bytes = float("inf")
    moved_s = 0.0
    received = 0  # bytes, in total
    body_from = 0  # the value of `received` at the beginning of the body
    lingering = False
    held_back = False  # the next request waits until the client has read the previous answer
    half_closed = False  # the client has closed its sending end, and may still read
    invalid = INVALID  # a status, and why the received bytes are no request
    deaf = False  # after bytes that were no request: further bytes are ignored

    def __init__(self, *positional: Any, crowd: Crowd, **named: Any) -> None:
        super().__init__(*positional, **named)
        self.crowd = crowd
        self.logger = QUIET  # type: ignore[assignment]

    # Beginning and end of the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; refuse the connection if there are too many and no other can be closed."""
        super().connection_made(transport)
        self.flow = ReadersPace(transport)
        self.since_s = self.moved_s = self.crowd.now_s
        if len(self.connections) > self.crowd.limits.connections_max and not self.crowd.make_room(
            self.connections,  # type: ignore[arg-type]
            self,
        ):
            self.answer(503, "There are too many connections.", b"retry-after: 1\r\n")
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request under way that the connection is closed."""
        self.crowd.flow(self)
        self.disconnect()
        super().connection_lost(exc)

    def disconnect(self) -> None:
        """Tell the handler under way that its client has disconnected. Waiting requests are never begun."""
        if (cycle := self.under_way) is not None:
            cycle.disconnected = True
            cycle.message_event.set()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Answer a client that has closed its end after complete requests; close if a request is incomplete."""
        cycle = self.cycle
        if self.lingering or self.in_head or cycle is None or cycle.response_complete or cycle.more_body:
            return None  # the transport closes itself
        # `cycle` is the last waiting request; its answer closes the connection.
        self.half_closed = True
        cycle.keep_alive = False
        return True

    def shutdown(self) -> None:
        """React to the stop of the server: answer complete requests, and drop incomplete ones."""
        cycle = self.cycle
        if self.lingering or cycle is None or cycle.response_complete:
            self.transport.close()
        elif cycle.more_body:
            # The handler waits for a body that may never end.
            self.cut_off()
        else:
            cycle.keep_alive = False

    def cut_off(self) -> None:
        """Close at once, and drop unread answers. The handler under way sees that its client has disconnected."""
        self.disconnect()
        self.transport.abort()

    # Received bytes

    def data_received(self, data: bytes) -> None:
        """Count the bytes against the limits, and pass them to the parser."""
        if self.lingering or self.deaf:
            return
        self.received += len(data)
        self.beside_bytes += len(data)
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = self.without_offer(data[offer.args[0] :])
            except httptools.HttpParserError:
                self.refuse(*self.invalid)
                return
            else:
                break
        if self.in_head:
            if self.head_bytes + self.beside_bytes > HEAD_BYTES_MAX:
                self.refuse(*HEAD_TOO_LARGE)
        elif (cycle := self.cycle) is not None and cycle.more_body:
            if self.beside_bytes > HEAD_BYTES_MAX:
                self.refuse(431, f"The chunks or trailers of the request have more than {HEAD_BYTES_MAX} bytes.")
            elif cycle.transport is self.transport:
                cycle.transport = ClosesGently(self)

    def without_offer(self, rest: bytes) -> bytes:
        """Serialize the request again for a new parser: its head without the upgrade, and the bytes after it."""
        method = self.parser.get_method()
        if method == b"CONNECT":  # CONNECT without the upgrade is no request
            self.refuse(*INVALID)
            return b""
        version = self.parser.get_http_version().encode()
        head = [b"%b %b HTTP/%b" % (method, self.url, version)]
        head += [b"%b: %b" % (name, value) for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        return b"\r\n".join([*head, b"", rest])

    def on_message_begin(self) -> None:
        """Begin to count the head of a request."""
        self.in_head = True
        self.head_bytes = self.beside_bytes = 0
        self.since_s = self.crowd.now_s
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers are left out."""
        # A trailer is no header: the headers were checked before it arrived.
        if self.in_head:
            self._count(len(name) + len(value) + 4)
            super().on_header(name, value)

    def _count(self, size: int) -> None:
        """Count bytes of a line of the head, which its end may follow in the same piece."""
        self.head_bytes += size
        self.beside_bytes = 0
        if self.head_bytes > HEAD_BYTES_MAX:
            self.invalid = HEAD_TOO_LARGE
            raise ValueError("the head is too large")  # it ends the parser

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self.beside_bytes = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Check the head of a request, and begin to count its body.

        Raises:
            ValueError: The head is refused, or too many requests wait
            this ends the connection.
        """
        self.in_head = False
        self.beside_bytes = 0
        self.since_s = self.crowd.now_s
        self.body_from = self.received
        if (why := misfit_of_host(self.headers, self.parser.get_http_version())) is not None:
            self.invalid = 400, why
            raise ValueError(why)  # it ends the parser, and the connection with it
        if not self.parser.should_upgrade():
            if len(self.pipeline) >= PIPELINED_MAX:
                raise ValueError("too many requests at once")  # it ends the parser, and the connection with it
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Take the end of a request, unless it offers another protocol."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    # Sent bytes

    def on_response_complete(self) -> None:
        """Begin the next waiting request when this answer was written; if there is none, wait for one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self.lingering:
            return
        self.since_s = self.crowd.now_s
        if self.pipeline:
            if self.flow.write_paused:
                self.held_back = True
            else:
                self.begin_next()
        elif self.cycle.more_body:
            self.linger()
        else:
            self.flow.resume_reading()

    def begin_next(self) -> None:
        """Begin the request that waited for the previous answer."""
        self.flow.resume_reading()
        cycle, app = self.pipeline.pop()
        self._start_asgi_task(cycle, app)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self.under_way = cycle
        super()._start_asgi_task(cycle, app)

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read."""
        super().pause_writing()
        # Further requests would pile up in memory beside the unread answer.
        self.flow.pause_reading()
        self.crowd.stall(self)

    def resume_writing(self) -> None:
        """Resume when the client reads again."""
        super().resume_writing()
        self.crowd.flow(self)
        if self.transport.is_closing():
            return
        if self.held_back:
            self.held_back = False
            self.begin_next()
        elif self.lingering or not self.pipeline:
            self.flow.resume_reading()

    def refuse(self, status: int, text: str) -> None:
        """Answer bytes that are no request, and end the connection.

        If earlier requests are not answered yet, their answers are sent, and the last one closes the connection: the
        client would take a refusal now for the answer to the first of them.
        """
        self.crowd.journal.write(REQUEST_REFUSED, status=status, reason=text)
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body:
            self.answer_and_linger(status, text)
            return
        self.deaf = True
        cycle.keep_alive = False
        cycle.transport = ClosesGently(self)

    def answer_and_linger(self, status: int, text: str) -> None:
        """Answer with a status and a text, and close after the client has had time to read it."""
        self.answer(status, text)
        self.linger()

    def answer(self, status: int, text: str, more: bytes = b"") -> None:
        """Answer with a status and a text, outside of any request; `more` are header lines, each with its end."""
        self.transport.write(
            b"%bcontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n%bconnection: close\r\n\r\n%b"
            % (STATUS_LINE[status], len(text), more, text.encode())
        )

    def linger(self) -> None:
        """Send no more, and close when the client has closed, or has had time to read.

        If a connection is closed while received bytes are unread, the system resets it, and the client may lose the
        answer.
        """
        if self.lingering or self.transport.is_closing():
            return
        self.lingering = True
        self.since_s = self.crowd.now_s
        if self.half_closed or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.flow.resume_reading()
        self.transport.write_eof()

    # The methods that the crowd calls

    def waiting(self) -> str | None:
        """The step of its client that the connection waits for: `head`, `body`, `idle` or `linger`; None: it does not
        wait.
        """
        cycle = self.cycle
        if self.lingering:
            return LINGER
        if cycle is None or cycle.response_complete:
            return HEAD if self.in_head or cycle is None else IDLE
        if cycle.more_body and not self.pipeline:
            if self.flow.read_paused:
                self.since_s, self.body_from = self.crowd.now_s, self.received  # the client waits for the server
                return None
            return BODY
        return None

    def closing(self) -> bool:
        """Whether the connection is being closed."""
        return self.transport.is_closing()

    def bytes_unread(self) -> int:
        """How many bytes of answers the client has not read."""
        return self.transport.get_write_buffer_size()

    def body_bytes(self) -> int:
        """How many bytes of the present body have come."""
        return self.received - self.body_from

    def give_up(self, waited_for: str) -> None:
        """Close without an answer, because incomplete bytes are no request."""
        if waited_for == BODY:
            self.disconnect()
        self.transport.close()


def misfit_of_host(headers: Sequence[tuple[bytes, bytes]], version: str) -> str | None:
    """Return why the `Host` of a request is invalid; None if it is valid.

    Only if a request has exactly one Host do proxies and handlers agree on it (RFC 9112, 3.2). The words are those of
    Go's server, with which Dapr refuses such a request.
    """
    hosts = [value for name, value in headers if name == b"host"]
    if not hosts and version != "1.0":
        return "missing required Host header"
    if len(hosts) > 1:
        return "too many Host headers"
    return None if not hosts or HOST.fullmatch(hosts[0]) else "malformed Host header"


class ReadersPace(FlowControl):
    """The flow control of a connection, which reads nothing while the client does not read its answers."""

    def resume_reading(self) -> None:
        """Resume reading, unless the client does not read."""
        if not self.write_paused:
            super().resume_reading()


class ClosesGently:
    """The transport of a request whose client may still send. `close` lets the client read the answer first."""

    def __init__(self, connection: PlainHttp) -> None:
        self.connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        """Close the connection; if its client may still send, let it read the answer first."""
        if self.connection.cycle.more_body or self.connection.deaf:
            self.connection.linger()
        else:
            self.connection.transport.close()


class RequestLog:
    """The logger for uvicorn's handling of requests: logs bugs with a traceback, and not the stop of the server."""

    level = logging.INFO

    def error(self, message: str, *values: object, exc_info: BaseException | None = None) -> None:
        """Log an error with its traceback, except for the cancellation when the server stops."""
        if not isinstance(exc_info, asyncio.CancelledError):
            logger.error(message.rstrip(), *values, exc_info=exc_info)

    def warning(self, message: str, *values: object) -> None:
        """Log a warning."""
        logger.warning(message.rstrip(), *values)


QUIET = RequestLog()
