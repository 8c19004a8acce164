"""Every method of Dapr's Python workflow SDK, sync and async client, and every feature of its worker.

Runs in an environment with PyPI `dapr` 1.19, or `dapr-ext-workflow` 1.17 with
`durabletask-dapr`. Where the daemon is, DAPR_GRPC_PORT and DAPR_HTTP_PORT say.
"""
# mypy: ignore-errors
# The SDK lives in an environment of its own, where mypy does not look.

import asyncio
import importlib.metadata
import json
import os
import sys
import time
import urllib.request
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import dapr.ext.workflow as wf
import grpc
import sdk_python_app as app
from dapr.ext.workflow.aio import DaprWorkflowClient as AsyncClient
from report import Report

NEW = hasattr(wf, "WorkflowHistoryEvent")  # the generation of 1.18 and later
DISTRIBUTION = "dapr" if NEW else "dapr-ext-workflow"
REPORT = Report(f"Python {DISTRIBUTION} {importlib.metadata.version(DISTRIBUTION)}")

WITHIN_S = 30


def new_id(about: str) -> str:
    return f"{about}-{uuid.uuid4().hex[:8]}"


def refusal_of(call) -> str:
    """Make a call that must fail, and give the daemon's words."""
    try:
        call()
    except grpc.RpcError as error:
        return error.details()
    raise AssertionError("the call was accepted")


def waiting_for(instance_id: str) -> list[dict]:
    """Ask the daemon what an instance waits for."""
    url = f"http://127.0.0.1:{os.environ['DAPR_HTTP_PORT']}/api/v1/instances/{instance_id}"
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)["waiting_for"]


class Scenarios:
    """The methods of the sync client, and the features of the worker."""

    def __init__(self, client) -> None:
        self.client = client

    # What most scenarios do.

    def start(self, workflow, given=None, instance_id=None):
        name = getattr(workflow, "__name__", workflow)
        return self.client.schedule_new_workflow(workflow, input=given, instance_id=instance_id or new_id(name))

    def finish(self, instance_id, status="COMPLETED"):
        state = self.client.wait_for_workflow_completion(instance_id, timeout_in_seconds=WITHIN_S)
        assert state is not None, "there is no such instance"
        assert state.runtime_status.name == status, f"{state.runtime_status.name}: {state.to_json()}"
        return state

    def named(self, name, given=None):
        """Start by a name; SDKs before 1.18 take functions only, of which they look at the name."""
        if NEW:
            return self.start(name, given)
        stand_in = type(lambda: None)((lambda: None).__code__, {}, name)
        return self.start(stand_in, given)

    def run(self, workflow, given=None):
        state = self.finish(self.start(workflow, given))
        return None if state.serialized_output is None else json.loads(state.serialized_output)

    def status(self, instance_id):
        state = self.client.get_workflow_state(instance_id)
        return "not there" if state is None else state.runtime_status.name

    def wait_for_status(self, instance_id, status):
        deadline = time.monotonic() + WITHIN_S
        while (found := self.status(instance_id)) != status:
            assert time.monotonic() < deadline, f"{found}, not {status}"
            time.sleep(0.05)

    # The client.

    def schedule_new_workflow(self) -> None:
        given = new_id("given")
        assert self.start(app.plain, {"a": [1, None, "ü"]}, given) == given
        assert json.loads(self.finish(given).serialized_output) == {"given": {"a": [1, None, "ü"]}, "id": given}
        made = self.client.schedule_new_workflow(app.plain, input=1)
        assert len(made) == 32
        self.finish(made)

    def schedule_for_later(self) -> None:
        start_at = datetime.now(timezone.utc) + timedelta(seconds=1.5)  # noqa: UP017  as the SDK's users write it
        began = time.monotonic()
        instance_id = self.client.schedule_new_workflow(app.plain, input=1, start_at=start_at)
        assert time.monotonic() - began < 1.0, "scheduling for later must not wait until then"
        assert self.status(instance_id) == "PENDING"
        self.finish(instance_id)
        assert time.monotonic() - began > 1.0

    def schedule_an_id_that_is_taken(self) -> None:
        instance_id = self.start(app.waits)
        text = refusal_of(lambda: self.start(app.waits, None, instance_id))
        assert "already exists" in text, text
        self.client.terminate_workflow(instance_id)
        self.finish(instance_id, "TERMINATED")
        assert self.start(app.plain, 1, instance_id) == instance_id  # a finished one makes room
        self.finish(instance_id)

    def get_workflow_state(self) -> None:
        assert self.client.get_workflow_state(new_id("nobody")) is None
        instance_id = self.start(app.chain, 3)
        self.finish(instance_id)
        state = self.client.get_workflow_state(instance_id)
        assert (state.name, state.instance_id) == ("chain", instance_id)
        assert (state.serialized_input, state.serialized_output) == ("3", "8")
        assert abs(state.created_at.timestamp() - time.time()) < 60
        assert state.last_updated_at >= state.created_at
        bare = self.client.get_workflow_state(instance_id, fetch_payloads=False)
        assert (bare.serialized_input, bare.serialized_output) == (None, None)

    def wait_for_workflow_start(self) -> None:
        instance_id = self.start(app.waits)
        state = self.client.wait_for_workflow_start(instance_id, timeout_in_seconds=WITHIN_S)
        assert state.runtime_status.name == "RUNNING"
        self.client.terminate_workflow(instance_id)

    def wait_for_workflow_completion(self) -> None:
        instance_id = self.start(app.waits)
        try:
            self.client.wait_for_workflow_completion(instance_id, timeout_in_seconds=1)
        except TimeoutError:
            pass
        else:
            raise AssertionError("waiting for what does not end must time out")
        self.client.raise_workflow_event(instance_id, "go", data="now")
        assert self.finish(instance_id).serialized_output == '"now"'

    def raise_workflow_event(self) -> None:
        instance_id = self.start(app.three_events)
        # The last first: an event is kept until somebody waits for it, and its name is the same in any case.
        for name, data in (("c", 3), ("B", {"two": 2}), ("a", None)):
            self.client.raise_workflow_event(instance_id, name, data=data)
        assert json.loads(self.finish(instance_id).serialized_output) == [None, {"two": 2}, 3]

    def pause_and_resume_workflow(self) -> None:
        instance_id = self.start(app.waits)
        self.client.pause_workflow(instance_id)
        assert self.status(instance_id) == "SUSPENDED"
        self.client.raise_workflow_event(instance_id, "go", data=42)
        time.sleep(0.5)
        assert self.status(instance_id) == "SUSPENDED"
        self.client.resume_workflow(instance_id)
        assert self.finish(instance_id).serialized_output == "42"

    def status_after_resume(self) -> None:
        instance_id = self.start(app.waits)
        self.client.pause_workflow(instance_id)
        self.client.resume_workflow(instance_id)
        found = self.status(instance_id)
        self.client.terminate_workflow(instance_id)
        assert found == "RUNNING", found

    def terminate_workflow(self) -> None:
        child_id = new_id("child")
        instance_id = self.start(app.waits_in_a_child, child_id)
        self.wait_for_status(child_id, "RUNNING")
        self.client.terminate_workflow(instance_id, output="stopped")
        assert self.finish(instance_id, "TERMINATED").serialized_output == '"stopped"'
        self.finish(child_id, "TERMINATED")

    def terminate_workflow_alone(self) -> None:
        child_id = new_id("child")
        instance_id = self.start(app.waits_in_a_child, child_id)
        self.wait_for_status(child_id, "RUNNING")
        self.client.terminate_workflow(instance_id, recursive=False)
        self.finish(instance_id, "TERMINATED")
        assert self.status(child_id) == "RUNNING"
        self.client.raise_workflow_event(child_id, "go")
        self.finish(child_id)

    def purge_workflow(self) -> None:
        parent_id = self.start(app.parent, 1)
        child_id = json.loads(self.finish(parent_id).serialized_output)["first"]
        self.client.purge_workflow(parent_id, recursive=False)
        assert self.client.get_workflow_state(parent_id) is None
        assert self.client.get_workflow_state(child_id) is not None
        parent_id = self.start(app.parent, 1)
        child_id = json.loads(self.finish(parent_id).serialized_output)["first"]
        self.client.purge_workflow(parent_id)
        assert self.client.get_workflow_state(parent_id) is None
        assert self.client.get_workflow_state(child_id) is None

    def purge_workflow_that_runs(self) -> None:
        instance_id = self.start(app.waits)
        refusal_of(lambda: self.client.purge_workflow(instance_id))
        assert self.status(instance_id) == "RUNNING"
        self.client.terminate_workflow(instance_id)

    def list_workflow_instance_ids(self) -> None:
        started = {self.start(app.plain, n) for n in range(5)}
        first = self.client.list_workflow_instance_ids(page_size=2)
        assert len(first.instance_ids) == 2
        assert first.continuation_token
        second = self.client.list_workflow_instance_ids(page_size=2, continuation_token=first.continuation_token)
        assert not set(first.instance_ids) & set(second.instance_ids)
        everything = list(self.client.iter_workflow_instance_ids(page_size=3))
        assert len(everything) == len(set(everything)), "an id came twice"
        assert started <= set(everything)

    def get_workflow_history(self) -> None:
        instance_id = self.start(app.chain, 1)
        self.finish(instance_id)
        kinds = [event.event_type.name for event in self.client.get_workflow_history(instance_id)]
        scheduled = [kind for kind in kinds if "SCHEDULED" in kind.upper()]
        assert len(scheduled) == 5, kinds

    def rerun_workflow_from_event(self) -> None:
        instance_id = self.start(app.chain, 1)
        self.finish(instance_id)
        copy_id = self.client.rerun_workflow_from_event(instance_id, 2, new_instance_id=new_id("rerun"))
        assert self.finish(copy_id).serialized_output == "6"
        other = self.client.rerun_workflow_from_event(instance_id, 2, new_instance_id=new_id("rerun"), input=100)
        assert self.finish(other).serialized_output == "104"

    def an_app_that_is_not_hosted_here(self) -> None:
        text = refusal_of(lambda: self.client.schedule_new_workflow(app.plain, input=1, app_id="somebody-else"))
        assert "somebody-else" in text, text

    # The worker.

    def activities(self) -> None:
        assert self.run(app.chain, 0) == 5
        assert self.run(app.by_name, "x") == ["renamed x", "nothing was needed"]

    def activity_failures(self) -> None:
        details = self.finish(self.start(app.fails, "so it goes"), "FAILED").failure_details
        # The activity's own error is quoted in that of the workflow.
        assert details.error_type == "TaskFailedError", details.error_type
        assert "so it goes" in details.message
        assert details.stack_trace
        key = new_id("key")
        caught = self.run(app.compensates, key)
        assert caught == {"type": "ValueError", "message": "no money", "undone": 1}, caught

    def retries(self) -> None:
        given = {"key": new_id("key"), "succeeds_at": 3, "attempts": 5}
        assert self.run(app.retries, given) == 3
        hopeless = {"key": new_id("key"), "succeeds_at": 9, "attempts": 3}
        self.finish(self.start(app.retries, hopeless), "FAILED")
        assert app.calls[hopeless["key"]] == 3
        assert self.run(app.retries_a_child, {"key": new_id("key"), "succeeds_at": 2}) == 2

    def children(self) -> None:
        instance_id = self.start(app.parent, "x")
        result = json.loads(self.finish(instance_id).serialized_output)
        assert (result["first"], result["third"]) == (f"{instance_id}-child", 6)
        assert result["second"].startswith(instance_id), result
        assert self.status(result["second"]) == "COMPLETED"
        assert self.run(app.parent_of_a_failure) == "caught TaskFailedError"

    def timers(self) -> None:
        assert 0.6 <= self.run(app.timers, 0.3) < 10

    def timer_with_an_event(self) -> None:
        instance_id = self.start(app.race)
        self.client.raise_workflow_event(instance_id, "go", data="fast")
        assert json.loads(self.finish(instance_id).serialized_output) == {"winner": "event", "value": "fast"}

    def what_it_waits_for(self) -> None:
        instance_id = self.start(app.race)
        while (waiting := waiting_for(instance_id)) and waiting[0]["kind"] == "worker":
            time.sleep(0.05)
        assert [each["kind"] for each in waiting] == (["timer", "event"] if NEW else ["timer"]), waiting
        if NEW:  # 1.17 sets no timer for a wait, and nothing else tells
            assert (waiting[1]["name"], waiting[1]["due"]) == ("go", None), waiting
        self.client.raise_workflow_event(instance_id, "go", data="fast")
        self.finish(instance_id)
        assert waiting_for(instance_id) == []

    def event_timeout(self) -> None:
        assert self.run(waits_in_vain) == "timed out"

    def when_all(self) -> None:
        assert self.run(app.fan_out, 20) == sum(range(1, 21))
        if NEW:  # 1.17 raises where the workflow cannot catch it, and fails it
            assert self.run(app.fan_out_with_a_failure) == "caught ValueError"

    def when_all_wide(self) -> None:
        assert self.run(app.fan_out, 500) == sum(range(1, 501))

    def continue_as_new(self) -> None:
        instance_id = self.start(app.generations, {"seen": [], "until": 5})
        for n in range(1, 6):  # the SDK sends 0 as no data
            self.client.raise_workflow_event(instance_id, "item", data=n)
        state = self.finish(instance_id)
        assert json.loads(state.serialized_output) == [1, 2, 3, 4, 5]
        assert json.loads(state.serialized_input)["seen"] == [1, 2, 3, 4], "the input is the last generation's"
        assert self.run(app.loops_with_activity, 0) == 4

    def custom_status(self) -> None:
        instance_id = self.start(app.status_of_its_own)
        state = self.client.get_workflow_state(instance_id)
        assert "waiting for somebody" in state.serialized_custom_status
        self.client.raise_workflow_event(instance_id, "go")
        assert "done waiting" in self.finish(instance_id).serialized_custom_status

    def determinism(self) -> None:
        key = new_id("key")
        result = self.run(app.deterministic, key)
        assert result["is_replaying"] is False
        assert datetime.fromisoformat(result["first"])
        assert app.calls[key] == 1

    def patches(self) -> None:
        assert self.run(app.patched) == "new"

    def versions(self) -> None:
        assert self.finish(self.named("versioned")).serialized_output == '"v2"'

    def what_nobody_registered(self) -> None:
        state = self.finish(self.named("nobody_registered_this"), "FAILED")
        assert "nobody_registered_this" in state.failure_details.message
        state = self.finish(self.start(app.asks_for_what_nobody_has), "FAILED")
        assert "nobody_registered_this" in state.failure_details.message
        if NEW:  # 1.17 waits for it for ever
            assert self.finish(self.start(app.yields_a_number), "FAILED").failure_details.message

    def large_payloads(self) -> None:
        text = "ü" * 100_000  # six bytes each in JSON; the SDK's client takes up to 4 MiB by default
        assert self.run(app.large, text) == text

    def many_at_once(self) -> None:
        started = [self.start(app.chain, n) for n in range(100)]
        assert [self.finish(each).serialized_output for each in started] == [str(n + 5) for n in range(100)]

    def native_code_from_remote(self) -> None:
        """One instance tree: a remote workflow's activity and child run inside the daemon."""
        assert self.run(uses_native_code, 4) == [8, 10]

    def remote_code_from_native(self) -> None:
        """The other way round: this worker has the activities and children of a native workflow."""
        state = self.finish(self.named("native_parent", 1))
        assert json.loads(state.serialized_output) == [2, 6]

    def stateful_history(self) -> None:
        deltas, full = app.SEEN.deltas, app.SEEN.full
        assert self.run(app.many_turns, 20) == 20
        sent = (app.SEEN.full - full, app.SEEN.deltas - deltas)
        assert sent[0] <= 2, f"{sent[0]} turns were sent with the whole history"
        assert sent[1] >= 18, f"{sent[1]} turns were sent as deltas"

    def propagated_history(self) -> None:
        shown = self.run(shows_its_history)
        assert shown == {"child": ["plus_one"], "activity": ["plus_one"]}, shown


@app.runtime.workflow
def uses_native_code(ctx, n):
    doubled = yield ctx.call_activity("native_double", input=n)
    child = yield ctx.call_child_workflow("native_child", input=n + 1)
    return [doubled, child]


@app.runtime.workflow
def waits_in_vain(ctx, _=None):
    if NEW:
        try:
            yield ctx.wait_for_external_event("never", timeout=timedelta(seconds=0.2))
        except TimeoutError:
            return "timed out"
        return "heard"
    event = ctx.wait_for_external_event("never")
    timer = ctx.create_timer(timedelta(seconds=0.2))
    winner = yield wf.when_any([event, timer])
    return "timed out" if winner is timer else "heard"


if NEW:

    @dataclass
    class Order:
        """What pydantic's models look like to the SDK."""

        name: str
        quantity: int

        def model_dump(self):
            return {"name": self.name, "quantity": self.quantity}

        @classmethod
        def model_validate(cls, value):
            return cls(**value)

    @app.runtime.activity
    async def asynchronous(ctx, n: int) -> int:
        await asyncio.sleep(0.01)
        return n * 2

    @app.runtime.activity
    def order_total(ctx, order: Order) -> int:
        assert isinstance(order, Order), type(order)
        return order.quantity * 10

    @app.runtime.workflow
    def typed(ctx, order: Order):
        assert isinstance(order, Order), type(order)
        doubled = yield wf.when_all([ctx.call_activity(asynchronous, input=n) for n in range(10)])
        total = yield ctx.call_activity(order_total, input=order)
        return {"doubled": sum(doubled), "total": total, "name": order.name}

    def activities_in(history):
        if history is None:
            return None
        return [each.name for workflow in history.get_workflows() for each in activities_of(workflow)]

    def activities_of(workflow):
        return [workflow.get_last_activity_by_name("plus_one")]

    @app.runtime.activity
    def sees_history(ctx, _=None):
        return activities_in(ctx.get_propagated_history())

    @app.runtime.workflow
    def child_that_sees_history(ctx, _=None):
        return activities_in(ctx.get_propagated_history())

    @app.runtime.workflow
    def shows_its_history(ctx, _=None):
        scope = wf.PropagationScope.LINEAGE
        yield ctx.call_activity(app.plus_one, input=1)
        child = yield ctx.call_child_workflow(child_that_sees_history, propagation=scope)
        activity = yield ctx.call_activity(sees_history, propagation=scope)
        return {"child": child, "activity": activity}


class AsyncScenarios:
    """The async client's methods."""

    def __init__(self, client) -> None:
        self.client = client

    async def finish(self, instance_id, status="COMPLETED"):
        state = await self.client.wait_for_workflow_completion(instance_id, timeout_in_seconds=WITHIN_S)
        assert state.runtime_status.name == status, state.to_json()
        return state

    async def schedule_new_workflow(self) -> None:
        instance_id = await self.client.schedule_new_workflow(app.chain, input=3)
        assert (await self.finish(instance_id)).serialized_output == "8"

    async def get_workflow_state(self) -> None:
        assert await self.client.get_workflow_state(new_id("nobody")) is None
        instance_id = await self.client.schedule_new_workflow(app.plain, input=3)
        await self.finish(instance_id)
        assert (await self.client.get_workflow_state(instance_id)).serialized_input == "3"

    async def wait_for_workflow_start(self) -> None:
        instance_id = await self.client.schedule_new_workflow(app.waits)
        state = await self.client.wait_for_workflow_start(instance_id, timeout_in_seconds=WITHIN_S)
        assert state.runtime_status.name == "RUNNING"
        await self.client.terminate_workflow(instance_id)

    async def wait_for_workflow_completion(self) -> None:
        ids = [await self.client.schedule_new_workflow(app.chain, input=n) for n in range(10)]
        states = await asyncio.gather(*(self.finish(each) for each in ids))
        assert [state.serialized_output for state in states] == [str(n + 5) for n in range(10)]

    async def raise_workflow_event(self) -> None:
        instance_id = await self.client.schedule_new_workflow(app.waits)
        await self.client.raise_workflow_event(instance_id, "go", data={"a": 1})
        assert json.loads((await self.finish(instance_id)).serialized_output) == {"a": 1}

    async def pause_and_resume_workflow(self) -> None:
        instance_id = await self.client.schedule_new_workflow(app.waits)
        await self.client.pause_workflow(instance_id)
        assert (await self.client.get_workflow_state(instance_id)).runtime_status.name == "SUSPENDED"
        await self.client.resume_workflow(instance_id)
        await self.client.raise_workflow_event(instance_id, "go")
        await self.finish(instance_id)

    async def terminate_workflow(self) -> None:
        instance_id = await self.client.schedule_new_workflow(app.waits)
        await self.client.terminate_workflow(instance_id, output={"why": "enough"})
        assert json.loads((await self.finish(instance_id, "TERMINATED")).serialized_output) == {"why": "enough"}

    async def purge_workflow(self) -> None:
        instance_id = await self.client.schedule_new_workflow(app.plain)
        await self.finish(instance_id)
        await self.client.purge_workflow(instance_id)
        assert await self.client.get_workflow_state(instance_id) is None

    async def list_workflow_instance_ids(self) -> None:
        started = {await self.client.schedule_new_workflow(app.plain) for _ in range(3)}
        page = await self.client.list_workflow_instance_ids(page_size=2)
        assert len(page.instance_ids) == 2
        assert started <= {each async for each in self.client.iter_workflow_instance_ids(page_size=4)}

    async def get_workflow_history(self) -> None:
        instance_id = await self.client.schedule_new_workflow(app.plain)
        await self.finish(instance_id)
        assert len(await self.client.get_workflow_history(instance_id)) >= 2

    async def rerun_workflow_from_event(self) -> None:
        instance_id = await self.client.schedule_new_workflow(app.chain, input=1)
        await self.finish(instance_id)
        copy_id = await self.client.rerun_workflow_from_event(instance_id, 1)
        assert (await self.finish(copy_id)).serialized_output == "6"


# Methods that the client has since 1.18, and features of the worker.
NEWER = {"list_workflow_instance_ids", "get_workflow_history", "rerun_workflow_from_event"}
NEWER_FEATURES = {"stateful_history", "propagated_history", "an_app_that_is_not_hosted_here"}

CLIENT = [
    "schedule_new_workflow",
    "schedule_for_later",
    "schedule_an_id_that_is_taken",
    "get_workflow_state",
    "wait_for_workflow_start",
    "wait_for_workflow_completion",
    "raise_workflow_event",
    "pause_and_resume_workflow",
    "status_after_resume",
    "terminate_workflow",
    "terminate_workflow_alone",
    "purge_workflow",
    "purge_workflow_that_runs",
    "list_workflow_instance_ids",
    "get_workflow_history",
    "rerun_workflow_from_event",
    "an_app_that_is_not_hosted_here",
]
WORKER = [
    "activities",
    "activity_failures",
    "retries",
    "children",
    "timers",
    "timer_with_an_event",
    "what_it_waits_for",
    "event_timeout",
    "when_all",
    "when_all_wide",
    "continue_as_new",
    "custom_status",
    "determinism",
    "patches",
    "versions",
    "what_nobody_registered",
    "large_payloads",
    "many_at_once",
    "native_code_from_remote",
    "remote_code_from_native",
    "stateful_history",
    "propagated_history",
]
ASYNC = [
    "schedule_new_workflow",
    "get_workflow_state",
    "wait_for_workflow_start",
    "wait_for_workflow_completion",
    "raise_workflow_event",
    "pause_and_resume_workflow",
    "terminate_workflow",
    "purge_workflow",
    "list_workflow_instance_ids",
    "get_workflow_history",
    "rerun_workflow_from_event",
]


def there(name: str) -> bool:
    return NEW or name not in NEWER | NEWER_FEATURES


def typed_inputs(scenarios: Scenarios) -> None:
    result = scenarios.run(typed, {"name": "Paperclips", "quantity": 4})
    assert result == {"doubled": 90, "total": 40, "name": "Paperclips"}, result


async def run_async() -> None:
    scenarios = AsyncScenarios(AsyncClient())  # has no way to be closed
    for name in filter(there, ASYNC):
        with REPORT.method(f"async {name}"):
            await getattr(scenarios, name)()


def main() -> int:
    app.runtime.start()
    client = wf.DaprWorkflowClient()
    try:
        scenarios = Scenarios(client)
        for kind, names in (("client", CLIENT), ("worker", WORKER)):
            for name in filter(there, names):
                with REPORT.method(f"{kind} {name}"):
                    getattr(scenarios, name)()
        if NEW:
            with REPORT.method("worker async activities and typed inputs"):
                typed_inputs(scenarios)
        asyncio.run(run_async())
    finally:
        app.runtime.shutdown()
        client.close()
    return 1 if REPORT.failed else 0


if __name__ == "__main__":
    sys.exit(main())
