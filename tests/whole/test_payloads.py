"""Any text that a client sends by either API reaches the code, over a crash, and comes back as Python's json has it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import grpc
import httpx
import pytest

from ..support.doors.rpc_host import Client
from ..support.processes.daemon import Daemon

APP = """
import perdure

app = perdure.App("payloads")


@app.activity
def echo(ctx, pair):
    return pair


@app.workflow
async def through(ctx, given):
    event = await ctx.wait_for_external_event("go")
    return await ctx.call_activity(echo, input=[given, event])


@app.workflow
async def counts(ctx, given: int):
    return given


@app.workflow
async def says(ctx, given: str):
    return given
"""

TEXTS = {
    "number": "1.5",
    "nan": "NaN",
    "infinite": '{"high":Infinity,"low":-Infinity}',
    "beyond": "[1e999]",
    "surrogate": '"\\ud800"',
    "surrogate-key": '{"\\udc00":["\\ud800\\ud800"]}',
    "pair": '"\\ud83c\\udf89"',
    "words": "approved by Ann",
    "cut": '{"a":',
    "single": "{'a':1}",
    "two": "1 2",
    "comma": "[1,]",
    "nul": "\x00",
    "blank": " ",
    "deep": "[" * 5_000,
    "long-number": "1" * 5_000,
}


def as_python_reads(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("payloads")
    (folder / "app.py").write_text(APP)
    return folder


def start(folder: Path) -> Daemon:
    return Daemon(folder / "app.py", folder / "p.db")


@pytest.fixture(scope="module")
def daemon(folder: Path) -> Iterator[Daemon]:
    """A daemon that has been killed while all instances were waiting, half of them started over each API."""
    with start(folder) as first:
        for name, text in TEXTS.items():
            sent = httpx.post(
                f"{first.url}/v1.0/workflows/dapr/through/start", params={"instanceID": name}, content=text
            )
            assert sent.status_code == 202, (name, sent.text)
        by_grpc(
            first,
            *(("StartInstance", f"{name}.rpc", {"name": "through", "input": {"value": TEXTS[name]}}) for name in TEXTS),
        )
        first.kill()
    with start(folder) as second:
        for name, text in TEXTS.items():
            sent = httpx.post(f"{second.url}/v1.0/workflows/dapr/{name}/raiseEvent/go", content=text)
            assert sent.status_code == 202, (name, sent.text)
        by_grpc(
            second, *(("RaiseEvent", f"{name}.rpc", {"name": "go", "input": {"value": TEXTS[name]}}) for name in TEXTS)
        )
        yield second


def by_grpc(daemon: Daemon, *calls: tuple[str, str, dict[str, Any]]) -> None:
    async def main() -> None:
        async with grpc.aio.insecure_channel(daemon.grpc) as channel:
            for method, instance_id, fields in calls:
                await Client(channel).call(method, instanceId=instance_id, timeout_s=20, **fields)

    anyio.run(main)


@pytest.mark.parametrize("door", ["", ".rpc"], ids=["http", "grpc"])
@pytest.mark.parametrize("name", TEXTS)
def test_a_payload_comes_back_as_pythons_json_reads_it(daemon: Daemon, name: str, door: str) -> None:
    properties = daemon.wait_for(name + door, "COMPLETED")["properties"]
    assert properties["dapr.workflow.input"] == TEXTS[name]
    value = as_python_reads(TEXTS[name])
    assert repr(json.loads(properties["dapr.workflow.output"])) == repr([value, value])


@pytest.mark.parametrize(
    ("workflow", "body", "status", "said"),
    [
        ("says", "approved by Ann", "COMPLETED", '"approved by Ann"'),
        ("counts", "7", "COMPLETED", "7"),
        ("counts", "seven", "FAILED", "'seven' is not int"),
        ("counts", "NaN", "FAILED", "'NaN' is not int"),
        ("says", "7", "FAILED", "'7' is not str"),
    ],
)
def test_only_an_annotation_that_it_does_not_fit_fails(
    daemon: Daemon, workflow: str, body: str, status: str, said: str
) -> None:
    instance_id = f"{workflow}-{body.split(maxsplit=1)[0]}"
    httpx.post(f"{daemon.url}/v1.0/workflows/dapr/{workflow}/start", params={"instanceID": instance_id}, content=body)
    assert said in str(daemon.wait_for(instance_id, status)["properties"])


def test_only_what_is_not_utf_8_is_refused(daemon: Daemon) -> None:
    url = f"{daemon.url}/v1.0/workflows/dapr"
    assert httpx.post(f"{url}/through/start", content=b"\xff").status_code == 400
    assert httpx.post(f"{url}/through/start", content=b'"\xed\xa0\x80"').status_code == 400
