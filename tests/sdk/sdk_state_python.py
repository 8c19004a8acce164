"""The state API through Dapr's Python SDK, as the quickstarts use it: `DaprClient`, which speaks gRPC."""
# mypy: ignore-errors
# The SDK lives in an environment of its own, where mypy does not look.

import importlib.metadata
import json
import sys
import time
import uuid

import grpc
from dapr.clients import DaprClient
from dapr.clients.grpc._request import TransactionalStateOperation, TransactionOperationType
from dapr.clients.grpc._state import Concurrency, StateItem, StateOptions
from report import Report

REPORT = Report(f"Python dapr {importlib.metadata.version('dapr')} state")
STORE = "statestore"


def key() -> str:
    return f"k-{uuid.uuid4().hex[:8]}"


def code_of(call):
    """The code of a call that fails; None if it does not."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return None


def save_and_get(d: DaprClient) -> None:
    name = key()
    d.save_state(STORE, name, json.dumps({"name": "cars", "quantity": 100}))
    found = d.get_state(STORE, name)
    assert found.json() == {"name": "cars", "quantity": 100}, found.data
    assert found.etag
    missing = d.get_state(STORE, key())
    assert (missing.data, missing.etag) == (b"", ""), missing


def update_with_etag(d: DaprClient) -> None:
    name = key()
    d.save_state(STORE, name, "1")
    seen = d.get_state(STORE, name).etag
    d.save_state(STORE, name, "2", etag=seen)
    assert code_of(lambda: d.save_state(STORE, name, "3", etag=seen)) is grpc.StatusCode.ABORTED
    assert d.get_state(STORE, name).text() == "2"


def first_write(d: DaprClient) -> None:
    name, first = key(), StateOptions(concurrency=Concurrency.first_write)
    d.save_state(STORE, name, "1", options=first)
    assert code_of(lambda: d.save_state(STORE, name, "2", options=first)) is grpc.StatusCode.ABORTED


def bulk(d: DaprClient) -> None:
    names = [key() for _ in range(3)]
    d.save_bulk_state(STORE, [StateItem(key=name, value=str(i)) for i, name in enumerate(names)])
    found = d.get_bulk_state(STORE, keys=[*names, "none"], parallelism=4)
    assert {item.key: item.text() for item in found.items} == {**{n: str(i) for i, n in enumerate(names)}, "none": ""}


def transaction(d: DaprClient) -> None:
    one, two = key(), key()
    d.save_state(STORE, two, "old")
    d.execute_state_transaction(
        STORE,
        operations=[
            TransactionalStateOperation(operation_type=TransactionOperationType.upsert, key=one, data="1"),
            TransactionalStateOperation(operation_type=TransactionOperationType.delete, key=two),
        ],
    )
    assert (d.get_state(STORE, one).text(), d.get_state(STORE, two).data) == ("1", b"")


def delete(d: DaprClient) -> None:
    name = key()
    d.save_state(STORE, name, "1")
    d.delete_state(STORE, name, etag=d.get_state(STORE, name).etag)
    assert d.get_state(STORE, name).data == b""


def time_to_live(d: DaprClient) -> None:
    name = key()
    d.save_state(STORE, name, "1", state_metadata={"ttlInSeconds": "1"})
    assert d.get_state(STORE, name).data == b"1"
    ends_s = time.monotonic() + 10
    while d.get_state(STORE, name).data:
        assert time.monotonic() < ends_s, "it is served for ever"
        time.sleep(0.1)


def no_such_store(d: DaprClient) -> None:
    assert code_of(lambda: d.get_state("nope", "k")) is grpc.StatusCode.INVALID_ARGUMENT


def main() -> int:
    with DaprClient() as d:
        for scenario in (
            save_and_get, update_with_etag, first_write, bulk, transaction, delete, time_to_live, no_such_store,
        ):  # fmt: skip
            with REPORT.method(scenario.__name__):
                scenario(d)
    return 1 if REPORT.failed else 0


if __name__ == "__main__":
    sys.exit(main())
