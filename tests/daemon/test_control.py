"""A host reports its own readiness, and leaves the stop of the daemon to its supervisor."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from perdure.actors.store.part import Part
from perdure.daemon.control import Control
from perdure.daemon.stopping import Stopping, ask_supervisor
from perdure.daemon.supervision import ShutdownAsked

from ..support.doors.fake_peers import daemon_of
from ..support.processes.pair import Pair


def host_of_two() -> Any:
    """The engine of a host that reaches the other one."""
    return SimpleNamespace(ready=True, peers=daemon_of(2)[0])


def hosted(*, app: Any = None) -> Any:
    """An app of the host, without workers."""
    return SimpleNamespace(connected_workers=lambda: int(app is not None))


@pytest.mark.anyio
async def test_a_request_to_a_host_is_for_the_supervisor_to_carry_out() -> None:
    pair = Pair(Part(0, 2))
    stopping = Stopping(anyio.CancelScope())
    control = Control(host_of_two(), hosted(), stopping, partial(ask_supervisor, pair.member))
    control.shutdown(True)
    assert pair.parent.recv() == ShutdownAsked(force=True)
    assert not stopping.told.is_set()


@pytest.mark.anyio
async def test_a_host_is_ready_only_while_it_takes_requests_and_says_why_it_does_not() -> None:
    engine = host_of_two()
    stopping = Stopping(anyio.CancelScope())
    control = Control(engine, hosted(), stopping, stopping.tell, parts=engine.peers)
    assert control.unready() == "it is starting"
    stopping.started = True
    assert control.unready() is None
    [other] = engine.peers.others
    other.away = True
    assert control.unready() == "it does not reach every other process of the daemon"
    assert not control.ready()
    other.away = False
    engine.ready = False
    assert control.unready() == "its store takes no writes"
    engine.ready = True
    assert control.ready()
    # Hosts that share a store take over from each other: a host may be ready without reaching the others.
    other.away = True
    assert Control(engine, hosted(), stopping, stopping.tell).ready()
    other.away = False
    stopping.tell()
    assert control.unready() == "it is stopping"


@pytest.mark.anyio
async def test_the_control_of_each_app_counts_its_workers() -> None:
    stopping = Stopping(anyio.CancelScope())
    control = Control(host_of_two(), hosted(), stopping, stopping.tell)
    assert control.connected_workers() == 0
    assert control.of(hosted(app=object())).connected_workers() == 1
