"""Encoder and decoder between the user's values and JSON text.

The one law: a payload is JSON text, never pickle. The annotated type decides
which value a payload becomes; without an annotation it becomes a dict, list,
str, int, float, bool or None. Executions, activities and the client use both.

msgspec does the work: it knows dataclasses, typed dicts, enums, dates and the
containers of the standard library, and is the fastest JSON library for Python.
pydantic's models are recognised by their methods, so pydantic need not be
installed.
"""

from math import isfinite
from typing import Any

import msgspec

from ...actors.text import class_name, repr_of, text_of, type_name
from ..errors import AppError, PayloadError

NO_TYPE: Any = Any


class Decoder:
    """Turns JSON text into values of one type.

    Raises:
        AppError: No JSON can become a value of that type.
    """

    __slots__ = ("_decoder", "wanted")

    def __init__(self, wanted: Any = NO_TYPE) -> None:
        self.wanted = wanted
        try:
            # The annotation `object` tells no more than a missing one.
            known = NO_TYPE if wanted is object else wanted
            self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(known, dec_hook=_build)
        except TypeError as error:
            raise AppError(f"{repr_of(wanted)} cannot be read from JSON: {error}") from error

    def decode(self, text: str | None) -> Any:
        """Read a payload; None, or an empty one, is None.

        Raises:
            PayloadError: It is no JSON, or does not fit the type.
        """
        if not text:
            return None
        try:
            return self._decoder.decode(text)
        except BaseException as error:
            # Validators and constructors are user code, and may raise anything.
            raise PayloadError(f"{_shortened(text)} is not {_described(self.wanted)}: {text_of(error)}") from error


class Encoder:
    """Turns values into JSON text. One for each engine."""

    __slots__ = ("_encoder",)

    def __init__(self) -> None:
        self._encoder = msgspec.json.Encoder(enc_hook=_unbuild)

    def encode(self, value: Any) -> str | None:
        """Write a payload; None is no payload.

        Raises:
            PayloadError: JSON has no form for it.
        """
        if value is None:
            return None
        try:
            encoded = self._encoder.encode(value)
            if b"null" in encoded:
                _refuse_infinite(msgspec.to_builtins(value, enc_hook=_unbuild))
            return encoded.decode()
        except BaseException as error:
            # Serializers and properties are user code, and may raise anything.
            message = f"a value of type {type_name(value)} cannot be written as JSON: {text_of(error)}"
            raise PayloadError(message) from error


def _build(wanted: Any, value: Any) -> Any:
    """Build a value of a type that msgspec does not know: a pydantic model.

    Raises:
        NotImplementedError: The type is not a pydantic model either.
    """
    validate = getattr(wanted, "model_validate_json", None)
    if validate is not None:
        # As JSON, not as the value: a strict model takes a date as text from JSON only.
        return validate(msgspec.json.encode(value))
    raise NotImplementedError(f"{repr_of(wanted)} is neither a dataclass, a pydantic model, nor a type that JSON has")


def _unbuild(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json", by_alias=True)
    raise NotImplementedError("use JSON's own types, dataclasses or pydantic models")


def _refuse_infinite(value: Any) -> None:
    """Refuse NaN and infinity. msgspec writes null for them, and the loss would be noticed far away, if ever.

    Raises:
        ValueError: The value is, or contains, one of them.
    """
    match value:
        case float():
            if not isfinite(value):
                raise ValueError(f"JSON has no form for {value}")
        case dict():
            for member in value.values():
                _refuse_infinite(member)
        case list() | tuple():
            for member in value:
                _refuse_infinite(member)
        case _:
            pass


def _described(wanted: Any) -> str:
    if wanted is NO_TYPE:
        return "JSON"
    if issubclass(type(wanted), type):
        return class_name(wanted)
    try:
        name = getattr(wanted, "__name__", None)
    except BaseException:
        name = None
    return name if type(name) is str else repr_of(wanted)


def _shortened(text: str) -> str:
    return repr(text) if len(text) <= 80 else f"{text[:77]!r}…"


UNTYPED = Decoder()  # gives the values of JSON's own types
