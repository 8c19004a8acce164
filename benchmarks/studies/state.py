"""`perdure bench state`: the rates of saves and gets of the state API.

The rule: each save has its own key and counts when it is durable, and each get reads a saved key. Measured are an
engine in this process, and a daemon over HTTP on the same machine as the load.
"""

import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import click

from ...runtime.engine import Engine
from ...runtime.state.state import StateChange
from ...runtime.state.stores import USUAL_STORE
from ..drivers.http_client import HttpClient
from ..drivers.in_process import EngineSetup
from ..drivers.processes import serving
from ..terminal import Line, show, table

VALUE = json.dumps({"name": "cars", "quantity": 100, "per_item_cost": 15_000}).encode()
PATH = f"/v1.0/state/{USUAL_STORE}"


async def measure_state(folder: Path, *, keys: int, in_flight: int) -> dict[str, float]:
    """Save keys and get them, in process and over HTTP; returns the rates a second."""
    setup = EngineSetup(folder=folder)
    async with Engine(data=setup.store, settings=setup.settings()) as engine:

        async def save(key: str) -> None:
            await engine.states.change(USUAL_STORE, [StateChange(key, VALUE)])

        async def get(key: str) -> None:
            assert await engine.states.get(USUAL_STORE, key) is not None

        rates = {
            "saves, in process": await rate_of(save, keys, in_flight),
            "gets, in process": await rate_of(get, keys, in_flight),
        }
    async with serving(setup) as daemon, HttpClient(daemon.host, daemon.port) as client:

        async def post(key: str) -> None:
            answer = await client.post(PATH, b'[{"key":"%b","value":%b}]' % (key.encode(), VALUE))
            assert answer.status == 204, answer

        async def read(key: str) -> None:
            answer = await client.get(f"{PATH}/{key}")
            assert answer.status == 200, answer

        return rates | {
            "saves, over HTTP": await rate_of(post, keys, in_flight),
            "gets, over HTTP": await rate_of(read, keys, in_flight),
        }


async def rate_of(call: Callable[[str], Awaitable[None]], keys: int, in_flight: int) -> float:
    left = iter(range(keys))

    async def caller() -> None:
        for number in left:
            await call(f"k{number}")

    began_s = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(in_flight):
            tasks.start_soon(caller)
    return keys / (time.perf_counter() - began_s)


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
    lines = [Line((what, str(in_flight), f"{rate:,.0f}")) for what, rate in rates.items()]
    show(table(("what", "in flight", "a second"), lines, title=f"{keys:,} keys"))
