"""Our messages are a superset of the SDKs' messages, and do not clash with them in one process."""

import json
import subprocess
import sys
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from perdure.rpc.messages import DAPR, DESCRIPTORS, POOL, TASK_HUB, HistoryEvent, split

from ..support.paths import ROOT

# The folder of `make test-sdks` for the SDKs; each has its own environment, because their stubs clash.
SDKS = {
    "dapr 1.19.0": ROOT / ".venv-dapr-1.19",
    "dapr 1.17.5": ROOT / ".venv-dapr-1.17",
}

# Names of the generation before that do not follow from the words below.
RENAMED = {
    "OrchestratorStartedEvent": "WorkflowStartedEvent",
    "OrchestratorCompletedEvent": "WorkflowCompletedEvent",
    "CreateOrchestrationAction": "int32",
}
WORDS = {
    "SubOrchestration": "ChildWorkflow",
    "CompleteOrchestrationAction": "CompleteWorkflowAction",
    "TerminateOrchestrationAction": "TerminateWorkflowAction",
    "OrchestratorVersion": "WorkflowVersion",
    "OrchestratorAction": "WorkflowAction",
    "OrchestratorRequest": "WorkflowRequest",
    "OrchestratorResponse": "WorkflowResponse",
    "OrchestrationVersion": "WorkflowVersion",
    "OrchestrationInstance": "WorkflowInstance",
    "OrchestrationState": "WorkflowState",
}

# Removed with the RPCs that Dapr dropped. If a remaining message has a field of such a type, ours has bytes.
GONE = ("Entit", "Operation", "TaskHub", "Abandon", "Rewind", "QueryInstances", "InstanceQuery", "SendSignal")
GONE_TOO = {
    "GenericEvent",
    "HistoryStateEvent",
    "StartNewOrchestrationAction",
    "StreamInstanceHistoryRequest",
    "HistoryChunk",
    # The parts of signatures. Perdure passes the signed bytes on and never reads them.
    "ChildCompletionAttestationPayload",
    "ActivityCompletionAttestationPayload",
    "ExternalSigningCertificate",
}

# Length-delimited, all three: on the wire a message that we do not read is bytes.
STRING, MESSAGE, BYTES, ENUM, INT32 = 9, 11, 12, 14, 5


def is_gone(name: str) -> bool:
    short = name.rsplit(".", 1)[-1]
    return short in GONE_TOO or any(part in short for part in GONE)


def ours(name: str) -> str:
    if name in RENAMED:
        return RENAMED[name]
    for old, new in WORDS.items():
        if old in name:
            return name.replace(old, new)
    return name


def sdk_messages(sdk: str) -> dict[str, list[dict[str, Any]]]:
    python = SDKS[sdk] / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{sdk} is not installed at {SDKS[sdk]}; run `make test-sdks`")
    script = str(ROOT / "tests/support/doors/sdk_descriptors.py")
    printed = subprocess.run([python, script], check=True, capture_output=True, text=True, env={}).stdout
    found: dict[str, list[dict[str, Any]]] = json.loads(printed)
    assert len(found) > 60
    return found


@pytest.mark.parametrize("sdk", SDKS)
def test_every_field_of_the_sdk_is_one_of_ours(sdk: str) -> None:
    missing = []
    for name, fields in sdk_messages(sdk).items():
        if is_gone(name):
            continue
        mine = POOL.FindMessageTypeByName(ours(name))
        for field in fields:
            found = mine.fields_by_number.get(field["number"])
            if found is None or not fits(field, found):
                missing.append((name, field, found and (found.name, found.type)))
    assert not missing, "\n".join(map(str, missing))


def fits(field: dict[str, Any], found: Any) -> bool:
    if (field["repeated"], field["presence"]) != (found.is_repeated, found.has_presence):
        return False
    if field["type"] == MESSAGE and is_gone(field["of"]):
        return bool(found.type == BYTES)
    if field["type"] == ENUM and found.type == INT32:
        return ours(field["of"]) == "int32"
    if field["type"] == ENUM and not set(field["values"]) <= set(found.enum_type.values_by_number):
        return False
    if field["type"] in (MESSAGE, ENUM):
        of = (found.message_type or found.enum_type).full_name
        return bool(field["type"] == found.type) and ours(field["of"]) == of
    return bool(field["type"] == found.type)


def test_names_are_those_of_the_newest_generation() -> None:
    for name, fields in sdk_messages("dapr 1.19.0").items():
        if not is_gone(name):
            mine = POOL.FindMessageTypeByName(name)
            assert {field["name"] for field in fields} <= {field.name for field in mine.fields}, name


def test_the_services_have_the_paths_that_sdks_call() -> None:
    assert POOL.FindServiceByName(TASK_HUB).full_name == "TaskHubSidecarService"
    assert POOL.FindServiceByName(DAPR).full_name == "dapr.proto.runtime.v1.Dapr"
    assert len(POOL.FindServiceByName(TASK_HUB).methods) == 17
    assert len(POOL.FindServiceByName(DAPR).methods) == 14 + 7 + 3


def test_the_process_wide_pool_is_left_alone() -> None:
    # Given a process that has loaded our messages,
    files = FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file
    code = """
import sys
import perdure.rpc.messages
from google.protobuf import descriptor_pool
# when the process-wide pool is asked for our files,
assert len(sys.argv) > 4
for name in sys.argv[1:]:
    try:
        descriptor_pool.Default().FindFileByName(name)
    except KeyError:
        continue
    raise SystemExit(name)
"""
    # then it has none of them.
    subprocess.run([sys.executable, "-c", code, *(file.name for file in files)], check=True)


def test_reading_the_descriptors_does_not_load_protobufs_own_classes_for_them() -> None:
    # They would take longer than all of our messages.
    code = "import sys, perdure.rpc.messages; sys.exit('google.protobuf.descriptor_pb2' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("bytes_of", [0, 1, 127, 128, 16_383, 16_384, 100_000])
def test_descriptors_are_split_into_the_files_that_they_are_of(bytes_of: int) -> None:
    files = [
        FileDescriptorProto(name="a.proto"),
        FileDescriptorProto(package="p" * bytes_of),
        FileDescriptorProto(dependency=["a.proto"]),
    ]
    pieces = list(split(FileDescriptorSet(file=files).SerializeToString()))
    assert [FileDescriptorProto.FromString(piece) for piece in pieces] == files


def test_unknown_fields_survive() -> None:
    # Given an event with a field of a later release,
    serialized = HistoryEvent(eventId=4).SerializeToString() + b"\xfa\x3f\x02hi"
    # when it is read and written,
    again = HistoryEvent.FromString(serialized).SerializeToString()
    # then the field is still there.
    assert again == serialized
