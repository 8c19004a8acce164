"""The classes of the wire's messages, made from the descriptors in `rpc/protos/` when this module is imported.

The rule: messages of other packages are neither used nor registered here.

The messages have their own descriptor pool. Dapr's SDKs load messages of the same names into the process-wide pool,
where a second declaration of a name is a TypeError: an app that uses the SDK as a client could not host its workflows
with Perdure in the same process (contract 3.4).

mypy cannot know the fields of these classes. So `Message` allows to read and set any field, and at run time a field
that does not exist raises AttributeError. Stubs for some ninety messages would be twenty times as long as this file, to
check code that is in `rpc/` alone and is tested field by field.

All modules of `rpc/` import it.
"""
# ruff: noqa: N802  the methods' names are protobuf's

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, cast

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

DESCRIPTORS = Path(__file__).parent / "protos" / "descriptors.binpb"


class Message(Protocol):
    """A message, with its fields as attributes and these methods."""

    DESCRIPTOR: Any

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes:
        """Serialize the message."""
        ...

    def MergeFromString(self, serialized: bytes) -> int:
        """Merge the fields of a serialized message into this one; return the number of bytes read."""
        ...

    def CopyFrom(self, other: "Message") -> None:
        """Become equal to another message of the same class."""
        ...

    def HasField(self, name: str) -> bool:
        """Whether a field that is optional, or is a message, is set."""
        ...

    def ClearField(self, name: str) -> None:
        """Set a field to its default."""
        ...

    def WhichOneof(self, name: str) -> str | None:
        """Return the name of the field of a oneof that is set; None if no field is."""
        ...

    def ListFields(self) -> list[tuple[Any, Any]]:
        """Return the fields that are set, each as descriptor and value."""
        ...

    def __getattr__(self, name: str) -> Any: ...
    def __setattr__(self, name: str, value: Any) -> None: ...


class MessageClass(Protocol):
    """The class of a message. A call with fields makes a message."""

    DESCRIPTOR: Any

    def __call__(self, **fields: Any) -> Message: ...
    def FromString(self, serialized: bytes) -> Message:
        """Parse a serialized message."""
        ...

    def SerializeToString(self, message: Message) -> bytes:
        """Serialize the message."""
        ...


def split(descriptors: bytes) -> Iterator[bytes]:
    """Split a serialized FileDescriptorSet into its files, each a serialized FileDescriptorProto.

    It does not use protobuf's classes for both, because their module takes longer to import than this one, and uses the
    process-wide pool.
    """
    position = 0
    while position < len(descriptors):
        assert descriptors[position] == FILE_TAG, descriptors[position]
        length = shift = 0
        while True:  # a varint: seven bits a byte, the low bits first
            position += 1
            length |= (descriptors[position] & 0x7F) << shift
            shift += 7
            if descriptors[position] < 0x80:
                break
        yield descriptors[position + 1 : position + 1 + length]
        position += 1 + length


FILE_TAG = 1 << 3 | 2  # field 1, a message


def _load() -> DescriptorPool:
    pool = DescriptorPool()
    for file in split(DESCRIPTORS.read_bytes()):
        pool.AddSerializedFile(file)
    return pool


POOL: Any = _load()

TASK_HUB = "TaskHubSidecarService"
DAPR = "dapr.proto.runtime.v1.Dapr"


def message(name: str) -> MessageClass:
    """Return the class of a message by its full name."""
    return cast(MessageClass, GetMessageClass(POOL.FindMessageTypeByName(name)))


Empty = message("google.protobuf.Empty")
StringValue = message("google.protobuf.StringValue")
Timestamp = message("google.protobuf.Timestamp")

HistoryEvent = message("HistoryEvent")
ParentInstanceInfo = message("ParentInstanceInfo")
PropagatedHistory = message("PropagatedHistory")
TaskFailureDetails = message("TaskFailureDetails")
TaskRouter = message("TaskRouter")
TraceContext = message("TraceContext")
WorkflowInstance = message("WorkflowInstance")
WorkflowState = message("WorkflowState")

WorkflowAction = message("WorkflowAction")

ActivityRequest = message("ActivityRequest")
ActivityResponse = message("ActivityResponse")
CachedHistory = message("CachedHistory")
CompleteTaskResponse = message("CompleteTaskResponse")
CreateInstanceResponse = message("CreateInstanceResponse")
GetInstanceHistoryResponse = message("GetInstanceHistoryResponse")
GetInstanceResponse = message("GetInstanceResponse")
ListInstanceIDsResponse = message("ListInstanceIDsResponse")
PurgeInstancesResponse = message("PurgeInstancesResponse")
RaiseEventResponse = message("RaiseEventResponse")
RerunWorkflowFromEventResponse = message("RerunWorkflowFromEventResponse")
ResumeResponse = message("ResumeResponse")
SuspendResponse = message("SuspendResponse")
TerminateResponse = message("TerminateResponse")
WorkItem = message("WorkItem")
WorkflowRequest = message("WorkflowRequest")
WorkflowResponse = message("WorkflowResponse")

Status = message("google.rpc.Status")
AnyMessage = message("google.protobuf.Any")
BadRequest = message("google.rpc.BadRequest")
ErrorInfo = message("google.rpc.ErrorInfo")
ResourceInfo = message("google.rpc.ResourceInfo")

GetBulkStateResponse = message(f"{DAPR.removesuffix('Dapr')}GetBulkStateResponse")
GetMetadataResponse = message(f"{DAPR.removesuffix('Dapr')}GetMetadataResponse")
GetWorkflowResponse = message(f"{DAPR.removesuffix('Dapr')}GetWorkflowResponse")
GetStateResponse = message(f"{DAPR.removesuffix('Dapr')}GetStateResponse")
StartWorkflowResponse = message(f"{DAPR.removesuffix('Dapr')}StartWorkflowResponse")
