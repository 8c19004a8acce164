"""Frames: the messages that two hosts of a daemon send each other over a wire.

The rule: a frame is data of one of the types below, and never code. It is packed as an array: its tag, then its fields.
Tags and the order of fields never change their meaning; a new field goes to the end, and has a default.

`number` is chosen by the host that has connected, for each request; frames that come back carry it.
`actors/cluster/outbound.py` sends `ToHost` and reads `FromHost`; `actors/cluster/inbound.py` is the other end.
"""

from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, Struct

from ..address import Address
from ..text import type_name

WIRE_MIN, WIRE_MAX = 1, 1  # the versions of the wire that this release knows


class FrameRefused(Exception):
    """The bytes that came are not a frame of this protocol, or the frame may not come now. The connection ends."""


# From the host that has connected to the host that listens.


class HelloFrame(Struct, frozen=True, array_like=True, tag=0):
    """The first frame: the caller's name, and the versions of the wire that it knows. The answer is a WelcomeFrame."""

    name: str
    wire_min: int
    wire_max: int
    timeline: str = ""  # the store's server, as the caller has seen it last; "": no server, or not seen yet


class AskFrame(Struct, frozen=True, array_like=True, tag=1):
    """A message to an actor, which gets an answer."""

    number: int
    address: Address
    word: str  # see `vocabulary.py`
    body: Raw
    new: bool = False  # the address was just made up


class PostFrame(Struct, frozen=True, array_like=True, tag=2):
    """A message to an actor. The ReceiptFrame follows once a commit holds it."""

    number: int
    address: Address
    word: str
    body: Raw
    shard: int = -1  # of the actor that sends it; -1: no actor does
    epoch: int = 0  # the epoch at which its host owns that shard


class CallFrame(Struct, frozen=True, array_like=True, tag=3):
    """A call of a method of the host."""

    number: int
    method: str
    arguments: Raw


class WatchFrame(Struct, frozen=True, array_like=True, tag=4):
    """Begin to send a ChangedFrame with each commit that changes an actor."""

    number: int
    address: Address


class UnwatchFrame(Struct, frozen=True, array_like=True, tag=5):
    """End the watch with that number."""

    number: int


# Back from the host that listens.


class WelcomeFrame(Struct, frozen=True, array_like=True, tag=0):
    """The caller is a host of the daemon, and requests are taken."""

    wire: int  # the version that both ends talk


class AnswerFrame(Struct, frozen=True, array_like=True, tag=1):
    """The answer of an actor."""

    number: int
    word: str
    value: Raw


class ResultFrame(Struct, frozen=True, array_like=True, tag=2):
    """The value that a method has returned."""

    number: int
    value: Raw


class RefusalFrame(Struct, frozen=True, array_like=True, tag=3):
    """The error with which a request has failed."""

    number: int
    error: str  # the name of its class; "" for an error that does not travel by name
    arguments: Raw
    text: str  # of an error whose name the receiver does not know


class ReceiptFrame(Struct, frozen=True, array_like=True, tag=4):
    """A commit holds the effects of a PostFrame."""

    number: int


class ChangedFrame(Struct, frozen=True, array_like=True, tag=5):
    """A commit has changed a watched actor."""

    number: int
    record: bytes | None  # None: unchanged
    deleted: bool
    lost: bool = False  # the watcher may have missed a commit: it inspects the actor again


class MovedFrame(Struct, frozen=True, array_like=True, tag=6):
    """Nothing was done, because the host does not own the actor's shard."""

    number: int
    shard: int
    owner: str | None  # as far as that host knows; None: no owner
    epoch: int


ToHost: TypeAlias = HelloFrame | AskFrame | PostFrame | CallFrame | WatchFrame | UnwatchFrame
FromHost: TypeAlias = WelcomeFrame | AnswerFrame | ResultFrame | RefusalFrame | ReceiptFrame | ChangedFrame | MovedFrame


def wire_for(wire_min: int, wire_max: int) -> int | None:
    """The highest version of the wire that this host and another one know; None: they have none in common."""
    both = min(WIRE_MAX, wire_max)
    return both if both >= max(WIRE_MIN, wire_min) else None


def plain(value: Any) -> Any:
    """The plain `str` of an object of a subclass of `str`, which msgspec cannot pack.

    The handle of an instance is an id with methods, and may be used wherever an id is.

    Raises:
        TypeError: The object is not a `str`.
    """
    if isinstance(value, str):
        return str.__getitem__(value, slice(None))
    raise TypeError(f"hosts do not send each other objects of type {type_name(value)}")


class FrameCodec:
    """Packs the frames that one end sends, and reads the frames that it gets."""

    def __init__(self) -> None:
        self.pack = msgspec.msgpack.Encoder(enc_hook=plain).encode
        self._to_host: msgspec.msgpack.Decoder[ToHost] = msgspec.msgpack.Decoder(ToHost)
        self._from_host: msgspec.msgpack.Decoder[FromHost] = msgspec.msgpack.Decoder(FromHost)

    def to_host(self, packed: bytes) -> ToHost:
        """Read a frame of a host that has connected.

        Raises:
            FrameRefused: The bytes are not such a frame.
        """
        try:
            return self._to_host.decode(packed)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise FrameRefused(f"a frame of {len(packed)} bytes cannot be read: {error}") from error

    def from_host(self, packed: bytes) -> FromHost:
        """Read a frame of a host to which this one has connected.

        Raises:
            FrameRefused: The bytes are not such a frame.
        """
        try:
            return self._from_host.decode(packed)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise FrameRefused(f"a frame of {len(packed)} bytes cannot be read: {error}") from error
