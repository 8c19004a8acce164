"""S9: kill -9 with 10 000 instances in the middle of their work, and a restart on the same file.

Each instance has one step behind it when its daemon dies, and is in its second,
which does not end in that daemon. The body of its third reports through
a pipe that the instance goes on: it runs only when the result of the second is
durable. So an instance that has reported has taken a new step since the restart.
"""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import anyio

from ..drivers.daemon import Daemon
from ..drivers.http_client import HttpClient
from ..drivers.http_driver import HttpDriver, listening
from ..drivers.load import Extent, Progress, WrongResult, closed_loop
from ..drivers.measure import RunOutcome
from ..drivers.process_driver import EngineSetup
from ..workloads.app import HOLD, LOG, PIPE
from ..workloads.workload import Workload
from .crash import bodies_run
from .waking import TooSlow

INSTANCES_PER_S = 2_500  # how many there are for each second that a run should last
LOOK_EVERY_S = 0.05
PATIENCE_S = 120.0
FIRST, HELD, STEPS = "1", "2", 3  # the step whose result is durable, the one that is held, and how many there are


async def run_recovery(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    running = extent.instances or int(extent.seconds * INSTANCES_PER_S)
    log, pipe = setup.folder / "bodies", str(setup.folder / "going_on")
    # All bodies at once, so that each is known to have begun.
    options = ("--activities-max", str(running), "--activations-max", str(max(10_000, running)))
    instance_ids = await start_and_kill(setup, log, options, workload, running, progress)
    daemon = Daemon(setup, {LOG: str(log), PIPE: pipe})
    try:
        async with listening(pipe) as reports:
            restarted_s = time.perf_counter()
            await daemon.start()
            ready_s = time.perf_counter() - restarted_s
            with anyio.fail_after(PATIENCE_S):
                for instance_id in instance_ids:
                    await reports.of(instance_id)
            moving_s = time.perf_counter() - restarted_s
        progress.part(0.8, running)
        async with HttpClient(daemon.host, daemon.port) as client:
            ends = await HttpDriver(daemon, client, None, see=True).ends(instance_ids)
        await daemon.stop()
    finally:
        with anyio.CancelScope(shield=True):
            await daemon.kill()
    for instance_id, end in zip(instance_ids, ends, strict=True):
        if end.output != workload.output:
            raise WrongResult(instance_id, expected=workload.output, found=end.output)
    bodies = bodies_run(log)
    return RunOutcome(
        figures={
            "instances": float(running),
            "ready_s": ready_s,
            "moving_s": moving_s,
            "steps_lost": float(steps_lost(bodies, instance_ids)),
            "steps_repeated": float(sum(times - 1 for times in bodies.values())),
        }
    )


async def start_and_kill(
    setup: EngineSetup, log: Path, options: Sequence[str], workload: Workload, running: int, progress: Progress
) -> list[str]:
    """Start a daemon and as many instances, kill it when all are in their second step, and return their ids."""
    instance_ids: list[str] = []
    daemon = Daemon(setup, {HOLD: "1", LOG: str(log)}, options)
    try:
        await daemon.start()
        async with HttpClient(daemon.host, daemon.port) as client:
            driver = HttpDriver(daemon, client, None, see=False)

            async def item(_: int) -> None:
                instance_ids.append(await driver.start(workload.workflow, workload.input))

            def step(share: float) -> None:
                progress.part(share / 2, len(instance_ids))

            whole = Extent(seconds=0, instances=running)
            await closed_loop(driver, item, in_flight=workload.in_flight, extent=whole, step=step)
        await all_held(log, running)
        daemon.crash()
    finally:
        with anyio.CancelScope(shield=True):
            await daemon.kill()
    return instance_ids


async def all_held(log: Path, running: int) -> None:
    """Wait until the second step of so many instances has begun: the result of their first is durable.

    Raises:
        TooSlow: That does not come about.
    """
    held = 0
    with anyio.move_on_after(PATIENCE_S):
        while held < running:
            await anyio.sleep(LOOK_EVERY_S)
            held = held_in(log)
    if held < running:
        raise TooSlow(f"only {held} of {running} instances came to their second step in {PATIENCE_S:g} s")


def held_in(log: Path) -> int:
    """How many instances have come to the step that is held, by the log of the bodies."""
    return sum(step == HELD for _, step in bodies_run(log)) if log.exists() else 0


def steps_lost(bodies: Counter[tuple[str, str]], instance_ids: Sequence[str]) -> int:
    """How many steps were not performed, or had their durable result forgotten and were performed again."""
    performed = Counter(instance_id for instance_id, _ in bodies)
    missing = sum(max(0, STEPS - performed[instance_id]) for instance_id in instance_ids)
    forgotten = sum(bodies[instance_id, FIRST] > 1 for instance_id in instance_ids)
    return missing + forgotten
