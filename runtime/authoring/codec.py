"""Encoder and decoder between the user's values and JSON text.

The rule: a payload is JSON text, never pickle. The annotated type decides
which value a payload becomes; without an annotation it becomes a dict, list,
str, int, float, bool or None. Executions, activities and the client use both.

msgspec does the work: it knows dataclasses, typed dicts, enums, dates and the
containers of the standard library, and is the fastest JSON library for Python.
Where msgspec refuses, Python's `json` decides, because other ends
write with it: NaN, infinity, lone surrogates, numbers beyond a float
(docs/design/payloads.md). Types that msgspec does not know are read by
`annotations.py`.
"""

import json
import typing
from collections import deque
from collections.abc import Callable, Coroutine
from math import isfinite
from typing import Any

import msgspec

from ...actors.text import class_name, repr_of, text_of, type_name
from ..errors import AppError, PayloadError
from .annotations import NotReadable, Reader, needs_reader, reader_of, reader_of_word_keys
from .task import Task

NO_TYPE: Any = Any
RAW = msgspec.Raw


class Decoder:
    """Turns JSON text into values of one type.

    Raises:
        AppError: No JSON can become a value of that type, or JSON could become values of two of its members.
    """

    __slots__ = ("_build", "_decoder", "_reader", "_word_keys", "wanted")

    def __init__(self, wanted: Any = NO_TYPE) -> None:
        self.wanted = wanted
        self._build = _Builder()
        self._reader: Reader | None = None
        self._word_keys: Reader | None = None
        # The annotation `object` says no more than a missing one.
        known = NO_TYPE if wanted is object else wanted
        if needs_reader(known):
            self._reader = _reader(known)
            known = NO_TYPE
        try:
            self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(known, dec_hook=self._build)
            self._word_keys = reader_of_word_keys(known)
        except TypeError:
            self._reader = _reader(known)
            self._decoder = msgspec.json.Decoder()

    def decode(self, text: str | None) -> Any:
        """Read a payload; None, or an empty one, is None.

        Text that is not JSON becomes a str, if the type allows one.

        Raises:
            PayloadError: It does not fit the type.
        """
        if not text:
            return None
        if self._reader is None:
            try:
                return self._decoder.decode(text)
            except BaseException:  # noqa: S110  a second look decides
                pass
        return self._decode_as_python_does(text)

    def _decode_as_python_does(self, text: str) -> Any:
        note = ""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            value, note = text, f" (it is not JSON either: {_first_line(error)})"
        wanted = self.wanted
        if wanted is NO_TYPE or wanted is object:
            return value
        try:
            if self._reader is not None:
                return self._reader.read(value) if note else self._reader.read_json(text, value)
            if self._word_keys is not None:
                return self._word_keys.read(value)
            return msgspec.convert(value, wanted, str_keys=True, dec_hook=self._build.loosely)
        except BaseException as error:
            # Validators, serializers and properties are user code, and may raise anything.
            raise PayloadError(f"{_shortened(text)} is not {_described(wanted)}: {text_of(error)}{note}") from error


class Encoder:
    """Turns values into JSON text. One for each engine."""

    __slots__ = ("_encode",)

    def __init__(self) -> None:
        self._encode: Callable[[Any], bytes] = msgspec.json.Encoder(enc_hook=_unbuild).encode

    def encode(self, value: Any) -> str | None:
        """Write a payload; None is no payload.

        Raises:
            PayloadError: JSON has no form for it.
        """
        if value is None:
            return None
        if type(value) is RAW:
            return bytes(value).decode()  # JSON that is written already
        try:
            encoded = self._encode(value)
            # msgspec writes null for NaN and infinity, and the loss would be noticed far away, if ever.
            # `in` would be slower: it tries the operand as a number first, and makes and drops an error each time.
            if encoded.find(b"null") < 0 or _finite(msgspec.to_builtins(value, enc_hook=_unbuild)):
                return encoded.decode()
        except BaseException:  # noqa: S110  a second look decides
            pass
        try:
            # Lone surrogates become escapes, so that a payload always has a form in UTF-8.
            return json.dumps(msgspec.to_builtins(value, enc_hook=_unbuild), separators=(",", ":"))
        except BaseException as error:
            # Validators, serializers and properties are user code, and may raise anything.
            message = f"a value of type {type_name(value)} cannot be written as JSON: {text_of(error)}"
            raise PayloadError(message) from error


class _Builder:
    """Builds values of types that msgspec does not know. It keeps the readers that it had to make.

    Raises:
        NotImplementedError: The type is unknown here too.
    """

    __slots__ = ("_readers",)

    def __init__(self) -> None:
        self._readers: dict[Any, Reader] = {}

    def __call__(self, wanted: Any, value: Any) -> Any:
        validate = getattr(wanted, "model_validate_json", None)
        if validate is not None:
            # As JSON, not as the value: a strict model takes a date as text from JSON only.
            return validate(msgspec.json.encode(value))
        return self.loosely(wanted, value)

    def loosely(self, wanted: Any, value: Any) -> Any:
        """Build a value out of values that msgspec does not write, such as NaN."""
        reader = self._readers.get(wanted)
        if reader is None:
            try:
                reader = self._readers[wanted] = reader_of(wanted)
            except NotReadable:
                raise NotImplementedError(
                    f"{repr_of(wanted)} is neither a dataclass, a pydantic model, nor a type that JSON has"
                ) from None
        return reader.read_json(json.dumps(value), value)


def _reader(wanted: Any) -> Reader:
    try:
        return reader_of(wanted)
    except NotReadable as error:
        raise AppError(f"{repr_of(wanted)} cannot be read from JSON: {error}") from error


def _unbuild(value: Any) -> Any:
    """Give the form that JSON has for a value that msgspec does not know."""
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json", by_alias=True)
    match value:
        case bool() | None:
            pass  # keys of a dictionary, which Python's json writes as `true`, `false` and `null`
        case str():
            return str.__str__(value)
        case int():
            return int.__int__(value)
        case float():
            return float.__float__(value)
        case object(__fspath__=path):
            return path()
        case deque():
            return list(value)
        case Task() | Coroutine():
            raise ValueError("it was not awaited; write `await` in front of it, or `yield` in a generator")
        case _:
            if hasattr(value, "get_secret_value"):
                raise ValueError("a secret of pydantic's is written as asterisks; write its get_secret_value()")
            # The addresses and URLs that pydantic reads from text.
            if type(value).__module__.partition(".")[0] in ("pydantic", "pydantic_core", "ipaddress"):
                return str(value)
    raise NotImplementedError("use JSON's own types, dataclasses or pydantic models")


def _finite(value: Any) -> bool:
    """Whether there is no NaN and no infinity in a value of JSON's own types."""
    match value:
        case float():
            return isfinite(value)
        case dict():
            return all(map(_finite, value.values()))
        case list() | tuple():
            return all(map(_finite, value))
        case _:
            return True


def _described(wanted: Any) -> str:
    if issubclass(type(wanted), type) and not typing.get_args(wanted):
        return class_name(wanted)
    return repr_of(wanted)


def _shortened(text: str) -> str:
    return repr(text) if len(text) <= 80 else f"{text[:77]!r}…"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


UNTYPED = Decoder()  # gives the values of JSON's own types
