"""W6 and S9: kill -9 under load, and a restart on the same file.

W6: in the middle of the loop. S9: with 10 000 instances at work. Each of these has finished its first step when the
daemon dies, and is in its second, which does not end in that daemon. Its third step reports through a pipe; it begins
only when the result of the second is durable. So a report means that the instance has taken a step since the restart.

The rule, which the studies check: every acknowledged instance ends without help, and all its steps are performed.
"""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import anyio

from ..drivers.http_client import HttpClient
from ..drivers.in_process import EngineSetup
from ..drivers.load import End, Progress, check_outputs, closed_loop, start_many
from ..drivers.measure import RunOutcome
from ..drivers.over_http import HttpDriver, listening
from ..drivers.processes import Daemon, serving
from ..workloads.app import HOLD, LOG, PIPE
from ..workloads.workload import Extent, Workload
from .sleeping import TooSlow

KILL_AT = 0.5  # of W6's extent
INSTANCES_PER_S = 2_500  # of S9, for each second of the run
LOOK_EVERY_S = 0.05
PATIENCE_S = 120.0
FIRST, HELD, STEPS = "1", "2", 3  # S9: the step with a durable result, the held step, the number of steps

Bodies: TypeAlias = Counter[tuple[str, str]]  # (instance, task) -> how often the body ran


async def run_crash(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    log = setup.folder / "bodies"
    acknowledged, over = await load_until_killed(setup, log, workload, extent, progress)
    # The pipe has no reader any more.
    restarted_us = time.time_ns() // 1000
    async with serving(setup, {LOG: str(log)}) as daemon:
        ready_us = time.time_ns() // 1000
        ends = await checked_ends(daemon, workload, acknowledged)
    bodies = bodies_run(log)
    figures = {
        "instances": float(len(acknowledged)),
        "in_flight_at_kill": float(len(acknowledged) - over),
        "ready_s": (ready_us - restarted_us) / 1e6,
        "recovered_s": (max(ready_us, *(end.at_us for end in ends)) - restarted_us) / 1e6,
        "steps_lost": missing(bodies, acknowledged, workload.units),
        "steps_repeated": repeated(bodies),
    }
    return RunOutcome(figures=figures)


async def load_until_killed(
    setup: EngineSetup, log: Path, workload: Workload, extent: Extent, progress: Progress
) -> tuple[list[str], int]:
    """Load a daemon, and kill it under load.

    Returns:
        The acknowledged instances, and how many of them had ended.
    """
    acknowledged: list[str] = []
    over = 0
    pipe = str(setup.folder / "over")
    async with (
        listening(pipe) as reports,
        serving(setup, {PIPE: pipe, LOG: str(log)}) as daemon,
        HttpClient(daemon.host, daemon.port) as client,
        anyio.create_task_group() as tasks,
    ):
        driver = HttpDriver(daemon, client, reports, see=False)

        async def item(_: int) -> None:
            nonlocal over
            acknowledged.append(instance_id := await driver.start(workload.workflow, workload.input))
            await driver.finish(instance_id)
            over += 1

        def step(share: float) -> None:
            progress.part(share / 2, over * workload.units)
            if share >= KILL_AT:
                daemon.crash()
                # Waiting requests get no answer now.
                tasks.cancel_scope.cancel()

        await closed_loop(driver, item, step, in_flight=workload.in_flight, extent=extent)
    return acknowledged, over


async def run_recovery(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    running = extent.instances or int(extent.seconds * INSTANCES_PER_S)
    log, pipe = setup.folder / "bodies", str(setup.folder / "going_on")
    instance_ids = await start_and_kill(setup, log, workload, running, progress)
    async with listening(pipe) as reports:
        restarted_s = time.perf_counter()
        async with serving(setup, {LOG: str(log), PIPE: pipe}) as daemon:
            ready_s = time.perf_counter() - restarted_s
            with anyio.fail_after(PATIENCE_S):
                for instance_id in instance_ids:
                    await reports.of(instance_id)
            moving_s = time.perf_counter() - restarted_s
            progress.part(0.8, running)
            await checked_ends(daemon, workload, instance_ids)
    bodies = bodies_run(log)
    figures = {
        "instances": float(running),
        "ready_s": ready_s,
        "moving_s": moving_s,
        "steps_lost": missing(bodies, instance_ids, STEPS) + forgotten(bodies, instance_ids),
        "steps_repeated": repeated(bodies),
    }
    return RunOutcome(figures=figures)


async def start_and_kill(
    setup: EngineSetup, log: Path, workload: Workload, running: int, progress: Progress
) -> list[str]:
    """Start `running` instances, kill their daemon when all are in their second step, and return their ids."""
    # All bodies run at once, so that each has begun.
    options = ("--activities-max", str(running), "--activations-max", str(max(10_000, running)))
    async with (
        serving(setup, {HOLD: "1", LOG: str(log)}, options) as daemon,
        HttpClient(daemon.host, daemon.port) as client,
    ):
        driver = HttpDriver(daemon, client, None, see=False)

        def step(share: float) -> None:
            progress.part(share / 2, int(running * share))

        instance_ids = await start_many(driver, workload, workload.input, Extent(seconds=0, instances=running), step)
        await all_held(log, running)
        daemon.crash()
    return instance_ids


async def all_held(log: Path, running: int) -> None:
    """Wait until the second step of all instances has begun, so that the result of the first is durable.

    Raises:
        TooSlow: It took longer than `PATIENCE_S`.
    """
    held = 0
    with anyio.move_on_after(PATIENCE_S):
        while held < running:
            await anyio.sleep(LOOK_EVERY_S)
            held = held_in(log)
    if held < running:
        raise TooSlow(f"only {held} of {running} instances came to their second step in {PATIENCE_S:g} s")


async def checked_ends(daemon: Daemon, workload: Workload, instance_ids: Sequence[str]) -> list[End]:
    async with HttpClient(daemon.host, daemon.port) as client:
        ends = await HttpDriver(daemon, client, None, see=True).ends(instance_ids)
    check_outputs(workload, instance_ids, ends)
    return ends


def bodies_run(log: Path) -> Bodies:
    return Counter((instance_id, task) for instance_id, task in map(str.split, log.read_text().splitlines()))


def repeated(bodies: Bodies) -> float:
    return float(bodies.total() - len(bodies))


def held_in(log: Path) -> int:
    """The number of instances in the held step, by the log of the bodies."""
    return sum(step == HELD for _, step in bodies_run(log)) if log.exists() else 0


def missing(bodies: Bodies, instance_ids: Iterable[str], steps: int) -> float:
    """The number of steps of these instances that were not performed."""
    performed = Counter(instance_id for instance_id, _ in bodies)
    return float(sum(max(0, steps - performed[instance_id]) for instance_id in instance_ids))


def forgotten(bodies: Bodies, instance_ids: Iterable[str]) -> float:
    """The number of first steps, with durable results, that were performed again."""
    return float(sum(bodies[instance_id, FIRST] > 1 for instance_id in instance_ids))
