"""A daemon stops in order when it is told to, and at once if it has not started; a supervisor tells its hosts."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest

from perdure.actors.store.contract import Store
from perdure.actors.store.memory import MemoryStore
from perdure.actors.store.part import Part
from perdure.daemon.stopping import (
    LEAVE_S,
    POLLS_S,
    Stopping,
    end_without_activities,
    leave_first,
    watch_supervisor,
)
from perdure.daemon.supervision import Reload, Stop
from perdure.testing.virtual_time import run_virtually

from ..support.processes.lines import PATIENCE_S
from ..support.processes.pair import Pair


@pytest.mark.anyio
async def test_told_to_stop_before_it_has_started_it_gives_up_at_once() -> None:
    with anyio.CancelScope() as opening_the_store:
        Stopping(opening_the_store).tell()
        await anyio.sleep_forever()
    assert opening_the_store.cancelled_caught


@asynccontextmanager
async def watching(pair: Pair, reload: Callable[[], None] = lambda: None) -> AsyncIterator[Stopping]:
    """A host that has started, and watches its supervisor."""
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            stopping = Stopping(tasks.cancel_scope)
            stopping.started = True
            tasks.start_soon(watch_supervisor, pair.member, stopping, reload)
            yield stopping
            tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_host_reads_its_tokens_again_when_its_supervisor_says_so_and_goes_on() -> None:
    pair, read = Pair(Part(0, 2)), anyio.Event()
    async with watching(pair, read.set) as stopping:
        pair.parent.send(Reload())
        await read.wait()
        assert not stopping.told.is_set()


@pytest.mark.anyio
@pytest.mark.parametrize("force", [False, True])
async def test_a_host_stops_when_its_supervisor_says_so(force: bool) -> None:
    pair = Pair(Part(0, 2))
    async with watching(pair) as stopping:
        pair.parent.send(Stop(force))
        await stopping.told.wait()
        assert stopping.forced is force


@pytest.mark.anyio
async def test_a_host_stops_in_order_when_its_supervisor_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    pair = Pair(Part(0, 2))
    async with watching(pair) as stopping:
        pair.parent.close()
        await stopping.told.wait()
        assert not stopping.forced
    assert "the supervisor is gone" in caplog.text


class Sharing:
    """A host that takes its time to leave."""

    def __init__(self, *, leaves_s: float, alone: bool = False) -> None:
        self.alone = alone
        self.left = False
        self._leaves_s = leaves_s

    async def leave(self) -> None:
        await anyio.sleep(self._leaves_s)
        self.left = True


DRAIN_S = 3.0


@pytest.mark.parametrize(
    ("host", "closing_s", "ending_s", "left"),
    [
        # Balancers have time to see that the host leaves, also if it leaves fast.
        (Sharing(leaves_s=0.1), DRAIN_S, DRAIN_S + POLLS_S, True),
        (Sharing(leaves_s=DRAIN_S + 1), DRAIN_S + 1, DRAIN_S + 1 + POLLS_S, True),
        # The other hosts take the shards that it cannot give in time.
        (Sharing(leaves_s=1000), LEAVE_S, LEAVE_S + POLLS_S, False),
        # No other host could take over.
        (Sharing(leaves_s=1000, alone=True), 0, 0, False),
    ],
)
def test_a_host_leaves_the_others_before_its_ports_are_closed(
    host: Sharing, closing_s: float, ending_s: float, left: bool
) -> None:
    async def story() -> None:
        stopping = Stopping(anyio.CancelScope())
        stopping.started = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(leave_first, stopping, host, drain_s=DRAIN_S))
            await anyio.sleep(7)
            assert not stopping.closing.is_set()
            stopping.tell()
            began_s = anyio.current_time()
            await stopping.closing.wait()
            assert anyio.current_time() - began_s == pytest.approx(closing_s)
            assert host.left is left
            await stopping.ending.wait()
            assert anyio.current_time() - began_s == pytest.approx(ending_s)

    run_virtually(story)


@pytest.mark.parametrize("after_s", [0.0, 1.0, 6.0])
def test_a_forced_stop_does_not_leave_first_and_cuts_a_leaving_short(after_s: float) -> None:
    async def story() -> None:
        stopping = Stopping(anyio.CancelScope())
        stopping.started = True
        host = Sharing(leaves_s=4.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(leave_first, stopping, host, drain_s=DRAIN_S))
            began_s = anyio.current_time()
            if after_s:
                stopping.tell()
                await anyio.sleep(after_s)
            stopping.tell(force=True)
            await stopping.ending.wait()
            assert anyio.current_time() - began_s == pytest.approx(after_s)
            assert host.left is (after_s > 4.0)

    run_virtually(story)


class Ending:
    """An engine whose activities end at a given time after they were cancelled."""

    def __init__(self, *, cancelled_s: float, ended_s: float) -> None:
        self._from_s, self._to_s = cancelled_s, ended_s
        self.did: list[object] = []

    @property
    def waits_for_activities(self) -> bool:
        return self._from_s <= anyio.current_time() < self._to_s

    @property
    def store(self) -> Store:
        return Closing(self.did)


class Closing(MemoryStore):
    """A store that notes its closing."""

    def __init__(self, did: list[object]) -> None:
        super().__init__()
        self._did = did

    async def close(self) -> None:
        self._did.append("closed")


@pytest.mark.parametrize(
    ("cancelled_s", "ended_s", "did"),
    [
        (20.0, 1e9, ["closed", 0]),  # never
        (20.0, 26.0, ["closed", 0]),
        (20.0, 24.0, []),
        (20.0, 20.0, []),  # at once
    ],
)
def test_activities_that_do_not_end_though_they_are_cancelled_do_not_keep_the_process(
    cancelled_s: float, ended_s: float, did: list[object]
) -> None:
    async def story() -> None:
        # Given a daemon that is told to stop, and whose activities are cancelled when their grace is over,
        began_s = anyio.current_time()
        engine = Ending(cancelled_s=began_s + cancelled_s, ended_s=began_s + ended_s)
        told = anyio.Event()
        with anyio.move_on_after(100):
            async with anyio.create_task_group() as tasks:
                end = partial(_end, engine, tasks.cancel_scope)
                tasks.start_soon(partial(end_without_activities, told, engine, end, patience_s=5.0))
                await anyio.sleep(10)
                told.set()
        # when they do not end, then the store is closed and the process ends after a while; else it is left alone.
        assert engine.did == did
        if did:
            assert anyio.current_time() - began_s == pytest.approx(cancelled_s + 5.0, abs=0.5)

    run_virtually(story)


def _end(engine: Ending, tasks: anyio.CancelScope, code: int) -> None:
    engine.did.append(code)
    tasks.cancel()
