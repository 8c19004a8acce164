"""State stores of an engine in memory, behind each of the two doors."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx

from perdure.actors.store.memory import MemoryStore
from perdure.api.sidecar import Sidecar
from perdure.http.app import HttpOptions, create_app
from perdure.runtime.engine import Engine
from perdure.runtime.settings import Settings
from perdure.runtime.state.stores import StateStore, StateStores
from perdure.testing.faulty_store import FaultyStore

from .fake_facade import FakeControl, FakeFacade

APP_ID = "orders"


@asynccontextmanager
async def state_engine(stores: Sequence[str] = ("statestore",)) -> AsyncIterator[tuple[Engine, FaultyStore]]:
    """An engine with state stores of these names."""
    store = FaultyStore(MemoryStore())
    settings = Settings(app_id=APP_ID, state_stores=StateStores([StateStore(name) for name in stores]))
    async with Engine(data=store, settings=settings) as engine:
        yield engine, store


class StateHttp:
    """Asks over HTTP."""

    def __init__(self, client: httpx.AsyncClient, store: FaultyStore) -> None:
        self._client = client
        self.store = store

    async def ask(self, method: str, target: str, content: str | bytes = b"", **headers: str) -> httpx.Response:
        asked = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._client.request(method, target, content=content, headers=asked)


def over_http(story: Callable[[StateHttp], Awaitable[None]], *, stores: Sequence[str] = ("statestore",)) -> None:
    """Run a story against Dapr's routes."""

    async def run() -> None:
        async with state_engine(stores) as (engine, store):
            app = create_app(
                FakeFacade(),
                HttpOptions(app_id=APP_ID, body_bytes_max=10_000),
                Sidecar(FakeControl(), app_id=APP_ID, states=engine.states),
            )
            transport: Any = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://perdure") as client:
                await story(StateHttp(client, store))

    anyio.run(run)
