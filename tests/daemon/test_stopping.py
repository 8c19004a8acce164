"""A daemon stops in order when it is told to, and at once if it has not started; a host hears it of its supervisor."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from perdure.actors.store.part import Part
from perdure.daemon.stopping import Stopping, watch_supervisor
from perdure.daemon.supervision import Reload, Stop

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
