"""Restate as a peer: what its ingress is asked, and how its server is told where to listen."""

import pytest

from perdure.benchmarks.drivers.http_client import HttpAnswer
from perdure.benchmarks.peers.peer_process import PeerFailed
from perdure.benchmarks.peers.peer_restate import RestateCalls, checked, variables

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Ingress:
    """Stands in for `HttpClient`."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.asked: list[tuple[str, bytes]] = []

    async def post(self, path: str, body: bytes) -> HttpAnswer:
        self.asked.append((path, body))
        return HttpAnswer(self.status, b"7")

    async def get(self, path: str) -> HttpAnswer:
        return await self.post(path, b"")


async def test_an_instance_is_one_request() -> None:
    ingress = Ingress()
    assert await RestateCalls(ingress).call("chain", "a", 5) == 7  # type: ignore[arg-type]
    assert ingress.asked == [("/chain/a/run", b"5")]


async def test_one_that_waits_for_an_event_is_started_signalled_and_waited_for() -> None:
    ingress = Ingress(202)
    calls = RestateCalls(ingress)  # type: ignore[arg-type]
    await calls.start("signal", "b", None)
    await calls.send("signal", "b", 7)
    assert await calls.wait("signal", "b") == 7
    assert ingress.asked == [
        ("/signal/b/run/send", b"null"),
        ("/signal/b/go", b"7"),
        ("/restate/workflow/signal/b/attach", b""),
    ]


def test_an_answer_that_is_an_error_ends_the_run() -> None:
    assert checked("POST /x", HttpAnswer(202, b"fine")) == b"fine"
    with pytest.raises(PeerFailed, match="POST /x was answered 500 'no partition'"):
        checked("POST /x", HttpAnswer(500, b"no partition"))


def test_the_server_listens_on_loopback_only_and_reports_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTATE_LISTEN_MODE", "unix")
    found = variables(1, 2, 3)
    addresses = {name: value for name, value in found.items() if name.endswith("BIND_ADDRESS")}
    assert sorted(addresses.values()) == ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]
    assert found["RESTATE_LISTEN_MODE"] == "tcp"
    assert found["RESTATE_DISABLE_TELEMETRY"] == "true"
