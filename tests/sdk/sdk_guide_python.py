"""The management guide's Python sample, to the letter: `DaprClient.*_workflow` of PyPI `dapr` 1.17.

No later one has it. The workflow is hosted in this process too, with
`dapr-ext-workflow` of the same generation.
"""
# mypy: ignore-errors
# The SDK lives in an environment of its own, where mypy does not look.

import importlib.metadata
import sys
import time
import uuid
import warnings

from dapr.clients import DaprClient
from dapr.clients.exceptions import DaprInternalError
from dapr.ext.workflow import DaprWorkflowContext, WorkflowActivityContext, WorkflowRuntime
from report import Report

REPORT = Report(f"Python dapr {importlib.metadata.version('dapr')} DaprClient")

# As in the guide.
workflow_component = "dapr"
workflow_name = "hello_world_wf"
event_name = "event1"
event_data = "eventData"
input_data = "Hi Counter!"
workflow_options: dict[str, str] = {}

WITHIN_S = 30

runtime = WorkflowRuntime()


@runtime.workflow(name=workflow_name)
def hello_world_wf(ctx: DaprWorkflowContext, given: str):
    greeting = yield ctx.call_activity(hello, input=given)
    event = yield ctx.wait_for_external_event(event_name)
    return f"{greeting} {event}"


@runtime.activity
def hello(ctx: WorkflowActivityContext, given: str) -> str:
    return f"hello, {given}"


class Scenarios:
    def __init__(self, d: DaprClient) -> None:
        self.d = d
        self.started: list[str] = []

    def start(self) -> str:
        instance_id = f"guide-{uuid.uuid4().hex[:8]}"
        answer = self.d.start_workflow(
            instance_id=instance_id,
            workflow_component=workflow_component,
            workflow_name=workflow_name,
            input=input_data,
            workflow_options=workflow_options,
        )
        assert answer.instance_id == instance_id
        self.wait_for(instance_id, "RUNNING")
        return instance_id

    def get(self, instance_id: str):
        return self.d.get_workflow(instance_id=instance_id, workflow_component=workflow_component)

    def wait_for(self, instance_id: str, status: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while (found := self.get(instance_id).runtime_status) != status.title():
            assert time.monotonic() < deadline, f"{found}, not {status}"
            time.sleep(0.05)

    def start_workflow(self) -> None:
        self.start()
        made = self.d.start_workflow(workflow_component=workflow_component, workflow_name=workflow_name)
        assert made.instance_id

    def get_workflow(self) -> None:
        instance_id = self.start()
        got = self.get(instance_id)
        assert (got.instance_id, got.workflow_name) == (instance_id, workflow_name)
        assert abs(got.created_at.seconds - time.time()) < 60
        assert got.properties["dapr.workflow.input"] == '"Hi Counter!"'

    def get_workflow_of_nobody(self) -> None:
        try:
            self.get("nobody-has-this-id")
        except DaprInternalError as error:
            text = str(error)
        else:
            text = "nothing was raised"
        assert "no such instance exists" in text, text

    def pause_workflow(self) -> None:
        instance_id = self.start()
        self.d.pause_workflow(instance_id=instance_id, workflow_component=workflow_component)
        assert self.get(instance_id).runtime_status == "Suspended"

    def resume_workflow(self) -> None:
        instance_id = self.start()
        self.d.pause_workflow(instance_id=instance_id, workflow_component=workflow_component)
        self.d.resume_workflow(instance_id=instance_id, workflow_component=workflow_component)
        self.wait_for(instance_id, "RUNNING")

    def raise_workflow_event(self) -> None:
        instance_id = self.start()
        self.d.raise_workflow_event(
            instance_id=instance_id,
            workflow_component=workflow_component,
            event_name=event_name,
            event_data=event_data,
        )
        self.wait_for(instance_id, "COMPLETED")
        output = self.get(instance_id).properties["dapr.workflow.output"]
        assert output == '"hello, Hi Counter! eventData"', output

    def terminate_workflow(self) -> None:
        instance_id = self.start()
        self.d.terminate_workflow(instance_id=instance_id, workflow_component=workflow_component)
        self.wait_for(instance_id, "TERMINATED")

    def purge_workflow(self) -> None:
        instance_id = self.start()
        try:
            self.d.purge_workflow(instance_id=instance_id, workflow_component=workflow_component)
        except DaprInternalError:
            pass  # as it must: the instance runs
        else:
            raise AssertionError("a running instance was purged")
        self.d.terminate_workflow(instance_id=instance_id, workflow_component=workflow_component)
        self.wait_for(instance_id, "TERMINATED")
        self.d.purge_workflow(instance_id=instance_id, workflow_component=workflow_component)
        try:
            self.get(instance_id)
        except DaprInternalError:
            return
        raise AssertionError("it is still there")


METHODS = [
    "start_workflow",
    "get_workflow",
    "get_workflow_of_nobody",
    "pause_workflow",
    "resume_workflow",
    "raise_workflow_event",
    "terminate_workflow",
    "purge_workflow",
]


def main() -> int:
    warnings.simplefilter("ignore")  # these methods say that they are deprecated
    runtime.start()
    try:
        with DaprClient() as d:
            scenarios = Scenarios(d)
            for name in METHODS:
                with REPORT.method(name):
                    getattr(scenarios, name)()
            with REPORT.method("get_metadata, set_metadata"):
                d.set_metadata("written-by", "the guide")
                assert d.get_metadata().extended_metadata["written-by"] == "the guide"
    finally:
        runtime.shutdown()
    return 1 if REPORT.failed else 0


if __name__ == "__main__":
    sys.exit(main())
