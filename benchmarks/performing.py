"""Runs a workload with its driver or its study.

`cli.py` calls it in a new process for each run (`run_process.py`).
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio

from .drivers.in_process import EngineSetup, postgres_driver, process_driver
from .drivers.load import Driver, Progress, run_events, run_loop, run_open
from .drivers.measure import RunOutcome
from .drivers.over_http import http_driver
from .drivers.sdk.through_sdk import run_through_sdk
from .drivers.several_hosts import run_hosts_on_database, run_several_hosts
from .peers.peer_driver import peer_driver
from .studies.history_growth import run_history_growth
from .studies.idle import run_idle, run_idle_daemon
from .studies.kills import run_crash, run_recovery
from .studies.reminder_storm import run_reminder_storm
from .studies.sleeping import run_fleet, run_sleepers, run_timer_storm
from .studies.soak import run_soak
from .workloads.run import Run
from .workloads.workload import HTTP, POSTGRES, PROCESS, SDK_DRIVERS, Extent, Shape, Workload

# Loads on a driver.
LOADS = {Shape.LOOP: run_loop, Shape.OPEN: run_open, Shape.EVENTS: run_events}
# Studies, which make their own engines in the folder of the setup.
STUDIES: dict[tuple[Shape, str], Callable[[EngineSetup, Workload, Extent, Progress], Awaitable[RunOutcome]]] = {
    (Shape.SLEEP, PROCESS): run_sleepers,
    (Shape.CRASH, HTTP): run_crash,
    (Shape.TIMER_STORM, PROCESS): run_timer_storm,
    (Shape.REMINDER_STORM, PROCESS): run_reminder_storm,
    (Shape.HISTORY, PROCESS): run_history_growth,
    (Shape.FLEET, PROCESS): run_fleet,
    (Shape.IDLE, PROCESS): run_idle,
    (Shape.IDLE, HTTP): run_idle_daemon,
    (Shape.RECOVERY, HTTP): run_recovery,
    (Shape.SOAK, PROCESS): run_soak,
}


async def perform(run: Run, folder: Path, progress: Progress) -> RunOutcome:
    """Do a run in an empty folder on the measured disk."""
    workload = run.variant
    setup = EngineSetup(
        folder=folder, durability=run.durability, always_replay=run.always_replay, processes=run.processes
    )
    if run.driver in SDK_DRIVERS:
        return await anyio.to_thread.run_sync(run_through_sdk, run, setup)
    if workload.shape not in LOADS:
        return await STUDIES[workload.shape, run.driver](setup, workload, run.extent, progress)
    if run.processes > 1 and run.driver == PROCESS:
        return await run_several_hosts(setup, workload, run.extent, progress)
    if run.processes > 1 and run.driver == POSTGRES:
        assert run.database is not None
        return await run_hosts_on_database(setup, workload, run.extent, progress, run.database)
    async with driver_of(run, setup, workload) as driver:
        return await LOADS[workload.shape](driver, workload, run.extent, progress)


def driver_of(run: Run, setup: EngineSetup, workload: Workload) -> AbstractAsyncContextManager[Driver]:
    if run.driver == PROCESS:
        return process_driver(setup)
    if run.driver == HTTP:
        # With one instance at a time its end can be polled.
        return http_driver(setup, see=workload.in_flight == 1 and workload.shape is not Shape.OPEN)
    if run.driver == POSTGRES:
        assert run.database is not None
        return postgres_driver(setup, run.database)
    assert run.peers is not None
    return peer_driver(run.driver, Path(run.peers), setup.folder, workload, run.database)
