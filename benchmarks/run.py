"""One run of one workload: what it is, and how it is carried out.

Each run has a process and a store of its own (`child.py`), so that none
inherits what another left behind: a grown heap, a warm cache, a long file.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .drivers.http_driver import http_driver
from .drivers.load import Extent, OpenDriver, Progress, run_events, run_loop, run_open
from .drivers.measure import RunOutcome
from .drivers.postgres_driver import postgres_driver
from .drivers.process_driver import EngineSetup, process_driver
from .drivers.several_hosts import run_hosts_on_database, run_several_hosts
from .peers.peer_driver import peer_driver
from .peers.peers import PEERS
from .studies.crash import run_crash
from .studies.fleet import run_fleet
from .studies.history_growth import run_history_growth
from .studies.idle import run_idle, run_idle_daemon
from .studies.recovery import run_recovery
from .studies.reminder_storm import run_reminder_storm
from .studies.sleepers import ACTIVATIONS_MAX, run_sleepers
from .studies.soak import run_soak
from .studies.timer_storm import run_timer_storm
from .workloads.table import BY_NAME
from .workloads.workload import HTTP, POSTGRES, PROCESS, Shape, Workload

# What is not put onto a driver: each of these makes the engine it needs, on the folder of the setup.
AT_SCALE: dict[tuple[Shape, str], Callable[[EngineSetup, Workload, Extent, Progress], Awaitable[RunOutcome]]] = {
    (Shape.TIMER_STORM, PROCESS): run_timer_storm,
    (Shape.REMINDER_STORM, PROCESS): run_reminder_storm,
    (Shape.HISTORY, PROCESS): run_history_growth,
    (Shape.FLEET, PROCESS): run_fleet,
    (Shape.IDLE, PROCESS): run_idle,
    (Shape.IDLE, HTTP): run_idle_daemon,
    (Shape.RECOVERY, HTTP): run_recovery,
    (Shape.SOAK, PROCESS): run_soak,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is to be run."""

    workload: str
    driver: str
    in_flight: int
    seconds: float
    instances: int | None  # None: as many as fit into the time
    durability: str
    always_replay: bool
    rate: float | None = None  # instances a second that arrive; None: each in the place of one that has ended
    peers: str | None = None  # the folder that other engines are installed in
    processes: int = 1  # that share the work; each has a part of the store, or all share the database
    database: str | None = None  # the address of a PostgreSQL database

    @property
    def variant(self) -> Workload:
        """The workload as it is run here."""
        found = BY_NAME[self.workload].with_in_flight(self.in_flight).with_rate(self.rate)
        return found.with_hosts(self.processes) if self.driver == POSTGRES else found.with_processes(self.processes)

    @property
    def extent(self) -> Extent:
        return Extent(seconds=self.seconds, instances=self.instances)


async def perform(run: Run, folder: Path, progress: Progress) -> RunOutcome:
    """Carry out a run.

    Args:
        folder: An empty one on the disk that is to be measured.

    Raises:
        WrongResult: An instance did not return what it should have.
    """
    workload = run.variant
    setup = EngineSetup(
        folder=folder, durability=run.durability, always_replay=run.always_replay, processes=run.processes
    )
    match workload.shape:
        case Shape.SLEEP:
            crowded = EngineSetup(folder=folder, durability=run.durability, activations_max=ACTIVATIONS_MAX)
            async with process_driver(crowded) as asleep:
                return await run_sleepers(asleep, workload, run.extent, progress)
        case Shape.CRASH:
            return await run_crash(setup, workload, run.extent, progress)
        case Shape.LOOP if run.processes > 1 and run.driver == PROCESS:
            return await run_several_hosts(setup, workload, run.extent, progress)
        case Shape.LOOP if run.processes > 1 and run.driver == POSTGRES:
            assert run.database is not None
            return await run_hosts_on_database(setup, workload, run.extent, progress, run.database)
        case Shape.LOOP:
            async with _driver(run, setup, workload)() as driver:
                return await run_loop(driver, workload, run.extent, progress)
        case Shape.OPEN:
            async with _driver(run, setup, workload)() as driver:
                return await run_open(driver, workload, run.extent, progress)
        case Shape.EVENTS:
            async with _driver(run, setup, workload)() as driver:
                return await run_events(driver, workload, run.extent, progress)
        case _:
            return await AT_SCALE[workload.shape, run.driver](setup, workload, run.extent, progress)


def _driver(run: Run, setup: EngineSetup, workload: Workload) -> OpenDriver:
    if run.driver in PEERS:
        assert run.peers is not None
        return partial(peer_driver, run.driver, Path(run.peers), setup.folder, workload, run.database)
    if run.driver == POSTGRES:
        assert run.database is not None
        return partial(postgres_driver, setup, run.database)
    openers: dict[str, OpenDriver] = {
        PROCESS: partial(process_driver, setup),
        HTTP: partial(http_driver, setup, see=workload.in_flight == 1 and workload.shape is not Shape.OPEN),
    }
    return openers[run.driver]
