"""Hosts that share a store: each answers for all keys, and acknowledged changes outlive the host that had the keys."""

import anyio
import pytest

from perdure import Settings
from perdure.runtime.state.errors import EtagMismatch
from perdure.runtime.state.state import StateChange
from perdure.testing.virtual_time import run_virtually
from tests.support.workflows.shared_engines import shared_engines

S = "statestore"


def test_each_host_answers_for_all_keys_with_the_etags_of_the_others() -> None:
    async def story() -> None:
        async with shared_engines(None, Settings(app_id="app")) as engines:
            one, two = (each.engine.states for each in engines.running)
            await one.change(S, [StateChange("k", b"1")])
            seen = await two.get(S, "k")
            assert seen is not None
            assert seen.value == b"1"
            # Each host takes the etag that the other has given out, with either as the shard's owner.
            await two.change(S, [StateChange("k", b"2", seen.etag)])
            for states in (one, two):
                with pytest.raises(EtagMismatch):
                    await states.change(S, [StateChange("k", b"3", seen.etag)])
            await one.change(S, [StateChange("a", b"1"), StateChange("k", None)], whole=True)
            assert [read.value and read.value.value for read in await two.get_many(S, ["a", "k"])] == [b"1", None]
            for each in engines.running:
                await each.stop()

    run_virtually(story)


def test_values_outlive_the_host_that_had_their_shard() -> None:
    async def story() -> None:
        async with shared_engines(None, Settings(app_id="app")) as engines:
            owner = engines.owner_of(S)
            (other,) = (each for each in engines.running if each is not owner)
            await owner.engine.states.change(S, [StateChange("k", b"1"), StateChange("soon", b"1", ttl_s=20)])
            owner.kill()
            await anyio.sleep(30)
            states = other.engine.states
            found = await states.get(S, "k")
            assert found is not None
            await states.change(S, [StateChange("k", b"2", found.etag)])
            assert await states.get(S, "soon") is None
            await anyio.sleep(10)
            stored = await other.store.items(("state", S), ["app||k", "app||soon"])  # type: ignore[arg-type]
            assert stored is not None
            assert [*stored.items] == ["app||k"], "the reminder is the next owner's"
            await other.stop()

    run_virtually(story)
