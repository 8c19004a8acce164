"""Random history events of a program that keeps to the contract where our events depend on it."""

import random
from typing import Any

from perdure.rpc.messages import HistoryEvent, Message
from perdure.rpc.wire.history import READERS, ROUTED, WRITERS

from .wire_events import APP_ID, INSTANCE_ID, UNKNOWN

STRING, BOOL, BYTES, ENUM = 9, 8, 12, 14
SECONDS = (0, 5, -5, 1_795_406_400, 253_402_300_799, -62_135_596_800)
NANOS = (0, 1, 1000, 123_456_000, 999_999_999)
ROUTED_KINDS = {kind for event, (kind, _) in WRITERS.items() if event in ROUTED}


def random_event(chance: random.Random) -> Message:
    kind = chance.choice(sorted(READERS))
    message = HistoryEvent(eventId=chance.choice((-1, 0, 1, 5)), timestamp={"seconds": 5, "nanos": 7000})
    inner = getattr(message, kind)
    inner.SetInParent()
    fill(chance, inner)
    keep_to_the_contract(kind, inner)
    if kind in ROUTED_KINDS:
        fill(chance, message.router)
        message.router.sourceAppID = APP_ID
    return HistoryEvent.FromString(message.SerializeToString() + chance.choice((b"", UNKNOWN)))


def fill(chance: random.Random, message: Any, depth: int = 0) -> None:
    """Set about half of the fields."""
    for field in message.DESCRIPTOR.fields:
        if chance.random() < 0.5 or depth > 4:
            continue
        if field.is_repeated:
            fill_repeated(field, getattr(message, field.name))
        elif field.message_type is not None:
            inner = getattr(message, field.name)
            inner.SetInParent()
            if field.message_type.name == "Timestamp":
                inner.seconds, inner.nanos = chance.choice(SECONDS), chance.choice(NANOS)
            else:
                fill(chance, inner, depth + 1)
        else:
            setattr(message, field.name, value(chance, field.type))


def fill_repeated(field: Any, repeated: Any) -> None:
    if field.message_type is not None:
        repeated["k"] = "v"  # tags, the only ones of messages
    else:
        repeated.extend(["a", "a"])


def value(chance: random.Random, kind: int) -> Any:
    if kind == STRING:
        return chance.choice(("", "x", "ü"))
    if kind == BYTES:
        return chance.choice((b"", b"\xff"))
    if kind == BOOL:
        return chance.random() < 0.5
    # An enum may have numbers that we do not know.
    return chance.choice((0, 1, 2, 77) if kind == ENUM else (0, 1, 7, 2**31 - 1))


def keep_to_the_contract(kind: str, inner: Any) -> None:
    """Set the fields that every sender sets."""
    if kind.startswith("timer"):
        inner.fireAt.SetInParent()
    elif kind == "taskFailed":
        inner.failureDetails.SetInParent()
    elif kind == "executionStalled":
        inner.description = inner.description
    elif kind == "executionStarted":
        inner.workflowInstance.instanceId = INSTANCE_ID
        inner.workflowInstance.executionId.value = "e1"
