"""Made-up requests, of the state calls and of the workflow calls: each has an answer, and none breaks the host.

A made-up message has any fields of its schema, with words that a store knows among others, to reach each branch of a
method. An answer is a message or a status that names the fault; INTERNAL without a text of the API would be a bug of
Perdure, which the log shows.
"""

import random
from collections.abc import Callable
from typing import Any

import anyio
import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor

from perdure.api.words import INTERNAL
from perdure.rpc.messages import Message, message

from ...support.doors.fake_management import FakeManagement
from ...support.doors.rpc_host import Client, Host, described, running
from ...support.doors.state_doors import state_engine

STATE = (
    "GetState", "GetBulkState", "SaveState", "QueryStateAlpha1", "DeleteState", "DeleteBulkState",
    "ExecuteStateTransaction",
)  # fmt: skip
WORKFLOWS = (
    "StartInstance", "GetInstance", "RaiseEvent", "SuspendInstance", "ResumeInstance", "TerminateInstance",
    "ListInstanceIDs", "GetInstanceHistory", "RerunWorkflowFromEvent",
)  # fmt: skip
CALLS = 150  # of each method

# Names of a store, an instance or an option, and names of nothing.
WORDS = (
    "", "statestore", "statestore", "statestore", "a", "a", "b", "a||b", "none", "\0", "ü" * 40, "k" * 3000, "1", "7",
    "-1", "x", "upsert", "delete", "upsert", "merge", "ttlInSeconds", "99999999999999999999", "{}", "null",
)  # fmt: skip
NUMBERS = (0, 1, 2, 3, 7, -1, 2**31 - 1, -(2**31))
SIGNED = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64}

MAKE: dict[int, Callable[[random.Random], Any]] = {
    FieldDescriptor.CPPTYPE_STRING: lambda chance: chance.choice(WORDS),
    FieldDescriptor.CPPTYPE_BOOL: lambda chance: chance.random() < 0.5,
    FieldDescriptor.CPPTYPE_DOUBLE: lambda chance: chance.choice((0.0, -1.5, float("nan"), 1e308)),
    FieldDescriptor.CPPTYPE_FLOAT: lambda chance: chance.choice((0.0, -1.5)),
}


def made_up(descriptor: Any, chance: random.Random, depth: int = 0) -> Message:
    """A message with any of its fields."""
    made = message(descriptor.full_name)()
    for field in descriptor.fields:
        if chance.random() < 0.3 + 0.2 * depth:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is None:
                getattr(made, field.name)[chance.choice(WORDS)] = value_of(
                    field.message_type.fields_by_name["value"], chance, depth
                )
        elif field.is_repeated:
            values = [value_of(field, chance, depth) for _ in range(chance.randrange(4))]
            getattr(made, field.name).extend(values)
        elif field.message_type is not None:
            if depth < 4:
                getattr(made, field.name).CopyFrom(value_of(field, chance, depth))
        else:
            setattr(made, field.name, value_of(field, chance, depth))
    return made


def value_of(field: Any, chance: random.Random, depth: int) -> Any:
    """Any value of a field."""
    if field.message_type is not None:
        return made_up(field.message_type, chance, depth + 1)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return chance.randbytes(chance.randrange(8))
    if field.enum_type is not None:
        return chance.choice(field.enum_type.values).number
    if (make := MAKE.get(field.cpp_type)) is not None:
        return make(chance)
    return chance.choice([number for number in NUMBERS if number >= 0 or field.cpp_type in SIGNED])


@pytest.mark.parametrize("methods", [STATE, WORKFLOWS], ids=["state", "workflows"])
def test_a_made_up_request_has_an_answer_and_the_next_one_too(
    methods: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    answered = 0

    async def ask(client: Client, name: str, request: Message) -> bool:
        """Whether the request is done; otherwise the answer names the fault."""
        try:
            await client.method(name)(request, timeout=20)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED or error.details() in ("", INTERNAL.message):
                pytest.fail(f"{name} has answered {error.code()} {error.details()!r} to {request}")
            return False
        return True

    async def main() -> None:
        nonlocal answered
        async with state_engine() as (engine, _):
            host = Host(FakeManagement())
            host.sidecar.states = engine.states
            with anyio.fail_after(100):
                async with running(host) as client:
                    for name in methods:
                        chance = random.Random(name)
                        done = 0
                        for _ in range(CALLS):
                            done += await ask(client, name, made_up(described(name).input_type, chance))
                        answered += bool(done)
                    await client.call("GetState", store_name="statestore", key="a")

    anyio.run(main)
    assert answered >= len(methods) // 2, "hardly a request was one"
    assert "broke" not in caplog.text
