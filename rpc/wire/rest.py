"""The difference between a message and the event that is kept of it, so that all of the message comes back.

The rule: a message and its event, written and read again, are equal to the message.

Our events have fields for the values that the engine uses. A message is kept as
such an event and its rest: the difference between the message and the event as
it would be written, that is unknown fields, fields without a counterpart, and
values that the event holds less exactly. Mostly there is no rest, which costs
nothing; the alternative, the whole message beside the event, would store every
payload twice.

`rpc/wire/history.py` and `rpc/wire/failure.py` use it.
"""

from ..messages import Message, MessageClass


def rest_of(said: Message, kept: Message) -> bytes | None:
    """Serialize the fields of `said` that differ from those of `kept`, each field whole; None if there are none."""
    if said == kept:
        return None
    rest = _copy(said)
    _clear_equal(rest, kept)
    return rest.SerializeToString() or None


def put_back(message: Message, rest: bytes) -> None:
    """Undo `rest_of`: put the fields of a rest in the place of those of the message."""
    for field, _ in _parse(message, rest).ListFields():
        message.ClearField(field.name)
    message.MergeFromString(rest)


def rest_inside(said: Message, kept: Message, inside: str) -> bytes | None:
    """Do as `rest_of`, and compare one field of both, a message, field by field too."""
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
    kind: MessageClass = type(like)  # type: ignore[assignment]  # a class of messages is one
    return kind.FromString(serialized)
