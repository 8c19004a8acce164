"""Seeds in several processes: each takes every nth, and reports its findings.

The rule: a process that shares the work is a fork of this one, because tests and their values cannot be sent.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...simulation.search.attempt import Attempt
from ..errors import SimulationMisuse


@dataclass(slots=True)
class Shared:
    """The findings of several processes together."""

    seeds: int = 0
    worlds: int = 0
    kills: int = 0
    lost: int = 0
    deploys: int = 0
    replayed: int = 0
    met: Counter[str] = field(default_factory=Counter)
    failed: list[int] = field(default_factory=list)  # seeds, smallest first; one of each process at most


def spread(jobs: int, seeds: int, until_s: float | None, run: Callable[[int], Attempt]) -> Shared:
    """Run seeds in forks of this process.

    Args:
        jobs: How many forks.
        seeds: The number of seeds, from 0 on.
        until_s: Go on with more until then, by `time.perf_counter`.
        run: Runs a world.

    Raises:
        SimulationMisuse: There is no fork on this system, or a process has ended without an answer.
    """
    if not hasattr(os, "fork"):
        raise SimulationMisuse("several jobs need os.fork, which this system does not have; leave --perdure-jobs out")
    pipes = [_fork(job, jobs, seeds, until_s, run) for job in range(jobs)]
    shared = Shared()
    for pid, pipe in pipes:
        with os.fdopen(pipe, "rb") as answers:
            content = answers.read()
        os.waitpid(pid, 0)
        if not content:
            raise SimulationMisuse(f"process {pid}, which shared the seeds, has ended without an answer")
        told = json.loads(content)
        for name in ("seeds", "worlds", "kills", "lost", "deploys", "replayed"):
            setattr(shared, name, getattr(shared, name) + told[name])
        shared.met.update(told["met"])
        shared.failed += told["failed"]
    shared.failed.sort()
    return shared


def _fork(job: int, jobs: int, seeds: int, until_s: float | None, run: Callable[[int], Attempt]) -> tuple[int, int]:
    reads, writes = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writes)
        return pid, reads
    os.close(reads)
    try:
        told = _run_share(job, jobs, seeds, until_s, run)
        with os.fdopen(writes, "wb") as answers:
            answers.write(json.dumps(told).encode())
    finally:
        os._exit(0)  # so that nothing of the parent's is ended twice, even after an error


def _run_share(job: int, jobs: int, seeds: int, until_s: float | None, run: Callable[[int], Attempt]) -> dict[str, Any]:
    shared, seed = Shared(), job
    while seed < seeds or (until_s is not None and time.perf_counter() < until_s):
        attempt = run(seed)
        facts = attempt.facts
        shared.seeds += 1
        shared.worlds += 1
        shared.kills += facts.kills
        shared.lost += facts.lost
        shared.deploys += facts.deploys
        shared.replayed += facts.replayed
        shared.met.update(facts.met)
        if attempt.error is not None:
            shared.failed.append(seed)
            break
        seed += jobs
    return {name: getattr(shared, name) for name in Shared.__slots__}
