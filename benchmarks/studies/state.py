"""`perdure bench state`: saves and gets of the state API in a second, with so many under way.

The one law: each save is of a key of its own and is durable when it counts, and each get is of a key that was saved.
It is measured twice: of an engine in this process, and of a daemon over HTTP, with the load beside it.
"""

import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import anyio
import click

from ...runtime.engine import Engine
from ...runtime.state.state import StateChange
from ...runtime.state.stores import USUAL_STORE
from ..drivers.daemon import Daemon, serving
from ..drivers.http_client import HttpClient
from ..drivers.in_process import EngineSetup
from ..terminal import Line, show, table

VALUE = json.dumps({"name": "cars", "quantity": 100, "per_item_cost": 15_000}).encode()


class StateRate(NamedTuple):
    """What one way of asking has come to."""

    what: str
    in_flight: int
    a_second: float


async def measure_state(folder: Path, *, keys: int, in_flight: int) -> list[StateRate]:
    """Save so many keys and get them, in process and over HTTP."""
    setup = EngineSetup(folder=folder)
    async with Engine(data=setup.store, settings=setup.settings()) as engine:

        async def save(key: str) -> None:
            await engine.states.change(USUAL_STORE, [StateChange(key, VALUE)])

        async def get(key: str) -> None:
            assert await engine.states.get(USUAL_STORE, key) is not None

        rates = [await _rate(f"{what}, in process", call, keys, in_flight) for what, call in _of(save, get)]
    async with serving(Daemon(setup, {})) as daemon, HttpClient(daemon.host, daemon.port) as client:
        path = f"/v1.0/state/{USUAL_STORE}"

        async def post(key: str) -> None:
            answer = await client.post(path, b'[{"key":"%b","value":%b}]' % (key.encode(), VALUE))
            assert answer.status == 204, answer

        async def read(key: str) -> None:
            answer = await client.get(f"{path}/{key}")
            assert answer.status == 200, answer

        rates += [await _rate(f"{what}, over HTTP", call, keys, in_flight) for what, call in _of(post, read)]
    return rates


Call = Callable[[str], Awaitable[None]]


def _of(save: Call, get: Call) -> list[tuple[str, Call]]:
    return [("saves", save), ("gets", get)]


async def _rate(what: str, call: Call, keys: int, in_flight: int) -> StateRate:
    """Make a call for each key, so many at a time."""
    left = iter(range(keys))

    async def caller() -> None:
        for number in left:
            await call(f"k{number}")

    began_s = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(in_flight):
            tasks.start_soon(caller)
    return StateRate(what, in_flight, keys / (time.perf_counter() - began_s))


@click.command()
@click.option("--keys", type=click.IntRange(min=1), default=20_000, show_default=True)
@click.option("--in-flight", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="A folder for the store.")
def state(keys: int, in_flight: int, data: Path | None) -> None:
    """Measure saves and gets of the state API.

    For example: perdure bench state --in-flight 50
    """
    with tempfile.TemporaryDirectory(prefix="perdure-state-", dir=data) as folder:
        rates = anyio.run(lambda: measure_state(Path(folder), keys=keys, in_flight=in_flight))
    lines = [Line((rate.what, str(rate.in_flight), f"{rate.a_second:,.0f}")) for rate in rates]
    show(table(("what", "in flight", "a second"), lines, title=f"{keys:,} keys"))
