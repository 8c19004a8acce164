"""A worker on Dapr's Python SDK, and its load, in one process.

Run as a script by a Python that has `dapr` and may lack Perdure, so it imports nothing of ours. It gets its load in
JSON (the arguments of `main`), and writes to standard output: an empty line when the clock starts, and its figures as a
line of JSON.

The rule: the SDK is as published. Turns are timed with interceptors, which are part of the SDK's interface.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

STEPS = 5  # of W1
WIDTH = 100  # of W2
HISTORY_STEPS = 1_700  # three events each: more than 5 000
TIMEOUT_S = 300

Item = Callable[[], None]


class MessageStamp(NamedTuple):
    what: str  # one of the four messages below
    at_ns: int
    bytes: int = 0  # of a received message


TURN_CAME, TURN_ANSWERED, TASK_CAME, TASK_ANSWERED = "turn came", "turn answered", "task came", "task answered"


class TurnTimes(NamedTuple):
    """The times of a turn of a chain, and the size of its message."""

    host_ms: float  # from an activity's answer to the turn, and from the turn's answer to the next activity
    worker_ms: float  # from the turn to its answer: the SDK and the workflow's code
    bytes: int  # of the turn's item


def chain(ctx: Any, steps: int) -> Generator[Any, Any, int]:
    number = 0
    for _ in range(steps):
        number = yield ctx.call_activity(add_one, input=number)
    return number


def fan_out(ctx: Any, width: int) -> Generator[Any, Any, int]:
    import dapr.ext.workflow as wf  # type: ignore[import-not-found]  # noqa: PLC0415  only where the SDK is

    numbers = yield wf.when_all([ctx.call_activity(add_one, input=number) for number in range(width)])
    total: int = sum(numbers)
    return total


async def add_one(ctx: Any, number: int) -> int:
    return number + 1


# name -> workflow, input, output, number of steps
WORKLOADS: dict[str, tuple[Callable[..., Any], int, int, int]] = {
    "W1": (chain, STEPS, STEPS, STEPS),
    "W2": (fan_out, WIDTH, sum(range(1, WIDTH + 1)), WIDTH),
    "history": (chain, HISTORY_STEPS, HISTORY_STEPS, HISTORY_STEPS),
}


def closed_loop(item: Item, *, in_flight: int, seconds: float) -> list[int]:
    """Keep items under way, each in a thread, until the time is over, and wait for the last.

    Returns the durations in microseconds; raises the error of an item.
    """
    deadline_s = time.perf_counter() + seconds

    def lane() -> list[int]:
        took_us: list[int] = []
        while not took_us or time.perf_counter() < deadline_s:
            began_ns = time.perf_counter_ns()
            item()
            took_us.append((time.perf_counter_ns() - began_ns) // 1000)
        return took_us

    with ThreadPoolExecutor(in_flight) as threads:
        lanes = [threads.submit(lane) for _ in range(in_flight)]
        return [took_us for each in lanes for took_us in each.result()]


def turns(stamps: Iterable[MessageStamp]) -> list[TurnTimes]:
    """Compute the times of the turns of a single chain that led to an activity, without the first turn.

    Args:
        stamps: Of all messages, in their order.

    """
    found: list[TurnTimes] = []
    before = came = answered = None
    for stamp in stamps:
        if stamp.what == TASK_ANSWERED:
            before, came, answered = stamp, None, None
        elif stamp.what == TURN_CAME:
            came = stamp
        elif stamp.what == TURN_ANSWERED:
            answered = stamp
        elif before is not None and came is not None and answered is not None:
            host_ns = (came.at_ns - before.at_ns) + (stamp.at_ns - answered.at_ns)
            found.append(TurnTimes(host_ns / 1e6, (answered.at_ns - came.at_ns) / 1e6, came.bytes))
    return found


def watcher(stamps: list[MessageStamp]) -> Any:
    """Make an interceptor that stamps each message on the worker's channel."""
    import grpc  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415  only where the SDK is

    class Watched:
        """A stream whose items are stamped."""

        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __iter__(self) -> Iterator[Any]:
            return self

        def __next__(self) -> Any:
            item = next(self._stream)
            what = TASK_CAME if item.HasField("activityRequest") else TURN_CAME
            stamps.append(MessageStamp(what, time.perf_counter_ns(), item.ByteSize()))
            return item

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)

    class Watcher(grpc.UnaryStreamClientInterceptor, grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc,unused-ignore]
        def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
            return Watched(continuation(details, request))

        def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            method = details.method.rpartition("/")[2]
            if method.startswith("Complete"):
                what = TASK_ANSWERED if method == "CompleteActivityTask" else TURN_ANSWERED
                stamps.append(MessageStamp(what, time.perf_counter_ns()))
            return continuation(details, request)

    return Watcher()


def main(port: str, workload: str, in_flight: int = 1, seconds: float = 0, *, forgetful: bool = False) -> None:
    """Load the host at a port for `seconds`; 0: each lane runs one instance.

    Args:
        forgetful: Keep no histories, so that the host sends them whole.
    """
    import dapr.ext.workflow as wf  # noqa: PLC0415  only where the SDK is

    workflow, given, expected, units = WORKLOADS[workload]
    stamps: list[MessageStamp] = []
    # A log line for each turn would cost more than the turn.
    quiet = wf.logger.LoggerOptions(log_level=logging.WARNING)
    runtime = wf.WorkflowRuntime(
        port=port,
        host="127.0.0.1",
        logger_options=quiet,
        interceptors=[watcher(stamps)] if workload == "history" else [],
        disable_stateful_history=forgetful,
    )
    runtime.register_activity(add_one)
    runtime.register_workflow(workflow)
    runtime.start()
    client = wf.DaprWorkflowClient(host="127.0.0.1", port=port, logger_options=quiet)

    def item(steps: int = given, output: int = expected) -> None:
        instance_id = client.schedule_new_workflow(workflow, input=steps)
        state = client.wait_for_workflow_completion(instance_id, timeout_in_seconds=TIMEOUT_S)
        found = json.loads(state.serialized_output) if state is not None and state.serialized_output else None
        if found != output:
            raise RuntimeError(
                f"instance {instance_id} returned {found!r} and should have returned {output!r}: {state}"
            )

    if workload == "history":
        item(STEPS, STEPS)
        stamps.clear()
    else:
        closed_loop(item, in_flight=in_flight, seconds=0)
    print(flush=True)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    took_us = closed_loop(item, in_flight=in_flight, seconds=seconds)
    outcome = {
        "steps": len(took_us) * units,
        "elapsed_s": time.perf_counter() - began_s,
        "worker_cpu_s": time.process_time() - began_cpu_s,
        "latencies_us": took_us,
        "turns": turns(stamps),
    }
    print(json.dumps(outcome), flush=True)
    client.close()
    runtime.shutdown()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
