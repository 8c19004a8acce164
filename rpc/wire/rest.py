"""The difference between a message and the event that is stored for it, so that the message can be restored.

The rule: the message that is made from the stored event and its rest is equal to the received one.

Our events have fields for the values that the engine uses. A message is stored as such an event and a rest: the unknown
fields, the fields without a counterpart, and the values that the event has less exactly. Most messages have no rest.
The alternative, the whole message beside the event, would store every payload twice.

`rpc/wire/history.py` and `rpc/wire/failure.py` use it.
"""

from ..messages import Message, MessageClass


def rest_of(said: Message, kept: Message) -> bytes | None:
    """Serialize the fields of `said` that differ from those of `kept`, each field whole; None if no field differs."""
    if said == kept:
        return None
    rest = _copy(said)
    _clear_equal(rest, kept)
    return rest.SerializeToString() or None


def put_back(message: Message, rest: bytes) -> None:
    """Undo `rest_of`: replace the fields of the message by those of a rest."""
    for field, _ in _parse(message, rest).ListFields():
        message.ClearField(field.name)
    message.MergeFromString(rest)


def rest_inside(said: Message, kept: Message, inside: str) -> bytes | None:
    """Do the same as `rest_of`, and compare one field, which is a message, field by field too."""
    if said == kept:
        return None
    rest = _copy(said)
    inner = getattr(rest, inside)
    _clear_equal(inner, getattr(kept, inside))
    if not inner.SerializeToString():
        rest.ClearField(inside)
    kept_outside = _copy(kept)
    kept_outside.ClearField(inside)
    _clear_equal(rest, kept_outside)
    return rest.SerializeToString() or None


def put_back_inside(message: Message, rest: bytes, inside: str) -> None:
    """Undo `rest_inside`."""
    over = _parse(message, rest)
    for field, value in over.ListFields():
        if field.name != inside:
            message.ClearField(field.name)
            continue
        for inner_field, _ in value.ListFields():
            getattr(message, inside).ClearField(inner_field.name)
    message.MergeFromString(rest)


def _clear_equal(rest: Message, kept: Message) -> None:
    for field, value in kept.ListFields():
        if getattr(rest, field.name) == value:
            rest.ClearField(field.name)


def _copy(message: Message) -> Message:
    copy: Message = type(message)()
    copy.CopyFrom(message)
    return copy


def _parse(like: Message, serialized: bytes) -> Message:
    kind: MessageClass = type(like)  # type: ignore[assignment]  # the type of a message is a MessageClass
    return kind.FromString(serialized)
