"""Workers on Dapr's Python SDK: a host, and one or several workers that are their own load.

The SDK is the bound of this, whatever stands behind it. So what counts is how much of the rate of a server that stores
nothing (`stub_hub.py`) Perdure comes to, in pairs of runs that follow one another: the machine's other work hits both
alike.

The rule of the long chain: the host's part of a turn must not grow with the instance's history, for workers that keep
it. The SDK runs all of the history through the workflow's code again at every turn, so its part does grow; the two are
told apart.
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

ENDS_TURNS = 100  # so many turns at either end of a long history are compared


class WorkerReport(msgspec.Struct):
    """The last line of the worker's process: its measurements."""

    steps: int
    elapsed_s: float
    worker_cpu_s: float
    latencies_us: list[int]
    turns: list[tuple[float, float, int]]  # sdk_worker.TurnTimes


def run_through_sdk(run: Run, setup: EngineSetup) -> RunOutcome:
    """Carry out a run: a host with a store of its own, and for each of its processes a worker with as much load.

    Raises:
        ProcessEnded: A process did not come to its end.
    """
    assert run.sdk_python is not None
    with ExitStack() as stack:
        server = stack.enter_context(started(host_command(run.driver, setup), setup.folder))
        port = ready_line(server)["grpc_port"]
        # Isolated: the script's folder has modules whose names are others' too.
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
    """How a host is started."""
    stub = [sys.executable, "-m", f"{__package__}.stub_hub"]
    return stub if driver == STUB else run_command(setup)


def load_of(run: Run) -> dict[str, Any]:
    """What the worker's process is told of its load; see its `main`."""
    if run.variant.shape is Shape.TURNS:
        return {"workload": run.workload, "forgetful": run.driver == SDK_FORGETFUL}
    return {"workload": run.workload, "in_flight": run.in_flight, "seconds": run.seconds}


def outcome(reports: Sequence[WorkerReport], *, host_cpu_s: float, rss_bytes: int) -> RunOutcome:
    """Put together what workers that have worked at the same time report; figures are per step."""
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
    """The medians of the first turns of an instance and of its last ones, as `sdk_worker.TurnTimes`; nothing of a few.

    The host's part holds what the SDK does between two messages too, such as measuring the history it keeps, which
    grows. The stub's has the same.
    """
    if len(turns) < 2 * ENDS_TURNS:
        return {}
    return {
        f"{what}_{end}_{unit}": median(turn[place] for turn in some)
        for place, (what, unit) in enumerate((("host", "ms"), ("worker", "ms"), ("item", "bytes")))
        for end, some in (("first", turns[:ENDS_TURNS]), ("last", turns[-ENDS_TURNS:]))
    }
