"""Outsides are read where they are known, and a watch follows its actor from owner to owner."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from perdure.actors.cluster.placement import Ownership, Placement
from perdure.actors.errors import NotOwner
from perdure.actors.hosting.reading.inspector import Inspector
from perdure.actors.hosting.reading.outsides import Outsides
from perdure.actors.store.contract import Inspection
from perdure.actors.store.memory import MemoryStore
from perdure.actors.waiting.watch import Watches

from ....support.actors.counter_actor import counter
from ....support.actors.fake_outbound import FakeOutbound, FakePeers

pytestmark = pytest.mark.anyio

A = counter("a")
IN_STORE, IN_MEMORY, THERE = (Inspection(record, None, None, 0) for record in (b"store", b"memory", b"there"))


class Bench:
    """One host's view of an actor that is in its memory, in the store, and at another host."""

    def __init__(self, *, shared: bool) -> None:
        self.placement = Placement("me")
        self.placement.sized(8)
        self.shard = self.placement.shard_of(A)
        self.peers = FakePeers("other", "third")
        self.peers.hosts["other"].outsides[A] = THERE
        self.source = SimpleNamespace(may_answer=True) if shared else None
        self.activation: Any = None
        self.watches = Watches()

        async def inspect(address: object) -> Inspection:
            return IN_STORE

        self.outsides = Outsides(
            MemoryStore(),
            cast(Any, SimpleNamespace(activations=SimpleNamespace(peek=self.peek), elsewhere=self.elsewhere)),
            self.placement,
            cast(Inspector, SimpleNamespace(inspect=inspect)),
            self.watches,
            source=cast(Any, self.source),
        )

    def peek(self, address: object) -> Any:
        return self.activation

    def elsewhere(self, address: Any) -> FakeOutbound | None:
        owner = self.placement.elsewhere(address)
        return None if owner is None else self.peers.hosts[owner]

    def own(self) -> None:
        self.placement.claimed({self.shard: self.placement.known_epoch(self.shard) + 1}, shards=8)
        self.activation = SimpleNamespace(outside=IN_MEMORY, stalled=None)

    def move(self, host: str) -> None:
        self.activation = None
        self.placement.lost(self.shard, Ownership(host=host, epoch=self.placement.known_epoch(self.shard) + 1))
        self.outsides.lose({self.shard})


async def test_an_owner_answers_from_memory_and_from_the_store_while_it_may_not() -> None:
    bench = Bench(shared=True)
    bench.own()
    assert await bench.outsides.inspect(A) == IN_MEMORY
    assert await bench.outsides.inspect_for_other(A) == IN_MEMORY
    assert bench.source is not None
    bench.source.may_answer = False
    assert await bench.outsides.inspect(A) == IN_STORE
    assert await bench.outsides.inspect_for_other(A) == IN_STORE


async def test_another_host_is_asked_and_the_store_is_read_if_that_one_is_away() -> None:
    bench = Bench(shared=True)
    bench.move("other")
    assert await bench.outsides.inspect(A) == THERE
    bench.peers.hosts["other"].connected = False
    assert await bench.outsides.inspect(A) == IN_STORE
    assert await bench.outsides.read(A) is None


async def test_of_a_shard_without_an_owner_the_store_that_all_share_is_read_and_no_part_of_another_host_s() -> None:
    assert await Bench(shared=True).outsides.inspect(A) == IN_STORE
    with pytest.raises(NotOwner):
        await Bench(shared=False).outsides.inspect(A)
    with pytest.raises(NotOwner):
        await Bench(shared=False).outsides.read(A)


async def test_a_watch_is_notified_by_the_owner_of_the_actor_and_its_watcher_looks_again_at_each_move() -> None:
    bench = Bench(shared=True)
    other, third = bench.peers.hosts["other"], bench.peers.hosts["third"]
    with bench.outsides.watch(A) as watch:
        assert bench.watches == {A: [watch]}  # without an owner: this host may get it
        for owner, last in ((other, None), (third, other)):
            watch.lost = False
            bench.move(owner.name)
            assert owner.followed == [(A, watch)]
            assert last is None or last.followed == []
            assert bench.watches == {}
            assert watch.lost
        bench.own()
        bench.outsides.lose({bench.shard})
        assert third.followed == []
        assert bench.watches == {A: [watch]}
        # The move of another shard changes nothing.
        watch.lost = False
        bench.outsides.lose({bench.shard + 1})
        assert not watch.lost
    assert bench.watches == {}


async def test_a_watch_that_has_ended_follows_nothing() -> None:
    bench = Bench(shared=True)
    with bench.outsides.watch(A):
        bench.move("other")
    assert bench.peers.hosts["other"].followed == []
    bench.move("third")
    assert bench.peers.hosts["third"].followed == []
