"""Runs with Dapr's Python SDK: a host, and workers that are their own load.

The SDK limits the rate of any host. So the result is Perdure's share of the rate of a server that stores nothing
(`stub_hub.py`), in pairs of consecutive runs, which other work of the machine affects equally.

For workers that keep histories, the host's part of a turn must not grow with the history. The SDK replays the whole
history at every turn, so its part does grow; both are measured separately.
"""

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from ...workloads.run import Run
from ...workloads.workload import SDK_FORGETFUL, STUB, Shape
from ..in_process import EngineSetup
from ..measure import RunOutcome, distribution, usage_of_trees
from ..processes import line_of, ready_line, run_command, started
from . import sdk_worker

ENDS_TURNS = 100  # turns at either end of a long history


class WorkerReport(msgspec.Struct):
    steps: int
    elapsed_s: float
    worker_cpu_s: float
    latencies_us: list[int]
    turns: list[tuple[float, float, int]]  # sdk_worker.TurnTimes


def run_through_sdk(run: Run, setup: EngineSetup) -> RunOutcome:
    """Run a host on a new store, and for each of its processes a worker with the run's load.

    Raises:
        ProcessEnded: A process has failed.
    """
    assert run.sdk_python is not None
    with ExitStack() as stack:
        server = stack.enter_context(started(host_command(run.driver, setup), setup.folder))
        port = ready_line(server)["grpc_port"]
        # Isolated, because modules in the script's folder have names of other packages.
        load = json.dumps({"port": port, **load_of(run)})
        script = [run.sdk_python, "-I", str(Path(sdk_worker.__file__)), load]
        workers = [stack.enter_context(started(script, setup.folder)) for _ in range(run.processes)]
        for worker in workers:
            line_of(worker, "sign of a beginning")
        before_s = usage_of_trees([server.pid]).cpu_s
        reports = [msgspec.json.decode(line_of(worker, "outcome"), type=WorkerReport) for worker in workers]
        after = usage_of_trees([server.pid])
        return outcome(reports, host_cpu_s=after.cpu_s - before_s, rss_bytes=after.rss_bytes)


def host_command(driver: str, setup: EngineSetup) -> list[str]:
    stub = [sys.executable, "-m", f"{__package__}.stub_hub"]
    return stub if driver == STUB else run_command(setup)


def load_of(run: Run) -> dict[str, Any]:
    if run.variant.shape is Shape.TURNS:
        return {"workload": run.workload, "forgetful": run.driver == SDK_FORGETFUL}
    return {"workload": run.workload, "in_flight": run.in_flight, "seconds": run.seconds}


def outcome(reports: Sequence[WorkerReport], *, host_cpu_s: float, rss_bytes: int) -> RunOutcome:
    """Combine the reports of concurrent workers; figures are per step."""
    steps, elapsed_s = sum(each.steps for each in reports), max(each.elapsed_s for each in reports)
    latencies_us = [took_us for each in reports for took_us in each.latencies_us]
    figures = {
        "elapsed_s": elapsed_s,
        "instances": float(len(latencies_us)),
        "instances_per_s": len(latencies_us) / elapsed_s,
        "units_per_s": steps / elapsed_s,
        **distribution(latencies_us),
        "cpu_ms_per_unit": host_cpu_s * 1000 / steps,
        "load_cpu_ms_per_unit": sum(each.worker_cpu_s for each in reports) * 1000 / steps,
        "rss_mib": rss_bytes / 2**20,
        **growth([turn for each in reports for turn in each.turns]),
    }
    return RunOutcome(figures=figures, latencies_us=latencies_us)


def growth(turns: Sequence[tuple[float, float, int]]) -> dict[str, float]:
    """The medians of the first and of the last turns of an instance; empty if there are too few turns.

    The host's part includes work of the SDK between two messages, such as measuring its growing history. The stub's
    part includes it too.
    """
    if len(turns) < 2 * ENDS_TURNS:
        return {}
    return {
        f"{what}_{end}_{unit}": median(turn[place] for turn in some)
        for place, (what, unit) in enumerate((("host", "ms"), ("worker", "ms"), ("item", "bytes")))
        for end, some in (("first", turns[:ENDS_TURNS]), ("last", turns[-ENDS_TURNS:]))
    }
