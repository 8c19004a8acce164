"""The port of the metrics is opened like the others, asks for a token as they do, and its error names its flag."""

from contextlib import closing
from dataclasses import replace
from typing import Any

import anyio
import httpx
import pytest
from starlette.responses import PlainTextResponse

from perdure.api.ports import CannotListen, Door
from perdure.api.tokens import NamedToken, Tokens
from perdure.daemon.config import RUN_FLAGS
from perdure.daemon.hints import explain
from perdure.daemon.telemetry.metrics_port import guarded
from perdure.http.serving.listener import address, listen

from ...support.processes.host_config import host_config


def test_a_port_that_is_in_use_is_named_with_the_flag_that_chooses_it() -> None:
    with closing(listen("127.0.0.1", 0)) as taken:
        _, port = address(taken)
        with pytest.raises(CannotListen) as refusal:
            listen("127.0.0.1", port, Door.METRICS)
    assert f"127.0.0.1:{port}" in str(refusal.value)
    assert "--metrics-port" in explain(refusal.value, RUN_FLAGS)


def status(headers: dict[str, str], tokens: Any, *, open_: bool = False) -> int:
    """Request metrics from a guarded port."""
    app = guarded(PlainTextResponse("x 1"), replace(host_config("x.py"), metrics_open=open_), tokens)

    async def get() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return (await client.get("/metrics", headers=headers)).status_code

    return anyio.run(get)


@pytest.mark.parametrize("tokens", [("secret", "other"), Tokens([NamedToken("ops", "secret")])])
def test_where_the_api_asks_for_a_token_the_metrics_do(tokens: Any) -> None:
    assert status({}, tokens) == 401
    assert status({"authorization": "Bearer wrong"}, tokens) == 401
    assert status({"authorization": "Bearer secret"}, tokens) == 200
    assert status({"dapr-api-token": "secret"}, tokens) == 200
    assert status({}, tokens, open_=True) == 200


def test_without_tokens_only_web_pages_are_kept_out() -> None:
    assert status({}, ()) == 200
    assert status({"host": "evil.example"}, ()) == 403
