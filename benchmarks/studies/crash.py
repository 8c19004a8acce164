"""W6: kill -9 in the middle of the load, and a restart on the same file.

The law that is checked on the way: what was acknowledged is carried to its end
with nobody's help, and every step of it was performed.
"""

import time
from collections import Counter
from pathlib import Path

import anyio

from ..drivers.daemon import Daemon
from ..drivers.http_client import HttpClient
from ..drivers.http_driver import HttpDriver, listening
from ..drivers.load import Extent, Progress, WrongResult, closed_loop
from ..drivers.measure import RunOutcome
from ..drivers.process_driver import EngineSetup
from ..workloads.app import LOG, PIPE
from ..workloads.workload import Workload

KILL_AT = 0.5  # of the extent: the load is at its height


async def run_crash(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    log = setup.folder / "bodies"
    acknowledged, over = await load_until_killed(setup, log, workload, extent, progress)
    # Nobody listens to the pipe any more.
    daemon = Daemon(setup, {LOG: str(log)})
    try:
        restarted_us = time.time_ns() // 1000
        await daemon.start()
        ready_us = time.time_ns() // 1000
        async with HttpClient(daemon.host, daemon.port) as client:
            ends = await HttpDriver(daemon, client, None, see=True).ends(acknowledged)
        await daemon.stop()
    finally:
        with anyio.CancelScope(shield=True):
            await daemon.kill()
    for instance_id, end in zip(acknowledged, ends, strict=True):
        if end.output != workload.output:
            raise WrongResult(instance_id, expected=workload.output, found=end.output)
    bodies = bodies_run(log)
    performed = Counter(instance_id for instance_id, _ in bodies)
    all_done_us = max(ready_us, *(end.at_us for end in ends))
    return RunOutcome(
        figures={
            "instances": float(len(acknowledged)),
            "in_flight_at_kill": float(len(acknowledged) - over),
            "ready_s": (ready_us - restarted_us) / 1e6,
            "recovered_s": (all_done_us - restarted_us) / 1e6,
            "steps_lost": float(sum(max(0, workload.units - performed[instance_id]) for instance_id in acknowledged)),
            "steps_repeated": float(sum(times - 1 for times in bodies.values())),
        }
    )


async def load_until_killed(
    setup: EngineSetup, log: Path, workload: Workload, extent: Extent, progress: Progress
) -> tuple[list[str], int]:
    """Start a daemon, load it, and kill it under the load.

    Returns:
        The instances whose start was acknowledged, and how many of them were over.
    """
    acknowledged: list[str] = []
    over = 0
    pipe = str(setup.folder / "over")
    daemon = Daemon(setup, {PIPE: pipe, LOG: str(log)})
    try:
        async with listening(pipe) as reports:
            await daemon.start()
            async with HttpClient(daemon.host, daemon.port) as client, anyio.create_task_group() as tasks:
                driver = HttpDriver(daemon, client, reports, see=False)

                async def item(_: int) -> None:
                    nonlocal over
                    acknowledged.append(await driver.start(workload.workflow, workload.input))
                    await driver.finish(acknowledged[-1])
                    over += 1

                def step(share: float) -> None:
                    progress.part(share / 2, over * workload.units)
                    if share >= KILL_AT:
                        daemon.crash()
                        # No request that waits for an answer will get one now.
                        tasks.cancel_scope.cancel()

                await closed_loop(driver, item, in_flight=workload.in_flight, extent=extent, step=step)
    finally:
        with anyio.CancelScope(shield=True):
            await daemon.kill()
    return acknowledged, over


def bodies_run(log: Path) -> Counter[tuple[str, str]]:
    """How often the body of each step ran: (instance, task) to times."""
    return Counter((instance_id, task) for instance_id, task in map(str.split, log.read_text().splitlines()))
