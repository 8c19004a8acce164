"""One run of one workload: what it is, and how it is carried out.

Each run has a process and a store of its own (`child.py`), so that none
inherits what another left behind: a grown heap, a warm cache, a long file.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .crash import run_crash
from .http_driver import http_driver
from .load import Extent, OpenDriver, Progress, run_events, run_loop
from .measure import Outcome
from .peer_driver import peer_driver
from .peers import PEERS
from .process_driver import Setup, process_driver
from .sleepers import ACTIVATIONS_MAX, run_sleepers
from .workloads import BY_NAME, HTTP, PROCESS, Shape, Workload


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
    peers: str | None = None  # the folder that other engines are installed in

    @property
    def extent(self) -> Extent:
        return Extent(seconds=self.seconds, instances=self.instances)


async def perform(run: Run, folder: Path, progress: Progress) -> Outcome:
    """Carry out a run.

    Args:
        folder: An empty one on the disk that is to be measured.

    Raises:
        WrongResult: An instance did not return what it should have.
    """
    workload = BY_NAME[run.workload].with_in_flight(run.in_flight)
    setup = Setup(folder=folder, durability=run.durability, always_replay=run.always_replay)
    match workload.shape:
        case Shape.SLEEP:
            crowded = Setup(folder=folder, durability=run.durability, activations_max=ACTIVATIONS_MAX)
            async with process_driver(crowded) as asleep:
                return await run_sleepers(asleep, workload, run.extent, progress)
        case Shape.CRASH:
            return await run_crash(setup, workload, run.extent, progress)
        case Shape.LOOP:
            async with _driver(run, setup, workload)() as driver:
                return await run_loop(driver, workload, run.extent, progress)
        case Shape.EVENTS:
            async with _driver(run, setup, workload)() as driver:
                return await run_events(driver, workload, run.extent, progress)


def _driver(run: Run, setup: Setup, workload: Workload) -> OpenDriver:
    if run.driver in PEERS:
        assert run.peers is not None
        return partial(peer_driver, run.driver, Path(run.peers), setup.folder, workload)
    openers: dict[str, OpenDriver] = {
        PROCESS: partial(process_driver, setup),
        HTTP: partial(http_driver, setup, see=workload.in_flight == 1),
    }
    return openers[run.driver]
