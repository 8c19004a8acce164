"""The state calls of Dapr's API over gRPC.

The rule: a call gives the same answer as its HTTP route.

Each method decodes, makes one call and encodes; `api/state.py` has the words of errors.

`rpc/services/dapr.py` has the service of these calls.

Source: dapr `pkg/api/grpc/grpc.go` (the state methods), `pkg/api/universal/state_query.go`.
"""

from collections.abc import Mapping
from typing import Any

import grpc

from ...api import state as words
from ...api.state import (
    StateCall,
    StateProblem,
    in_daprs_words,
    key_missing,
    metadata_of,
    query_unsupported,
    unsupported_operation,
)
from ...runtime.state.errors import StateStoreNotFound
from ...runtime.state.state import StateChange, States, is_first_write, ttl_s_in
from ..messages import (
    AnyMessage,
    BadRequest,
    Empty,
    ErrorInfo,
    GetBulkStateResponse,
    GetStateResponse,
    Message,
    ResourceInfo,
    Status,
)
from ..serving.method import Context, Failure, Unary

# The names of the enumeration's values, as over HTTP.
CONCURRENCY = ("", "first-write", "last-write")
CONSISTENCY = ("", "eventual", "strong")


def state_methods(states: States | None) -> Mapping[str, Unary]:
    """Make the methods; without state stores each answers that there is no store."""
    calls = DaprState(states)
    return {
        "GetState": calls.get,
        "GetBulkState": calls.get_bulk,
        "SaveState": calls.save,
        "QueryStateAlpha1": calls.query,
        "DeleteState": calls.delete,
        "DeleteBulkState": calls.delete_bulk,
        "ExecuteStateTransaction": calls.transact,
    }


class DaprState:
    """The state calls of Dapr's service."""

    def __init__(self, states: States | None) -> None:
        self._states = states

    async def get(self, request: Message, context: Context) -> Message:
        """Read a value. A missing value is no error here: the answer is empty, without an etag."""
        with in_daprs_words(StateCall("get", request.store_name, request.key)):
            value = await self._of(request.store_name).get(request.store_name, request.key)
        if value is None:
            return GetStateResponse()
        return GetStateResponse(data=value.value, etag=value.etag, metadata=metadata_of(value))

    async def get_bulk(self, request: Message, context: Context) -> Message:
        """Get many values (`GetBulkState`). A key that cannot be read has its error in its item."""
        with in_daprs_words(StateCall("get_bulk", request.store_name)):
            found = await self._of(request.store_name).get_many(request.store_name, list(request.keys))
        items: list[dict[str, Any]] = []
        for key, value, error in found:
            item: dict[str, Any] = {"key": key, "error": error}
            if value is not None:
                item |= {"data": value.value, "etag": value.etag, "metadata": metadata_of(value)}
            items.append(item)
        return GetBulkStateResponse(items=items)

    async def save(self, request: Message, context: Context) -> Message:
        """Save values (`SaveState`)."""
        with in_daprs_words(StateCall("save", request.store_name)):
            states = self._of(request.store_name)
            if not all(item.key for item in request.states):
                raise key_missing()
            await states.change(request.store_name, [saved(item) for item in request.states])
        return Empty()

    async def query(self, request: Message, context: Context) -> Message:
        """Refuse a query (`QueryStateAlpha1`), like Dapr's state stores without queries."""
        with in_daprs_words(StateCall("get", request.store_name)):
            self._of(request.store_name)
        raise query_unsupported(request.store_name)

    async def delete(self, request: Message, context: Context) -> Message:
        """Delete a value (`DeleteState`)."""
        with in_daprs_words(StateCall("delete", request.store_name, request.key)):
            await self._of(request.store_name).change(request.store_name, [deleted(request)])
        return Empty()

    async def delete_bulk(self, request: Message, context: Context) -> Message:
        """Delete many values (`DeleteBulkState`)."""
        with in_daprs_words(StateCall("delete_bulk", request.store_name)):
            changes = [deleted(item) for item in request.states]
            await self._of(request.store_name).change(request.store_name, changes)
        return Empty()

    async def transact(self, request: Message, context: Context) -> Message:
        """Make all changes or none (`ExecuteStateTransaction`)."""
        store = request.storeName
        with in_daprs_words(StateCall("transact", store)):
            states = self._of(store)
            changes: list[StateChange] = []
            for operation in request.operations:
                match operation.operationType:
                    case "upsert":
                        changes.append(saved(operation.request))
                    case "delete":
                        changes.append(deleted(operation.request))
                    case other:
                        raise unsupported_operation(other)
            await states.change(store, changes, whole=True)
        return Empty()

    def _of(self, store: str) -> States:
        """Return the state stores, after a check that one of this name exists.

        Raises:
            StateStoreNotFound: It does not exist.
        """
        if self._states is None:
            raise StateStoreNotFound(store, ())
        self._states.stores.find(store)
        return self._states


def saved(item: Message) -> StateChange:
    """Return the change that saves the value of a StateItem."""
    return StateChange(item.key, item.value, item.etag.value, first_write_in(item), ttl_s_in(item.metadata))


def deleted(item: Message) -> StateChange:
    """Return the change that deletes the value of a StateItem or a DeleteStateRequest."""
    return StateChange(item.key, None, item.etag.value, first_write_in(item))


def first_write_in(item: Message) -> bool:
    """Return whether the first write wins; a number that is no option of Dapr is ignored, as in Dapr."""
    concurrency, consistency = item.options.concurrency, item.options.consistency
    return is_first_write(
        CONCURRENCY[concurrency] if 0 <= concurrency < len(CONCURRENCY) else "",
        CONSISTENCY[consistency] if 0 <= consistency < len(CONSISTENCY) else "",
    )


# Errors.


def failure_of(problem: StateProblem) -> Failure:
    """Return the status of a failed call, with its details."""
    code = grpc.StatusCode[problem.grpc]
    if not problem.rpc_details:
        return Failure(code, problem.text)
    number, _ = code.value
    status = Status(code=number, message=problem.text, details=[any_of(detail) for detail in problem.rpc_details])
    return Failure(code, problem.text, status.SerializeToString())


def any_of(detail: words.Detail) -> Message:
    """Return a detail as a message."""
    message: Message
    match detail:
        case words.ErrorInfo(reason, metadata):
            message = ErrorInfo(reason=reason, domain=words.DOMAIN, metadata=metadata or {})
        case words.ResourceInfo(name):
            message = ResourceInfo(resource_type=words.RESOURCE_TYPE, resource_name=name)
        case words.FieldViolation(field, description):
            message = BadRequest(field_violations=[{"field": field, "description": description}])
    name = message.DESCRIPTOR.full_name
    return AnyMessage(type_url=f"type.googleapis.com/{name}", value=message.SerializeToString())
