"""The state API over an engine: saved values are read, with etags, transactions and times to live."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.memory import MemoryStore
from perdure.runtime.engine import Engine
from perdure.runtime.settings import Opening, OtherApp, Settings
from perdure.runtime.state.errors import (
    EtagMismatch,
    StateKeyInvalid,
    StateOptionInvalid,
    StateStoreNotFound,
    StateUnavailable,
)
from perdure.runtime.state.state import (
    StateChange,
    StateRead,
    States,
    StateValue,
    is_first_write,
    ttl_s_in,
)
from perdure.runtime.state.stores import StateStore, StateStores
from perdure.testing.faulty_store import FaultyStore
from perdure.testing.virtual_time import LoopClock, run_virtually

S = "statestore"


def told(story: Callable[[States], Awaitable[None]], *, always_replay: bool = False) -> None:
    async def run() -> None:
        settings = Settings(app_id="app", always_replay=always_replay)
        async with Engine(data=":memory:", settings=settings, clock=LoopClock()) as engine:
            await story(engine.states)

    run_virtually(run)


@pytest.fixture(params=[False, True], ids=["in memory", "evicted after each turn"])
def tell(request: pytest.FixtureRequest) -> Callable[[Callable[[States], Awaitable[None]]], None]:
    return lambda story: told(story, always_replay=request.param)


Tell = Callable[[Callable[[States], Awaitable[None]]], None]


def test_what_was_saved_is_read_byte_for_byte(tell: Tell) -> None:
    async def story(states: States) -> None:
        value = b' {"a":  1.0}\x00\xff'
        await states.change(S, [StateChange("k", value), StateChange("empty", b"")])
        assert await states.get(S, "k") == StateValue(value, "1")
        assert await states.get(S, "empty") == StateValue(b"", "2")
        assert await states.get(S, "other") is None
        assert await states.get_many(S, ["empty", "other", "empty"]) == [
            StateRead("empty", StateValue(b"", "2")),
            StateRead("other", None),
            StateRead("empty", StateValue(b"", "2")),
        ]
        await states.change(S, [StateChange("k", None), StateChange("never", None)])
        assert await states.get(S, "k") is None

    tell(story)


def test_a_value_that_is_not_the_one_that_was_seen_is_left(tell: Tell) -> None:
    async def story(states: States) -> None:
        await states.change(S, [StateChange("k", b"1")])
        seen = await states.get(S, "k")
        assert seen is not None
        await states.change(S, [StateChange("k", b"2", etag=seen.etag)])
        with pytest.raises(EtagMismatch) as refused:
            await states.change(S, [StateChange("k", b"3", etag=seen.etag)])
        assert "state etag not match for key=app||k: current=2, expect=1" in str(refused.value)
        with pytest.raises(EtagMismatch):
            await states.change(S, [StateChange("k", None, etag="no number")])
        with pytest.raises(EtagMismatch, match="item already exists"):
            await states.change(S, [StateChange("k", b"4", first_write=True)])
        found = await states.get(S, "k")
        assert found is not None
        assert found.value == b"2"

    tell(story)


def test_counters_of_many_callers_lose_no_step(tell: Tell) -> None:
    async def story(states: States) -> None:
        async def count() -> None:
            while True:
                seen = await states.get(S, "n")
                value = b"%d" % (int(seen.value) + 1 if seen else 1)
                try:
                    await states.change(S, [StateChange("n", value, seen.etag if seen else "", first_write=True)])
                except EtagMismatch:
                    continue
                return

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(count)
        found = await states.get(S, "n")
        assert found is not None
        assert found.value == b"20"

    tell(story)


def test_a_transaction_is_whole_or_not_at_all(tell: Tell) -> None:
    async def story(states: States) -> None:
        await states.change(S, [StateChange("a", b"1"), StateChange("b", b"1")], whole=True)
        with pytest.raises(EtagMismatch):
            await states.change(S, [StateChange("a", b"2"), StateChange("b", None, etag="9")], whole=True)
        assert [read.value and read.value.value for read in await states.get_many(S, ["a", "b"])] == [b"1", b"1"]

    tell(story)


def test_of_several_changes_those_that_can_be_made_are(tell: Tell) -> None:
    async def story(states: States) -> None:
        with pytest.raises(EtagMismatch) as refused:
            await states.change(S, [StateChange("a", b"1"), StateChange("b", b"1", etag="9"), StateChange("c", b"1")])
        assert refused.value.positions == [1]
        assert [read.value is not None for read in await states.get_many(S, ["a", "b", "c"])] == [True, False, True]

    tell(story)


def test_a_value_is_served_until_its_time_is_over_and_is_gone_from_the_store_soon_after(tell: Tell) -> None:
    async def story(states: States) -> None:
        await states.change(S, [StateChange("k", b"1", ttl_s=3), StateChange("later", b"1", ttl_s=3600)])
        await states.change(S, [StateChange("for ever", b"1")])
        await anyio.sleep(2.9)
        assert await states.get(S, "k") is not None
        await anyio.sleep(0.2)
        assert await states.get(S, "k") is None
        await anyio.sleep(10)
        found = await states._host.store.items(("state", S), ["app||k", "app||later", "app||for ever"])  # type: ignore[arg-type]
        assert found is not None
        assert [*found.items] == ["app||later", "app||for ever"]
        await anyio.sleep(3700)
        found = await states._host.store.items(("state", S), ["app||later", "app||for ever"])  # type: ignore[arg-type]
        assert found is not None
        assert [*found.items] == ["app||for ever"]

    tell(story)


def test_a_value_that_is_saved_again_without_a_time_stays(tell: Tell) -> None:
    async def story(states: States) -> None:
        await states.change(S, [StateChange("k", b"1", ttl_s=3)])
        await states.change(S, [StateChange("k", b"2")])
        await anyio.sleep(60)
        assert await states.get(S, "k") == StateValue(b"2", "2")

    tell(story)


def test_thousands_of_values_expire_together(tell: Tell) -> None:
    async def story(states: States) -> None:
        keys = [str(number) for number in range(1_200)]
        await states.change(S, [StateChange(key, b"1", ttl_s=3) for key in keys])
        await anyio.sleep(20)
        found = await states._host.store.items(("state", S), [f"app||{key}" for key in keys])  # type: ignore[arg-type]
        assert found is not None
        assert found.items == {}

    tell(story)


def test_apps_have_keys_of_their_own_and_may_share_a_store() -> None:
    async def run() -> None:
        stores = StateStores([StateStore(S), StateStore("shared", "none")])
        settings = Settings(app_id="a", state_stores=stores)
        opening = Opening(others=[OtherApp("b")])
        async with Engine(data=":memory:", settings=settings, opening=opening) as engine:
            a, b = engine.states, engine.states.of_app("b")
            for store in (S, "shared"):
                await a.change(store, [StateChange("k", b"of a")])
            assert await b.get(S, "k") is None
            assert await b.get("shared", "k") == StateValue(b"of a", "1")

    run_virtually(run)


def test_a_store_or_a_key_that_cannot_be_is_refused_before_anything_is_done(tell: Tell) -> None:
    async def story(states: States) -> None:
        for call in (states.get("other", "k"), states.change("other", [])):
            with pytest.raises(StateStoreNotFound):
                await call
        with pytest.raises(StateKeyInvalid):
            await states.change(S, [StateChange("a", b"1"), StateChange("b||c", b"1")])
        assert await states.get(S, "a") is None

    tell(story)


def test_values_outlive_the_engine() -> None:
    async def run() -> None:
        store, clock = MemoryStore(), LoopClock()
        for _ in range(2):
            async with Engine(data=store, settings=Settings(app_id="app"), clock=clock) as engine:
                value = await engine.states.get(S, "k")
                await engine.states.change(S, [StateChange("k", b"1", ttl_s=30)] if value is None else [])
        await anyio.sleep(60)
        # The value expires while no engine runs, and is forgotten at the next start.
        async with Engine(data=store, settings=Settings(app_id="app"), clock=clock):
            await anyio.sleep(10)
        found = await store.items(("state", S), ["app||k"])  # type: ignore[arg-type]
        assert found is not None
        assert found.items == {}

    run_virtually(run)


def test_a_commit_that_fails_has_changed_nothing_and_the_next_one_counts_right() -> None:
    async def run() -> None:
        store = FaultyStore(MemoryStore())
        async with Engine(data=store, settings=Settings(app_id="app")) as engine:
            await engine.states.change(S, [StateChange("k", b"1")])
            store.fail_next_commit()
            with pytest.raises(StoreFailed):
                await engine.states.change(S, [StateChange("k", b"2")])
            assert await engine.states.get(S, "k") == StateValue(b"1", "1")
            await engine.states.change(S, [StateChange("k", b"3", etag="1")])
            store.fail("items")
            with pytest.raises(StoreFailed):
                await engine.states.get(S, "k")

    run_virtually(run)


def test_nothing_is_saved_while_a_host_is_there_that_knows_no_state_stores() -> None:
    async def run() -> None:
        async with Engine(data=":memory:", settings=Settings(app_id="app")) as engine:
            known = False
            states = States(
                engine._host,
                StateStores(),
                engine.directory.of("app"),
                clock=LoopClock(),
                writable=lambda: known,
            )
            with pytest.raises(StateUnavailable, match="an older release"):
                await states.change(S, [StateChange("k", b"1")])
            assert await states.get(S, "k") is None
            known = True
            await states.change(S, [StateChange("k", b"1")])

    run_virtually(run)


# Dapr's options.


def test_options_are_daprs() -> None:
    assert is_first_write("first-write", "strong")
    assert not is_first_write("last-write", "eventual")
    assert not is_first_write("", "")
    with pytest.raises(StateOptionInvalid, match="unrecognized concurrency model 'x'"):
        is_first_write("x", "")
    with pytest.raises(StateOptionInvalid, match="unrecognized consistency model 'x'"):
        is_first_write("", "x")


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("0", 0), ("-1", 0), ("+5", 5), ("60", 60), ("007", 7)])
def test_a_time_to_live_is_a_number_of_seconds(text: str, seconds: int) -> None:
    assert ttl_s_in({"ttlInSeconds": text}) == seconds


@pytest.mark.parametrize("text", ["x", "1.5", "1_0", "-", " 1", "٣", "1" * 20])
def test_a_time_to_live_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(StateOptionInvalid, match=r"strconv\.Atoi: parsing"):
        ttl_s_in({"ttlInSeconds": text})
