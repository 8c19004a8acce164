"""Daemons on one database, as processes, with a tiny balancer in front of them, and the faults that a test causes.

The rule: a blow is noted with its times before a client or a host can see its effect.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from ...support.processes.daemon import Daemon
from .recorded import Blow, Deed

NOTED_S = 0.3  # the end of a host is noted within this time
PROBE_S = 0.1  # between two requests for a host's readiness
PROBE_PATIENCE_S = 1.0
READY = "/healthz/ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a host is started."""

    data: str  # the address of the store
    options: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    inside: tuple[str, ...] = ()  # a command that runs another one, which follows it
    python: str = sys.executable  # an interpreter that has Perdure


@dataclass(slots=True)
class Place:
    """One of the hosts: a process now, another one after a restart."""

    daemon: Daemon
    ready: bool = True  # as the balancer has last seen it

    @property
    def pid(self) -> int:
        return self.daemon.process.pid


@dataclass(slots=True)
class Fleet:
    """Several daemons with the same app on the same data.

    Args:
        setup: How the host of a place is started, by the number of the place; it is called for each start.
    """

    app: Path
    setup: Callable[[int], Setup]
    places: list[Place] = field(default_factory=list)
    blows: list[Blow] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)  # how long each SIGTERM took, in seconds
    codes: list[int] = field(default_factory=list)  # the exit codes after SIGTERM
    _turn: int = 0
    _watched: set[int] = field(default_factory=set)  # descriptors of processes
    _expected: set[int] = field(default_factory=set)  # processes that the fleet has ended itself
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _probing: asyncio.Task[None] | None = None

    async def start(self, hosts: int) -> None:
        """Start the first host, which gets all shards, then the others; and begin to ask whether they are ready."""
        self.places.append(Place(await self._start(0)))
        others = await asyncio.gather(*(self._start(index) for index in range(1, hosts)))
        self.places += [Place(daemon) for daemon in others]
        self._probing = asyncio.ensure_future(self._probe())

    def address(self) -> str:
        """The address of the next host that says it is ready; of any host if none is."""
        ready = [place for place in self.places if place.ready] or self.places
        self._turn += 1
        return ready[self._turn % len(ready)].daemon.url

    def grpc(self) -> str:
        """The address of that host's port for gRPC."""
        ready = [place for place in self.places if place.ready] or self.places
        self._turn += 1
        return ready[self._turn % len(ready)].daemon.grpc

    def pid_at(self, url: str) -> int:
        return next((place.pid for place in self.places if place.daemon.url == url), 0)

    async def kill(self, index: int) -> None:
        """End a host by signal 9, and start another in its place."""
        place = self.places[index]
        now_s = time.time()
        self.blows.append(Blow(deed=Deed.KILL, pid=place.pid, from_s=now_s, until_s=now_s))
        self._expected.add(place.pid)
        await asyncio.to_thread(place.daemon.kill)
        place.ready = False
        place.daemon = await self._start(index)

    async def start_again_if_ended(self, index: int) -> bool:
        """Start another host in the place of one that has ended by itself; return whether one had."""
        place = self.places[index]
        if place.daemon.process.poll() is None:
            return False
        place.ready = False
        place.daemon = await self._start(index)
        return True

    async def pause(self, index: int, for_s: float) -> None:
        """Stop a host by SIGSTOP, and continue it by SIGCONT."""
        pid = self.places[index].pid
        from_s = time.time()
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(for_s)
        until_s = time.time()
        os.kill(pid, signal.SIGCONT)
        self.blows.append(Blow(deed=Deed.PAUSE, pid=pid, from_s=from_s, until_s=until_s))

    async def restart(self, index: int) -> None:
        """End a host by SIGTERM, wait for its end, and start another in its place."""
        place = self.places[index]
        from_s, old = time.time(), place.daemon
        self._expected.add(place.pid)
        self.codes.append(await asyncio.to_thread(old.stop))
        place.ready = False
        until_s = time.time()
        self.stops.append(until_s - from_s)
        self.blows.append(Blow(deed=Deed.STOP, pid=old.process.pid, from_s=from_s, until_s=until_s))
        place.daemon = await self._start(index)
        await self.serves(index)

    async def serves(self, index: int, *, within_s: float = 30.0) -> None:
        """Wait until a host says that it is ready."""
        end_s = time.monotonic() + within_s
        while not self.places[index].ready:
            assert time.monotonic() < end_s, "a host does not become ready"
            await asyncio.sleep(PROBE_S / 2)

    async def stop(self) -> list[int]:
        """End all hosts by SIGTERM, all at once; return their exit codes."""
        await self._stop_probing()
        self._expected |= {place.pid for place in self.places}
        return list(await asyncio.gather(*(asyncio.to_thread(place.daemon.stop) for place in self.places)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop_probing()
        for watched in list(self._watched):
            self._unwatch(watched)
        for place in self.places:
            with contextlib.suppress(ProcessLookupError):
                os.kill(place.pid, signal.SIGCONT)
        self._running.close()

    async def _start(self, index: int) -> Daemon:
        daemon = await asyncio.to_thread(self._daemon, index)
        pid = daemon.process.pid
        watched = os.pidfd_open(pid)
        self._watched.add(watched)
        asyncio.get_running_loop().add_reader(watched, self._has_ended, pid, watched)
        return daemon

    def _has_ended(self, pid: int, watched: int) -> None:
        """Note the end of a host that the fleet has not ended."""
        self._unwatch(watched)
        if pid not in self._expected:
            now_s = time.time()
            self.blows.append(Blow(deed=Deed.KILL, pid=pid, from_s=now_s - NOTED_S, until_s=now_s))

    def _unwatch(self, watched: int) -> None:
        asyncio.get_running_loop().remove_reader(watched)
        os.close(watched)
        self._watched.discard(watched)

    def _daemon(self, index: int) -> Daemon:
        data = self.app.parent / f"host-{index}-{time.monotonic_ns()}.db"
        setup = self.setup(index)
        options = ("--data", setup.data, *setup.options)
        started = Daemon(self.app, data, *options, env=dict(setup.env), inside=setup.inside, python=setup.python)
        return self._running.enter_context(started)

    async def _probe(self) -> None:
        async with httpx.AsyncClient(timeout=PROBE_PATIENCE_S) as http:
            while True:
                await asyncio.gather(*(self._probe_one(http, place) for place in self.places))
                await asyncio.sleep(PROBE_S)

    async def _probe_one(self, http: httpx.AsyncClient, place: Place) -> None:
        daemon = place.daemon
        try:
            answer = await http.get(f"{daemon.url}{READY}")
        except httpx.TransportError:
            ready = False
        else:
            ready = answer.status_code == 200
        if place.daemon is daemon:
            place.ready = ready

    async def _stop_probing(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])
            self._probing = None
