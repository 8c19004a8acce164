"""Every call that the .NET SDK's clients send, message for message, without the SDK.

`DaprClient` up to 1.14 calls `dapr.proto.runtime.v1.Dapr` under the names
...Alpha1, which other SDKs call ...Beta1. `DaprWorkflowClient` since 1.15 calls
the task hub. The messages are Perdure's own; what they must hold is in .NET's
sources (contract 5.3). An app in this file hosts the workflow.
"""
# mypy: ignore-errors
# The messages' classes are made when they are loaded.

import json
import os
import sys
import time
import uuid

import grpc
from report import Report

from perdure.rpc.messages import DAPR, POOL, TASK_HUB, message

REPORT = Report("protocol of .NET")

# What `sdk_native_app.py` hosts; it waits for `go`, and returns what it was given and what it heard.
WORKFLOW = "NativeOrder"
COMPONENT = "dapr"
WITHIN_S = 30


class Stub:
    """A service's methods by name: fields in, message out."""

    def __init__(self, channel: grpc.Channel, service: str) -> None:
        self._channel = channel
        self._service = POOL.FindServiceByName(service)

    def call(self, name: str, /, within_s: float = WITHIN_S, **fields):
        method = self._service.FindMethodByName(name)
        send = self._channel.unary_unary(
            f"/{self._service.full_name}/{name}",
            request_serializer=message(method.input_type.full_name).SerializeToString,
            response_deserializer=message(method.output_type.full_name).FromString,
        )
        return send(message(method.input_type.full_name)(**fields), timeout=within_s)


def refusal(stub: Stub, name: str, /, **fields) -> grpc.RpcError:
    """Make a call that must fail."""
    try:
        stub.call(name, **fields)
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"{name} was accepted")


class Sidecar:
    """`DaprClient`: the guide's sample, under both ages of the names."""

    def __init__(self, stub: Stub, age: str) -> None:
        self.stub = stub
        self.age = age

    def call(self, name: str, /, **fields):
        return self.stub.call(f"{name}{self.age}", **fields)

    def start(self) -> str:
        order_id = f"net-{uuid.uuid4()}"
        answer = self.call(
            "StartWorkflow",
            instance_id=order_id,
            workflow_component=COMPONENT,
            workflow_name=WORKFLOW,
            input=b'{"Name":"Paperclips","TotalCost":99.95}',
        )
        assert answer.instance_id == order_id
        self.wait_for(order_id, "RUNNING")
        return order_id

    def get(self, instance_id: str):
        return self.call("GetWorkflow", instance_id=instance_id, workflow_component=COMPONENT)

    def act(self, name: str, instance_id: str) -> None:
        self.call(name, instance_id=instance_id, workflow_component=COMPONENT)

    def wait_for(self, instance_id: str, status: str) -> None:
        """Poll every half a second by the status' text, as WaitForWorkflowCompletionAsync does, but faster."""
        deadline = time.monotonic() + WITHIN_S
        while (found := self.get(instance_id).runtime_status) != status:
            assert time.monotonic() < deadline, f"{found}, not {status}"
            time.sleep(0.05)

    def start_workflow(self) -> None:
        self.start()

    def get_workflow(self) -> None:
        order_id = self.start()
        got = self.get(order_id)
        assert (got.instance_id, got.workflow_name) == (order_id, WORKFLOW)
        assert got.HasField("created_at")
        assert got.HasField("last_updated_at")
        assert json.loads(got.properties["dapr.workflow.input"])["Name"] == "Paperclips"
        assert self.get("nobody").runtime_status == ""

    def raise_event_workflow(self) -> None:
        order_id = self.start()
        self.call(
            "RaiseEventWorkflow",
            instance_id=order_id,
            workflow_component=COMPONENT,
            event_name="go",
            event_data=b'"ahead"',
        )
        self.wait_for(order_id, "COMPLETED")
        assert json.loads(self.get(order_id).properties["dapr.workflow.output"])["heard"] == "ahead"

    def pause_workflow(self) -> None:
        order_id = self.start()
        self.act("PauseWorkflow", order_id)
        assert self.get(order_id).runtime_status == "SUSPENDED"

    def resume_workflow(self) -> None:
        order_id = self.start()
        self.act("PauseWorkflow", order_id)
        self.act("ResumeWorkflow", order_id)
        assert self.get(order_id).runtime_status == "RUNNING"

    def terminate_workflow(self) -> None:
        order_id = self.start()
        self.act("TerminateWorkflow", order_id)
        self.wait_for(order_id, "TERMINATED")

    def purge_workflow(self) -> None:
        order_id = self.start()
        refused = refusal(self.stub, f"PurgeWorkflow{self.age}", instance_id=order_id, workflow_component=COMPONENT)
        assert refused.code() is grpc.StatusCode.INTERNAL, refused.code()
        self.act("TerminateWorkflow", order_id)
        self.wait_for(order_id, "TERMINATED")
        self.act("PurgeWorkflow", order_id)
        assert self.get(order_id).runtime_status == ""

    METHODS = (
        "start_workflow",
        "get_workflow",
        "raise_event_workflow",
        "pause_workflow",
        "resume_workflow",
        "terminate_workflow",
        "purge_workflow",
    )


class TaskHub:
    """`DaprWorkflowClient` since 1.15."""

    def __init__(self, stub: Stub) -> None:
        self.call = stub.call
        self.stub = stub

    def start(self, **more) -> str:
        instance_id = str(uuid.uuid4())  # Guid.NewGuid().ToString()
        fields = {"instanceId": instance_id, "name": WORKFLOW, "input": {"value": '{"Name":"Paperclips"}'}, **more}
        assert self.call("StartInstance", **fields).instanceId == instance_id
        return instance_id

    def finish(self, instance_id: str) -> object:
        self.call("RaiseEvent", instanceId=instance_id, name="go", input={"value": '"ahead"'})
        answer = self.call("WaitForInstanceCompletion", instanceId=instance_id, getInputsAndOutputs=True)
        assert answer.exists
        return answer.workflowState

    def state(self, instance_id: str):
        return self.call("GetInstance", instanceId=instance_id, getInputsAndOutputs=True)

    def schedule_new_workflow(self) -> None:
        self.start()
        self.start(input={"value": ""}, parentTraceContext={"traceParent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"})
        later = int(time.time()) + 3600
        scheduled = self.start(scheduledStartTimestamp={"seconds": later})
        assert self.state(scheduled).workflowState.workflowStatus == 6  # pending

    def get_workflow_state(self) -> None:
        assert not self.state("nobody").exists
        instance_id = self.start()
        state = self.state(instance_id).workflowState
        assert (state.instanceId, state.name, state.workflowStatus) == (instance_id, WORKFLOW, 0)
        assert json.loads(state.input.value) == {"Name": "Paperclips"}

    def wait_for_workflow_start(self) -> None:
        instance_id = self.start()
        assert self.call("WaitForInstanceStart", instanceId=instance_id).workflowState.workflowStatus == 0

    def wait_for_workflow_completion(self) -> None:
        instance_id = self.start()
        late = refusal(self.stub, "WaitForInstanceCompletion", instanceId=instance_id, within_s=0.5)
        assert late.code() is grpc.StatusCode.DEADLINE_EXCEEDED  # .NET asks again
        assert json.loads(self.finish(instance_id).output.value)["heard"] == "ahead"

    def raise_event(self) -> None:
        self.finish(self.start())
        missing = refusal(self.stub, "RaiseEvent", instanceId="nobody", name="go")
        assert "no such instance exists" in missing.details(), missing.details()

    def suspend_and_resume_workflow(self) -> None:
        instance_id = self.start()
        self.call("SuspendInstance", instanceId=instance_id, reason={"value": "lunch"})
        assert self.state(instance_id).workflowState.workflowStatus == 7
        self.call("ResumeInstance", instanceId=instance_id, reason={"value": "back"})
        assert self.state(instance_id).workflowState.workflowStatus == 0

    def terminate_workflow(self) -> None:
        instance_id = self.start()
        self.call("TerminateInstance", instanceId=instance_id, output={"value": '"stopped"'}, recursive=True)
        state = self.state(instance_id).workflowState
        assert (state.workflowStatus, state.output.value) == (5, '"stopped"')

    def purge_instance(self) -> None:
        instance_id = self.start()
        self.finish(instance_id)
        assert self.call("PurgeInstances", instanceId=instance_id, recursive=True).deletedInstanceCount == 1
        assert not self.state(instance_id).exists

    def purge_instances_by_filter(self) -> None:
        instance_id = self.start()
        self.finish(instance_id)
        moments = {"createdTimeFrom": {"seconds": int(time.time()) - 60}, "runtimeStatus": [1]}
        assert self.call("PurgeInstances", purgeInstanceFilter=moments).deletedInstanceCount >= 1
        assert not self.state(instance_id).exists

    def list_instance_ids(self) -> None:
        started = {self.start() for _ in range(3)}
        first = self.call("ListInstanceIDs", pageSize=2)
        assert len(first.instanceIds) == 2
        listed, token = set(first.instanceIds), first.continuationToken
        while token:
            page = self.call("ListInstanceIDs", pageSize=50, continuationToken=token)
            listed.update(page.instanceIds)
            token = page.continuationToken
        assert started <= listed

    def get_instance_history(self) -> None:
        instance_id = self.start()
        self.finish(instance_id)
        events = self.call("GetInstanceHistory", instanceId=instance_id).events
        kinds = {event.WhichOneof("eventType") for event in events}
        assert {"executionStarted", "eventRaised", "executionCompleted"} <= kinds, kinds

    def rerun_workflow_from_event(self) -> None:
        instance_id = self.start()
        self.finish(instance_id)
        events = self.call("GetInstanceHistory", instanceId=instance_id).events
        scheduled = next(event.eventId for event in events if event.HasField("taskScheduled"))
        copy_id = str(uuid.uuid4())
        answer = self.call(
            "RerunWorkflowFromEvent", sourceInstanceID=instance_id, eventID=scheduled, newInstanceID=copy_id
        )
        assert answer.newInstanceID == copy_id
        self.finish(copy_id)

    METHODS = (
        "schedule_new_workflow",
        "get_workflow_state",
        "wait_for_workflow_start",
        "wait_for_workflow_completion",
        "raise_event",
        "suspend_and_resume_workflow",
        "terminate_workflow",
        "purge_instance",
        "purge_instances_by_filter",
        "list_instance_ids",
        "get_instance_history",
        "rerun_workflow_from_event",
    )


def main() -> int:
    with grpc.insecure_channel(f"127.0.0.1:{os.environ['DAPR_GRPC_PORT']}") as channel:
        for age in ("Alpha1", "Beta1"):
            sidecar = Sidecar(Stub(channel, DAPR), age)
            for name in Sidecar.METHODS:
                with REPORT.method(f"DaprClient {name} ({age})"):
                    getattr(sidecar, name)()
        hub = TaskHub(Stub(channel, TASK_HUB))
        for name in TaskHub.METHODS:
            with REPORT.method(f"DaprWorkflowClient {name}"):
                getattr(hub, name)()
    return 1 if REPORT.failed else 0


if __name__ == "__main__":
    sys.exit(main())
