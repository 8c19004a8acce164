"""Python programs save values, typed like inputs and results of workflows."""

from dataclasses import dataclass
from datetime import timedelta

import anyio
import pytest

from perdure.runtime.engine import Engine
from perdure.runtime.errors import InvalidRequest, PayloadError
from perdure.runtime.settings import Settings
from perdure.runtime.state.client import DeleteValue, SavedValue, SetValue
from perdure.runtime.state.errors import EtagMismatch, StateStoreNotFound
from perdure.testing.virtual_time import LoopClock, run_virtually


@dataclass
class Item:
    name: str
    count: int


def test_a_value_is_saved_read_as_its_type_and_deleted() -> None:
    async def run() -> None:
        async with Engine(data=":memory:", settings=Settings(app_id="app")) as engine:
            state = engine.client.state("statestore")
            await state.set("cars", Item("car", 7))
            assert await state.get("cars") == {"name": "car", "count": 7}
            assert await state.get("cars", Item) == Item("car", 7)
            assert await state.look("cars", Item) == SavedValue(Item("car", 7), "1")
            with pytest.raises(PayloadError):
                await state.get("cars", int)
            # The app's SDK sees the same value.
            found = await engine.states.get("statestore", "cars")
            assert found is not None
            assert found.value == b'{"name":"car","count":7}'
            await state.delete("cars", etag="1")
            assert await state.get("cars") is None
            await state.set("nothing", None)
            assert await state.look("nothing") == SavedValue(None, "3")

    run_virtually(run)


def test_a_value_that_another_has_changed_is_left() -> None:
    async def run() -> None:
        async with Engine(data=":memory:") as engine:
            state = engine.client.state("statestore")
            await state.set("k", 1, new=True)
            with pytest.raises(EtagMismatch):
                await state.set("k", 2, new=True)
            with pytest.raises(EtagMismatch):
                await state.set("k", 2, etag="7")
            with pytest.raises(EtagMismatch):
                await state.transaction([SetValue("other", 1), DeleteValue("k", etag="7")])
            assert await state.get("other") is None
            await state.transaction([SetValue("other", 1), DeleteValue("k", etag="1")])
            assert (await state.get("other"), await state.get("k")) == (1, None)

    run_virtually(run)


def test_a_value_may_count_for_a_time() -> None:
    async def run() -> None:
        async with Engine(data=":memory:", clock=LoopClock()) as engine:
            state = engine.client.state("statestore")
            await state.set("k", 1, ttl=timedelta(milliseconds=1))
            assert await state.get("k") == 1
            await anyio.sleep(1.1)
            assert await state.get("k") is None
            with pytest.raises(InvalidRequest, match="must be more than 0 seconds"):
                await state.set("k", 1, ttl=timedelta())

    run_virtually(run)


def test_a_store_that_is_not_there_is_refused_at_once() -> None:
    async def run() -> None:
        async with Engine(data=":memory:") as engine:
            with pytest.raises(StateStoreNotFound, match="there is statestore"):
                engine.client.state("cart")

    run_virtually(run)
