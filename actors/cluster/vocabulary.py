"""The vocabulary of a daemon's hosts: the types of the messages, answers and errors that they send each other.

The rule: a value is sent as a word and as data of the one type that the word stands for. Hosts neither send nor accept
types outside the vocabulary, and reading a value runs no code that another host has chosen.

This layer has no words of workflows: `runtime/words.py` adds them. `actors/cluster/outbound.py` and
`actors/cluster/inbound.py` pack and read values with it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from .. import errors as actor_errors
from ..errors import PerdureError
from ..store import errors as store_errors
from .error_form import ErrorForms
from .protocol import FrameRefused, plain

PLAIN = ""  # the word for a value of one of the types below
PLAIN_TYPES = (type(None), bool, int, float, str)


class NotPortable(PerdureError):
    """A message has a type that hosts do not send each other, or a value that cannot be packed."""


class WireWord(NamedTuple):
    """A type of messages, answers or values in them."""

    word: str  # on the wire; it never changes its meaning
    type: type[Any]
    # For a type that msgspec cannot read: another form of the same value.
    form: Any = None  # the type of that form; None: the value itself
    pack: Callable[[Any], Any] | None = None
    unpack: Callable[[Any], Any] | None = None


class Vocabulary:
    """The words of the messages between the hosts of a daemon. All hosts have the same words.

    Args:
        words: The types of messages to actors, and of answers that are not plain values.
        errors: The errors that actors and methods raise, beside those of this layer.
    """

    def __init__(self, words: Iterable[WireWord] = (), errors: Iterable[type[PerdureError]] = ()) -> None:
        known = [*words]
        self.errors = ErrorForms([*ERRORS, *errors])
        self._encode = msgspec.msgpack.Encoder(enc_hook=plain).encode
        self._of_type: Mapping[type[Any], WireWord] = {each.type: each for each in known}
        self._unpackers: dict[str, Callable[[Any], Any] | None] = {each.word: each.unpack for each in known}
        self._decoders: dict[str, Callable[[Raw], Any]] = {
            each.word: msgspec.msgpack.Decoder(each.type if each.form is None else each.form).decode for each in known
        }
        assert len(self._of_type) == len(self._decoders) == len(known), "two words of one name or type"
        assert PLAIN not in self._decoders
        self._decoders[PLAIN] = msgspec.msgpack.Decoder(None | bool | int | float | str).decode
        self._unpackers[PLAIN] = None

    @property
    def types(self) -> Iterable[type[Any]]:
        """The types that have a word."""
        return self._of_type.keys()

    def say(self, value: Any) -> tuple[str, Raw]:
        """Pack a value as a word and data.

        Raises:
            NotPortable: The value has no word, or cannot be packed.
        """
        word = self._of_type.get(type(value))
        try:
            if word is not None:
                return word.word, Raw(self._encode(value if word.pack is None else word.pack(value)))
            if isinstance(value, PLAIN_TYPES):
                return PLAIN, Raw(self._encode(value))
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise NotPortable(f"{type(value).__name__} cannot be sent to another host: {error}") from error
        raise NotPortable(f"hosts do not send each other values of type {type(value).__name__}")

    def hear(self, word: str, said: Raw) -> Any:
        """Read a value.

        Raises:
            FrameRefused: There is no such word, or the data does not fit the word's type.
        """
        decode = self._decoders.get(word)
        if decode is None:
            raise FrameRefused(f"it says {word[:80]!r}, which is no word of this release")
        try:
            value = decode(said)
            unpack = self._unpackers[word]
            return value if unpack is None else unpack(value)
        except (msgspec.MsgspecError, PerdureError, *BAD_VALUE) as error:
            raise FrameRefused(f"its {word!r} is none: {error}") from error


# The errors that unpackers of rows and records raise for malformed values.
BAD_VALUE = (TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError, OverflowError)


def errors_in(module: Any) -> Sequence[type[PerdureError]]:
    """The errors that a module defines, in the order of their definitions."""
    return [
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, PerdureError) and each.__module__ == module.__name__
    ]


ERRORS: Sequence[type[PerdureError]] = (*errors_in(actor_errors), *errors_in(store_errors), NotPortable)
