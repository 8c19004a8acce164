"""A run under chaos: a fleet on a database of its own, load, blows, and the verdict."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ...support.cutting_proxy import CuttingProxy, cutting_proxy
from ...support.postgres import PostgresServer
from .calls import ChaosCallers
from .checker import Verdict, check
from .decoding import decoded
from .fleet import Fleet, Setup
from .load import ChaosClients, effects_in, write_chaos_app
from .recorded import Blow, Deed, Forgiven, Recorded

CALM_S = 0.5  # before the first blow and after the last
CUT_WITHIN_S = 5.0  # a writer that writes nothing is not cut
ENDING_S = 60.0  # within which all ledgers end


@dataclass(slots=True)
class Sky:
    """The targets of blows: the server, the hosts, and the proxy between them."""

    server: PostgresServer
    fleet: Fleet
    proxy: CuttingProxy | None

    async def crash_database(self, away_s: float) -> None:
        """End the database as a crash would, and start it again."""
        from_s = time.time()
        await asyncio.to_thread(self.server.crash)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(self.server.start)
        self.fleet.blows.append(Blow(deed=Deed.DATABASE, pid=0, from_s=from_s, until_s=time.time()))

    async def cut_commit(self, *, requests: int | None = None, answers: int | None = None) -> None:
        """Cut a host's writer after a number of bytes to the server, or from it; wait until it is cut."""
        assert self.proxy is not None
        cuts, end_s = self.proxy.cuts, time.monotonic() + CUT_WITHIN_S
        self.proxy.requests_left, self.proxy.answers_left = requests, answers
        while self.proxy.cuts == cuts and time.monotonic() < end_s:
            await asyncio.sleep(0.005)


Storm: TypeAlias = Callable[[Sky], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """The hosts, the database and the load under a storm.

    Args:
        server: The server of the database, which blows hit. No other test uses it.
        setup: How each host is started; None: on the server, through the proxy if there is one, with `options`.
        callers: How many clients over gRPC there are, beside those over HTTP.
        pause_s: How long a client pauses between two entries of a ledger, a caller between two calls, and a reader
            between two reads.
        proxied: Whether the hosts reach the database through a proxy that cuts.
        log: The server whose log is decoded, with `wal_level=logical`; decoding has to begin before the first host
            starts. None: no log is decoded, and the verdict is without it.
        forgives: The damage by the storm that is no fault of the run; called at the end of the storm.
    """

    server: PostgresServer
    hosts: int
    clients: int = 8
    callers: int = 2
    pause_s: float = 0.0
    options: tuple[str, ...] = ()
    setup: Callable[[int], Setup] | None = None
    proxied: bool = False
    log: PostgresServer | None = None
    forgives: Callable[[], Forgiven] = Forgiven


async def weather(bed: Bed, folder: Path, storm: Storm) -> tuple[Verdict, Fleet]:
    """Run a storm over a fleet under load, and judge the records of the run."""
    async with _proxy(bed.server, proxied=bed.proxied) as proxy:
        url = bed.server.url(schema="chaos", port=proxy.port if proxy is not None else None)
        same = Setup(data=url, options=bed.options)
        async with Fleet(write_chaos_app(folder), bed.setup or (lambda index: same)) as fleet:
            await fleet.start(bed.hosts)
            load = ChaosClients(fleet, bed.forgives, pause_s=bed.pause_s)
            stop = asyncio.Event()
            callers = ChaosCallers(fleet, load, pause_s=bed.pause_s)
            working = asyncio.gather(
                load.run(clients=bed.clients, stop=stop), callers.run(callers=bed.callers, stop=stop)
            )
            try:
                await asyncio.sleep(CALM_S)
                await storm(Sky(bed.server, fleet, proxy))
                await asyncio.sleep(CALM_S)
                stop.set()
                await asyncio.wait_for(working, ENDING_S)
            finally:
                working.cancel()
            endings = await load.endings(within_s=ENDING_S)
            recorded = Recorded(
                commits=await asyncio.to_thread(decoded, bed.log) if bed.log is not None else None,
                blows=fleet.blows,
                ledgers=[*load.ledgers, *load.called],
                endings=endings,
                requests=load.requests,
                reads=load.reads,
                effects=effects_in(folder),
                cuts=proxy.cuts if proxy is not None else 0,
                forgiven=bed.forgives(),
            )
            fleet.codes += await fleet.stop()
    return check(recorded), fleet


@asynccontextmanager
async def _proxy(server: PostgresServer, *, proxied: bool) -> AsyncIterator[CuttingProxy | None]:
    if not proxied:
        yield None
        return
    async with cutting_proxy(server.port) as proxy:
        yield proxy
