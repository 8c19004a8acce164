"""Actors with work in flight are woken, a few hundred at a time, as soon as their shard is open."""

from functools import partial

import anyio

from perdure.actors.hosting.shards.recovery import Recovery
from perdure.testing.virtual_time import run_virtually

from ....support.actors.counter_actor import counter


class Loader(list[str]):
    """Loads all its actors at once, after a while."""


class Mailroom:
    """Notes the actors that are activated."""

    def __init__(self, *ids: str) -> None:
        self.unrecovered = dict.fromkeys(map(counter, ids))
        self.loader = Loader()
        self.largest = 0

    def activate(self, address: object) -> None:
        del self.unrecovered[address]  # type: ignore[arg-type]
        self.loader.append(str(address))
        self.largest = max(self.largest, len(self.loader))


def test_no_more_than_a_batch_is_woken_at_once() -> None:
    async def story() -> None:
        mailroom = Mailroom(*map(str, range(Recovery.BATCH + 10)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(_load, mailroom))
            await Recovery(mailroom).wake_all()  # type: ignore[arg-type]
            tasks.cancel_scope.cancel()
        assert not mailroom.unrecovered
        assert mailroom.largest == Recovery.BATCH

    run_virtually(story)


def test_an_actor_whose_shard_is_closed_is_woken_later() -> None:
    async def story() -> None:
        mailroom, closed = Mailroom("a", "b"), {counter("a")}
        recovery = Recovery(mailroom, may_wake=lambda address: address not in closed)  # type: ignore[arg-type]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(_load, mailroom))
            tasks.start_soon(recovery.run)
            await anyio.sleep(1)
            assert list(mailroom.unrecovered) == [counter("a")]
            closed.clear()
            recovery.go_on()
            await anyio.sleep(1)
            assert not mailroom.unrecovered
            tasks.cancel_scope.cancel()

    run_virtually(story)


async def _load(mailroom: Mailroom) -> None:
    while True:
        await anyio.sleep(0.01)
        mailroom.loader.clear()
