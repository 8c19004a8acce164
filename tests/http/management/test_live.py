"""Long requests end at once when the caller disconnects or the daemon stops, and say so."""

import anyio
import anyio.lowlevel
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from perdure.actors.errors import HostStopping
from perdure.http.management.live import LiveStream, Write, wait_for

pytestmark = pytest.mark.anyio


class Caller:
    """A caller that may disconnect, and the messages that it was sent."""

    def __init__(self) -> None:
        self.gone = anyio.Event()
        self.sent: list[Message] = []
        self.blocked = False

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.blocked:
            await anyio.sleep_forever()
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def ended(self) -> bool:
        return self.sent[-1].get("more_body") is False


async def answer() -> str:
    return "answer"


async def forever() -> str:
    await anyio.sleep_forever()
    raise AssertionError


async def fail() -> str:
    raise ValueError("as it is")


def request(caller: Caller) -> Request:
    return Request({"type": "http", "headers": []}, caller.receive)


async def test_work_that_is_done_is_the_answer() -> None:
    assert await wait_for(request(Caller()), anyio.Event(), answer) == "answer"


async def test_an_error_of_the_work_comes_as_it_is() -> None:
    with pytest.raises(ValueError, match="as it is"):
        await wait_for(request(Caller()), anyio.Event(), fail)


@pytest.mark.parametrize(("what", "error"), [("stop", HostStopping), ("hang up", ClientDisconnect)])
async def test_work_ends_with_the_daemon_and_with_its_caller(what: str, error: type[Exception]) -> None:
    # Given work that never ends,
    caller, stopping = Caller(), anyio.Event()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            # when the caller disconnects or the daemon stops, then the work ends, and the answer gives the reason.
            tasks.start_soon(later, stopping if what == "stop" else caller.gone)
            with pytest.raises(error):
                await wait_for(request(caller), stopping, forever)


async def later(event: anyio.Event) -> None:
    await anyio.lowlevel.checkpoint()
    event.set()


async def run(stream: LiveStream, caller: Caller) -> None:
    with anyio.fail_after(5):
        await stream({"type": "http"}, caller.receive, caller.send)


async def test_a_stream_is_written_piece_by_piece_and_ended() -> None:
    async def produce(write: Write) -> None:
        await write(b"one ")
        await write(b"two")

    caller = Caller()
    await run(LiveStream(produce, anyio.Event(), media_type="text/plain", last_word=b"!"), caller)
    assert caller.sent[0]["status"] == 200
    assert b"content-length" not in dict(caller.sent[0]["headers"])
    assert (caller.body, caller.ended) == (b"one two", True)


async def test_a_stream_ends_with_a_last_word_when_the_daemon_stops() -> None:
    stopping = anyio.Event()

    async def produce(write: Write) -> None:
        await write(b"one ")
        stopping.set()
        await anyio.sleep_forever()

    caller = Caller()
    await run(LiveStream(produce, stopping, media_type="text/plain", last_word=b"stopped"), caller)
    assert (caller.body, caller.ended) == (b"one stopped", True)


async def test_a_stream_ends_without_a_word_when_its_reader_has_gone() -> None:
    caller, ended = Caller(), False

    async def produce(write: Write) -> None:
        nonlocal ended
        caller.gone.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended = True

    await run(LiveStream(produce, anyio.Event(), media_type="text/plain"), caller)
    assert ended
    assert len(caller.sent) == 1


async def test_a_reader_that_does_not_read_does_not_hold_up_the_stop() -> None:
    # Given a stream whose reader has stopped reading,
    caller, stopping = Caller(), anyio.Event()

    async def produce(write: Write) -> None:
        caller.blocked = True
        stopping.set()
        await write(b"never read")

    # when the daemon stops, then the stream ends soon.
    await run(LiveStream(produce, stopping, media_type="text/plain"), caller)
    assert caller.body == b""
