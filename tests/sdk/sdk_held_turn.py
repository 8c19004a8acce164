"""What arrives while Dapr's Python SDK has a turn is neither lost nor doubled, whatever the turn comes to.

One table: each arrival meets each outcome of a turn that the SDK is made to
hold (`sdk_held_turn_worker.py`), and the same once more with the daemon killed
between the arrival and the answer. Afterwards the instance is driven to its end:
the SDK itself says whether it accepts the history, and the history is looked
at too. `tests/runtime/instance/test_what_meets_a_turn.py` is the same table
without an SDK. Takes the Python with the SDK as its argument.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
from host import Host  # type: ignore[import-not-found]  # beside this file, which is no package
from report import Report  # type: ignore[import-not-found]
from sdk_dotnet_protocol import Stub  # type: ignore[import-not-found]

from perdure.rpc.messages import TASK_HUB
from perdure.runtime.history.status import Status

HERE = Path(__file__).parent
WITHIN_S = 30.0  # the SDK waits up to 15 s before it connects again
TIMER_S = 1.0

OUTCOMES = ("asks for more", "completes", "fails", "continues as new", "stalls")
GONE = object()


class Scene:
    """A daemon, and a worker that holds turns."""

    def __init__(self, python: str, folder: Path, stack: ExitStack) -> None:
        self.python = python
        self.folder = folder
        self.stack = stack
        self.host = Host(folder / "perdure.db")
        stack.callback(self.host.stop)
        self.hub = self._connect()
        self.worker = self._start_worker()

    # What is done to an instance.

    def call(self, method: str, instance_id: str, **fields: Any) -> Any:
        return self.hub.call(method, instanceId=instance_id, **fields)

    def start(self, instance_id: str, outcome: str, meets: str) -> None:
        given = json.dumps({"outcome": outcome, "meets": meets, "timer_s": TIMER_S})
        self.call("StartInstance", instance_id, name="held", input={"value": given})

    def raise_event(self, instance_id: str, name: str, value: str) -> None:
        self.call("RaiseEvent", instance_id, name=name, input={"value": json.dumps(value)})

    def status(self, instance_id: str) -> Any:
        answer = self.call("GetInstance", instance_id)
        return Status(answer.workflowState.workflowStatus) if answer.exists else GONE

    def await_status(self, instance_id: str, *wanted: Any) -> None:
        until(
            lambda: self.status(instance_id) in wanted,
            lambda: f"{instance_id} is {self.status(instance_id)}, not {wanted}",
        )

    def history(self, instance_id: str) -> list[Any]:
        return list(self.call("GetInstanceHistory", instance_id).events)

    # What is done to its turn.

    def file(self, instance_id: str, what: str) -> Path:
        return self.folder / f"{instance_id}.{what}"

    def await_held(self, instance_id: str) -> None:
        until(self.file(instance_id, "held").exists, lambda: f"the turn of {instance_id} was never given out")

    # What is done to the worker and the daemon.

    def lose_worker(self) -> None:
        self.worker.kill()
        self.worker.wait()
        self.worker = self._start_worker()

    def kill_host(self) -> None:
        ports = self.host.ports
        self.host.kill()
        self.host = Host(self.folder / "perdure.db", ports=ports)
        self.stack.callback(self.host.stop)
        self.hub = self._connect()

    def _connect(self) -> Stub:
        channel = self.stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{self.host.rpc_port}"))
        return Stub(channel, TASK_HUB)

    def _start_worker(self) -> subprocess.Popen[str]:
        command = [self.python, str(HERE / "sdk_held_turn_worker.py"), str(self.folder)]
        with (self.folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen(command, env=self.host.env(), stdout=subprocess.PIPE, stderr=log, text=True)
        self.stack.callback(worker.kill)
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n", (self.folder / "worker.log").read_text()[-2000:]
        return worker


def until(condition: Callable[[], bool], why: Callable[[], str]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, why()
        time.sleep(0.02)


# What arrives, one function for one instance; what happens to the worker or the daemon happens to all at once.


def refused(call: Callable[[], Any]) -> None:
    try:
        call()
    except grpc.RpcError:
        return
    raise AssertionError("the call was accepted")


def pause(scene: Scene, instance_id: str) -> None:
    scene.call("SuspendInstance", instance_id)


def resume(scene: Scene, instance_id: str) -> None:
    scene.call("ResumeInstance", instance_id)


def pause_and_resume(scene: Scene, instance_id: str) -> None:
    pause(scene, instance_id)
    resume(scene, instance_id)


def met(scene: Scene, instance_id: str) -> None:
    scene.raise_event(instance_id, "e", "met")


def met_while_paused(scene: Scene, instance_id: str) -> None:
    pause(scene, instance_id)
    met(scene, instance_id)
    resume(scene, instance_id)


def terminate(scene: Scene, instance_id: str) -> None:
    scene.call("TerminateInstance", instance_id, output={"value": '"over"'})


def purge(scene: Scene, instance_id: str) -> None:
    refused(lambda: scene.call("PurgeInstances", instance_id))


def purge_by_force(scene: Scene, instance_id: str) -> None:
    scene.call("PurgeInstances", instance_id, force=True)


def childs_end(scene: Scene, instance_id: str) -> None:
    scene.raise_event(f"{instance_id}-kid", "go", "done")
    scene.await_status(f"{instance_id}-kid", Status.COMPLETED)


def timer(scene: Scene, instance_id: str) -> None:
    time.sleep(TIMER_S)  # as long as it was to take when the turn was not held yet


def nothing(scene: Scene, instance_id: str) -> None:
    pass


ARRIVALS: dict[str, Callable[[Scene, str], None]] = {
    "event": met,
    "pause": pause,
    "resume": resume,
    "pause and resume": pause_and_resume,
    "pause, event and resume": met_while_paused,
    "terminate": terminate,
    "purge": purge,
    "purge by force": purge_by_force,
    "child's end": childs_end,
    "timer": timer,
    "worker lost": nothing,
    "host killed": nothing,
}
EVENTS = {"event": ["met"], "pause, event and resume": ["met"]}


def meet(scene: Scene, arrival: str, report: Report, *, then_killed: bool = False) -> None:
    """Let one arrival meet all outcomes.

    Args:
        then_killed: The daemon is killed behind the arrival, and before the answer.
    """
    name = f"{arrival}, host killed" if then_killed else arrival
    ids = {outcome: re.sub("[^a-z]+", "-", f"{name}-{outcome}") for outcome in OUTCOMES}
    stalled = ids["stalls"]
    # Given an instance for each outcome, whose turn the SDK has,
    for outcome, instance_id in ids.items():
        scene.start(instance_id, outcome, arrival)
    scene.file(stalled, "unfit").touch()
    for instance_id in ids.values():
        scene.raise_event(instance_id, "first", "")
    for instance_id in ids.values():
        scene.await_held(instance_id)
    # when something arrives, and only then the answer,
    for instance_id in ids.values():
        ARRIVALS[arrival](scene, instance_id)
    if arrival == "worker lost":
        scene.lose_worker()
    elif arrival == "host killed" or then_killed:
        scene.kill_host()
    for instance_id in ids.values():
        scene.file(instance_id, "go").touch()
    # then each comes to its end as if they had not met.
    if arrival == "pause":
        # An answer that came counts, though the instance is suspended. One to a daemon that was killed does not.
        resume_all(scene, ids, answered=() if then_killed else ("completes", "fails"))
    if arrival not in ("terminate", "purge by force"):
        scene.await_status(stalled, Status.STALLED)
        scene.file(stalled, "unfit").unlink()
        scene.lose_worker()
    for outcome, instance_id in ids.items():
        with report.method(f"{name} x {outcome}"):
            check_end(scene, instance_id, arrival, outcome)


def resume_all(scene: Scene, ids: dict[str, str], *, answered: tuple[str, ...]) -> None:
    time.sleep(0.5)  # the answers come in
    for outcome, instance_id in ids.items():
        if outcome not in answered:
            scene.await_status(instance_id, Status.SUSPENDED)
            resume(scene, instance_id)


def check_end(scene: Scene, instance_id: str, arrival: str, outcome: str) -> None:
    if arrival == "purge by force":
        time.sleep(0.2)
        assert scene.status(instance_id) is GONE
        return
    if arrival == "terminate":
        scene.await_status(instance_id, Status.TERMINATED)
    elif outcome == "completes":
        scene.await_status(instance_id, Status.COMPLETED)
    elif outcome == "fails":
        scene.await_status(instance_id, Status.FAILED)
    else:
        scene.await_status(instance_id, Status.RUNNING)
        scene.raise_event(instance_id, "e", "stop")
        scene.await_status(instance_id, Status.COMPLETED, Status.FAILED)
        state = scene.call("GetInstance", instance_id, getInputsAndOutputs=True).workflowState
        assert state.output.value == json.dumps(EVENTS.get(arrival, [])), state
    check_history(scene.history(instance_id), outcome, stalled=outcome == "stalls" and arrival != "terminate")


def check_history(events: list[Any], outcome: str, *, stalled: bool) -> None:
    """Check that a history is one that every SDK accepts (contract 3.12), and that it has no event twice."""
    suspended = False
    for event in events:
        if event.HasField("executionSuspended"):
            assert not suspended, events
            suspended = True
        elif event.HasField("executionResumed"):
            assert suspended, events
            suspended = False
    kinds = Counter(event.WhichOneof("eventType") for event in events)
    assert kinds["executionStarted"] == kinds["executionCompleted"] == 1, kinds
    raised = Counter(event.eventRaised.input.value for event in events if event.HasField("eventRaised"))
    assert not [value for value, times in raised.items() if times > 1], raised
    assert kinds["executionStalled"] == int(stalled), kinds


EVENTS_COUNT, CALLERS = 100, 8


def raise_while_it_renews(scene: Scene) -> None:
    """Several callers raise events while each of them ends a generation; each is seen once."""
    scene.call("StartInstance", "renews", name="renews", input={"value": "[]"})
    with ThreadPoolExecutor(CALLERS) as callers:
        list(callers.map(lambda n: scene.raise_event("renews", "e", str(n)), range(EVENTS_COUNT)))
    scene.raise_event("renews", "e", "stop")
    scene.await_status("renews", Status.COMPLETED)
    state = scene.call("GetInstance", "renews", getInputsAndOutputs=True).workflowState
    seen = Counter(json.loads(state.output.value))
    assert seen == Counter(map(str, range(EVENTS_COUNT))), seen


def main() -> int:
    report = Report("Python dapr 1.19, what meets a turn")
    with (
        tempfile.TemporaryDirectory(prefix="perdure-held-", ignore_cleanup_errors=True) as folder,
        ExitStack() as stack,
    ):
        with report.method("the scene is set"):
            scene = Scene(sys.argv[1], Path(folder), stack)
        with report.method(f"{EVENTS_COUNT} events of {CALLERS} callers x {EVENTS_COUNT} generations"):
            raise_while_it_renews(scene)
        for arrival in ARRIVALS:
            with report.method(f"{arrival} meets a turn"):
                meet(scene, arrival, report)
        for arrival in ARRIVALS:
            if arrival not in ("worker lost", "host killed"):
                with report.method(f"{arrival} meets a turn, and the host is killed"):
                    meet(scene, arrival, report, then_killed=True)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
