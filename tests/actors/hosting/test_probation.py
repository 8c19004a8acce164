"""Suspects run one at a time, culprits are set aside first, and all other actors recover at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from perdure.actors.clock import SystemClock
from perdure.actors.hosting import quarantine
from perdure.actors.hosting.flight_record import FlightRecord
from perdure.actors.hosting.host import Host, Precautions
from perdure.actors.store.memory import MemoryStore

from ...support.actors.counter_actor import Add, CounterType, Forget, Read, Work, counter

pytestmark = pytest.mark.anyio


class World:
    """Processes of counters on one store, one after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = MemoryStore()

    @asynccontextmanager
    async def process(self, *, set_aside: tuple[str, ...] = ()) -> AsyncIterator[Host]:
        self.counters = CounterType()
        self.record = FlightRecord(self.path, actor_type="counter", slots=10)
        host = Host(
            self.store,
            SystemClock(),
            types={"counter": self.counters},
            routes={},
            precautions=Precautions(flight=self.record, set_aside=[counter(name) for name in set_aside]),
        )
        with anyio.fail_after(20):
            await host.open()
            async with host.running():
                yield host

    async def end_with(self, *names: str) -> None:
        """Let a process end, not in order, with an activity of each of these actors under way."""
        record = FlightRecord(self.path, actor_type="counter", slots=10)
        record.open()
        for name in names:
            record.begin(counter(name), "x:1")


@pytest.fixture
async def world(tmp_path: Path) -> World:
    world = World(tmp_path / "flight")
    async with world.process() as host:
        for name in ("a", "b", "c"):
            await host.ask(counter(name), Add(1))
            await host.ask(counter(name), Work(busy=True))
    return world


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "FLOOR_MIN_S", 0.3)
    monkeypatch.setattr(quarantine, "PAUSE_MIN_S", 0.3)


async def until(condition: object) -> None:
    assert callable(condition)
    while not condition():
        await anyio.sleep(0.005)


async def test_all_but_the_suspects_recover_at_once_and_suspects_one_after_the_other(world: World) -> None:
    # Given a process that ended while activities of two actors were under way,
    await world.end_with("a", "b")
    async with world.process():
        # when the next one begins, then the third actor and the later of the two recover,
        await until(lambda: len(world.counters.recovered) == 2)
        assert set(world.counters.recovered) == {"b", "c"}
        # and the earlier one only when the activity of the other has ended.
        await anyio.sleep(0.05)
        assert "a" not in world.counters.recovered
        world.record.end(world.record.begin(counter("b"), "x:1"))
        await until(lambda: "a" in world.counters.recovered)


async def test_what_arrives_for_a_suspect_waits_until_it_has_the_floor(world: World) -> None:
    await world.end_with("a", "b")
    async with world.process() as host:
        assert await host.ask(counter("c"), Read()) == 1
        assert await host.ask(counter("a"), Add(1)) == 2
        assert world.counters.recovered[-1] == "a"


async def test_a_suspect_that_does_nothing_has_the_floor_no_longer_than_it_took_and_a_bit(world: World) -> None:
    await world.end_with("a", "b")
    async with world.process():
        await until(lambda: len(world.counters.recovered) == 3)


async def test_before_the_end_that_decides_a_suspect_waits(world: World) -> None:
    await world.end_with("a")
    await world.end_with("a")
    async with world.process():
        await until(lambda: len(world.counters.recovered) == 2)
        await anyio.sleep(0.1)
        assert world.counters.recovered == ["b", "c"]
        await until(lambda: world.counters.recovered[-1] == "a")


async def test_a_culprit_is_set_aside_before_it_recovers(world: World) -> None:
    for _ in range(3):
        await world.end_with("a")
    async with world.process() as host:
        assert await host.ask(counter("a"), Read()) == 1
        ((name, reason),) = world.counters.set_aside
        assert name == "a"
        assert "3 ends of the process" in reason
        (first, *_) = [bodies for address, bodies in world.counters.turns if address == counter("a")]
        assert [type(body).__name__ for body in first[:2]] == ["SetAside", "Recover"]
        # The actor is told once: its record says so from now on.
        assert world.record.suspects == []
    async with world.process() as host:
        assert await host.ask(counter("a"), Read()) == 1
        assert world.counters.set_aside == []


async def test_a_culprit_that_is_not_in_the_store_is_set_aside_as_soon_as_it_begins(world: World) -> None:
    # Given an actor whose first turn ends the process, so that it was never committed,
    for _ in range(3):
        await world.end_with("new")
    async with world.process() as host:
        await until(lambda: world.counters.set_aside)
        await host.ask(counter("new"), Read())
        # when it is told to begin, then it has been told before to begin nothing.
        await host.ask(counter("new"), Add(1))
        (*_, last) = [bodies for address, bodies in world.counters.turns if address == counter("new")]
        assert [type(body).__name__ for body in last] == ["SetAside", "Add"]
        # Now that it exists, its record says so, and it is not told again.
        await host.ask(counter("new"), Add(1))
        (*_, last) = [bodies for address, bodies in world.counters.turns if address == counter("new")]
        assert last == [Add(1)]


async def test_actors_can_be_set_aside_by_name(world: World) -> None:
    async with world.process(set_aside=("b",)):
        await until(lambda: len(world.counters.recovered) == 3)
        ((name, reason),) = world.counters.set_aside
        assert (name, "by request" in reason) == ("b", True)


async def test_an_orderly_stop_leaves_no_suspect(world: World) -> None:
    await world.end_with("a")
    async with world.process():
        pass
    async with world.process():
        assert world.record.suspects == []


async def test_a_suspect_that_does_not_exist_keeps_no_other_waiting(world: World) -> None:
    await world.end_with("a", "gone")
    async with world.process() as host:
        await until(lambda: len(world.counters.recovered) == 3)
        await host.ask(counter("gone"), Add(1))
        await host.ask(counter("gone"), Forget())
