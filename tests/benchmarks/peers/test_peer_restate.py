"""Restate as a peer: the requests to its ingress, and the setting of its server's address."""

from typing import Any, cast

import pytest

from perdure.benchmarks.drivers.http_client import HttpAnswer, HttpClient
from perdure.benchmarks.peers.peer_process import PeerFailed
from perdure.benchmarks.peers.peer_restate import ask, variables


class Script:
    """Replaces the client."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.asked: list[tuple[str, bytes]] = []

    async def post(self, path: str, body: bytes) -> HttpAnswer:
        self.asked.append((path, body))
        return HttpAnswer(self.status, b"7")

    async def get(self, path: str) -> HttpAnswer:
        return await self.post(path, b"")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("do", "value", "path", "body", "answer"),
    [
        ("call", 5, "/chain/a/run", b"5", 7),
        ("start", None, "/chain/a/run/send", b"null", None),
        ("send", 7, "/chain/a/go", b"7", None),
        ("wait", None, "/restate/workflow/chain/a/attach", b"", 7),
    ],
)
async def test_each_deed_is_one_request(do: str, value: Any, path: str, body: bytes, answer: Any) -> None:
    script = Script(202)
    assert await ask(cast(HttpClient, script), do, "chain", "a", value) == answer
    assert script.asked == [(path, body)]


@pytest.mark.anyio
async def test_an_answer_that_is_an_error_ends_the_run() -> None:
    with pytest.raises(PeerFailed, match="/chain/a/run was answered 500 '7'"):
        await ask(cast(HttpClient, Script(500)), "call", "chain", "a", 5)


def test_the_server_listens_on_loopback_only_and_sends_no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTATE_LISTEN_MODE", "unix")
    found = variables(1, 2, 3)
    addresses = {name: value for name, value in found.items() if name.endswith("BIND_ADDRESS")}
    assert sorted(addresses.values()) == ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]
    assert found["RESTATE_LISTEN_MODE"] == "tcp"
    assert found["RESTATE_DISABLE_TELEMETRY"] == "true"
