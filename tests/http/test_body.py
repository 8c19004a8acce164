"""A body is read up to a limit, in one piece or in many."""

from collections.abc import Iterable
from typing import Any

import anyio
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message

from perdure.api.words import Refusal
from perdure.http import body
from perdure.http.body import REST_BYTES_MAX, BodyReceipt, read, read_nothing, read_text, settle

from ..support.doors.fake_facade import FakeFacade, ask, make_app, state


class Wire:
    """The receive function of a server: it gives the pieces of a body, one by one."""

    def __init__(self, *pieces: bytes | None, content_length: str | None = None) -> None:
        self.pieces = list(pieces)
        self.taken = 0
        headers = [(b"host", b"perdure")]
        if content_length is not None:
            headers.append((b"content-length", content_length.encode()))
        self.request = Request({"type": "http", "headers": headers}, self.receive)

    async def receive(self) -> dict[str, Any]:
        piece = self.pieces[self.taken]
        self.taken += 1
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": self.taken < len(self.pieces)}


@pytest.mark.parametrize("pieces", [(b"",), (b"abc",), (b"a", b"", b"bc"), (b"a", b"b", b"c", b"")])
def test_the_pieces_come_back_as_one(pieces: tuple[bytes, ...]) -> None:
    assert anyio.run(lambda: read(Wire(*pieces).request, bytes_max=3)) == b"".join(pieces)


def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    wire = Wire(b"x" * 11, content_length="11")
    with pytest.raises(Refusal, match="more than 10 bytes"):
        anyio.run(lambda: read(wire.request, bytes_max=10))
    assert wire.taken == 0


def test_a_body_that_does_not_say_is_stopped_where_it_crosses_the_limit() -> None:
    wire = Wire(b"x" * 6, b"x" * 6, b"x" * 6)
    with pytest.raises(Refusal, match="more than 10 bytes"):
        anyio.run(lambda: read(wire.request, bytes_max=10))
    assert wire.taken == 2


def test_a_body_that_lies_is_stopped_too() -> None:
    wire = Wire(b"x" * 11, content_length="1")
    with pytest.raises(Refusal, match="more than 10 bytes"):
        anyio.run(lambda: read(wire.request, bytes_max=10))


@pytest.mark.parametrize("content_length", ["", "ten", "-1", "1.5"])
def test_a_length_that_is_no_number_promises_nothing(content_length: str) -> None:
    assert anyio.run(lambda: read(Wire(b"x", content_length=content_length).request, bytes_max=1)) == b"x"


def test_a_caller_who_hangs_up_is_no_end_of_the_body() -> None:
    with pytest.raises(ClientDisconnect):
        anyio.run(lambda: read(Wire(b"abc", None).request, bytes_max=10))


def test_text_is_utf_8_and_nothing_is_the_empty_text() -> None:
    assert anyio.run(lambda: read_text(Wire("é🙂".encode()).request, bytes_max=10)) == "é🙂"
    assert anyio.run(lambda: read_text(Wire(b"").request, bytes_max=10)) == ""


@pytest.mark.parametrize("body", [b"\xff", b"a\xc3", b"\xed\xa0\x80"], ids=["byte", "cut", "surrogate"])
def test_what_is_no_text_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal, match="failed deserializing HTTP body: it is not UTF-8"):
        anyio.run(lambda: read_text(Wire(body).request, bytes_max=10))


@pytest.mark.parametrize("body", [b"", b"{}", b' {"a": [1, {"b": null}]} '])
def test_nothing_or_an_object_is_nothing(body: bytes) -> None:
    anyio.run(lambda: read_nothing(Wire(body).request, bytes_max=100))


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b"{", b"{} {}", b"{'a':1}", b'{"a":NaN}', b'{"\xff":1}'])
def test_anything_else_is_not_nothing(body: bytes) -> None:
    with pytest.raises(Refusal, match="failed deserializing HTTP body: expected a JSON object or nothing"):
        anyio.run(lambda: read_nothing(Wire(body).request, bytes_max=100))


def chunks(size: int, count: int) -> Iterable[bytes]:
    for _ in range(count):
        yield b"x" * size


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/v1.0/workflows/dapr/W/start"),
        ("POST", "/v1.0/workflows/dapr/order-1/raiseEvent/E"),
        ("POST", "/v1.0/workflows/dapr/order-1/pause"),
        ("POST", "/v1.0/workflows/dapr/order-1/resume"),
        ("POST", "/v1.0/workflows/dapr/order-1/terminate"),
        ("POST", "/v1.0/workflows/dapr/order-1/purge"),
        ("PUT", "/v1.0/metadata/key"),
    ],
)
def test_every_operation_with_a_body_has_the_limit(method: str, target: str, caplog: pytest.LogCaptureFixture) -> None:
    facade = FakeFacade(state())
    response = ask(make_app(facade, body_bytes_max=1000), method, target, content=b"x" * 1001)
    assert response.status_code == 413
    assert response.json() == {
        "errorCode": "ERR_BODY_READ",
        "message": (
            "failed to read request body: it has more than 1000 bytes, which is the limit. "
            "Pass large data by reference, or raise the limit with --max-body-size."
        ),
    }
    assert facade.calls == []
    (line,) = [vars(record) for record in caplog.records if hasattr(record, "event")]
    assert (line["event"], line["limit"], line["maximum"]) == ("limit_reached", "max_body_size", 1000)


def test_a_body_at_the_limit_is_taken() -> None:
    app = make_app(body_bytes_max=1000)
    assert ask(app, "POST", "/v1.0/workflows/dapr/W/start", content=b"x" * 1000).status_code == 202


def test_the_limit_is_4_mib_unless_told_otherwise() -> None:
    app = make_app()
    size = 4 * 1024 * 1024
    assert ask(app, "POST", "/v1.0/workflows/dapr/W/start", content=b"x" * size).status_code == 202
    assert ask(app, "POST", "/v1.0/workflows/dapr/W/start", content=b"x" * (size + 1)).status_code == 413


# The rest of a body that the handler does not need.

SIZE = {"content-length": "6"}


def message(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def settled(messages: list[Message], headers: dict[str, str], *, read: int = 0) -> tuple[int, str | None]:
    """Settle a request of which `read` messages were read; return how many are left, and the answer's `Connection`."""
    left = list(messages)
    response = Response()

    async def receive() -> Message:
        if not left:
            await anyio.sleep_forever()
        return left.pop(0)

    async def run() -> None:
        receipt = BodyReceipt(receive)
        for _ in range(read):
            await receipt()
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        await settle({"type": "http", "headers": sent}, receipt, response)

    anyio.run(run)
    return len(left), response.headers.get("connection")


def test_the_rest_of_a_body_is_read_so_that_the_connection_can_be_used_again() -> None:
    parts = [message(b"abc", more=True), message(b"def", more=False)]
    assert settled(parts, SIZE) == (0, None)
    assert settled(parts, SIZE, read=1) == (0, None)
    assert settled(parts, {"transfer-encoding": "chunked"}) == (0, None)
    assert settled(parts, SIZE, read=2) == (0, None)
    assert settled([{"type": "http.disconnect"}], SIZE) == (0, None)


def test_a_request_without_a_body_is_not_waited_for() -> None:
    assert settled([message(b"", more=False)], {}) == (1, None)


def test_what_is_long_or_late_is_left_and_the_answer_says_that_the_connection_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    long = [message(bytes(REST_BYTES_MAX), more=True)] * 3
    assert settled(long, SIZE) == (1, "close")
    monkeypatch.setattr(body, "REST_S", 0.01)
    assert settled([message(b"abc", more=True)], SIZE) == (0, "close")
