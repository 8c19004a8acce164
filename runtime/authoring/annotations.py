"""Readers of annotations that msgspec has no single form for: unions of records, `str | datetime`, paths, deques,
pydantic's own types.

The rule: pydantic decides where it is installed. Without it a payload becomes the one member of a union whose
required fields are there and that knows all fields of the payload; a union that a payload could fit twice is refused
when the function is registered, unless a Literal distinguishes its members.

`codec.py` uses a reader where msgspec refuses an annotation (docs/design/payloads.md).
"""

import collections
import dataclasses
import importlib
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple, Protocol

import msgspec

UNIONS = (typing.Union, types.UnionType)
MAPPINGS = (dict, Mapping)
# How JSON writes those keys that are no text and no number.
WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None}
PYDANTIC = ("pydantic", "pydantic_core", "annotated_types")


class NotReadable(Exception):
    """No JSON can become a value of the type, or JSON could become values of two of its members."""


class Reader(Protocol):
    """Makes values of one type."""

    def read(self, value: Any) -> Any:
        """Make a value out of one of JSON's own types. Raises ValueError or TypeError if it does not fit."""
        ...

    def read_json(self, text: str, value: Any) -> Any:
        """Make a value out of JSON text; `value` is that text, read already."""
        ...


def reader_of(wanted: Any) -> Reader:
    """Make the reader of a type.

    Raises:
        NotReadable: The type has no reader; the message says why, and what to do.
    """
    try:
        pydantic: Any = importlib.import_module("pydantic")
    except ImportError:
        return PlainReader(wanted)
    try:
        return PydanticReader(wanted, pydantic)
    except NotReadable as refused:
        # The typed dictionaries of Python before 3.12, for instance.
        try:
            return PlainReader(wanted)
        except NotReadable:
            raise refused from None


def needs_reader(wanted: Any) -> bool:
    """Whether msgspec would read the annotation, but ignore pydantic's marks in it."""
    return any(_is_pydantics(part if isinstance(part, type) else type(part)) for part in _parts(wanted, set()))


def reader_of_word_keys(wanted: Any) -> Reader | None:
    """Make the reader of a type whose dictionaries may have a bool or None as a key; None for any other type.

    JSON has them as `"true"`, `"false"` and `"null"`, which msgspec writes and does not read.
    """
    keys = (
        typing.get_args(part)[0] for part in _parts(wanted, set(), _is_record) if typing.get_origin(part) in MAPPINGS
    )
    if not any(map(_may_be_word, keys)):
        return None
    try:
        return PlainReader(wanted)
    except NotReadable:
        return None


def _may_be_word(key: Any) -> bool:
    """Whether a bool or None can be a key of this type."""
    if (inside := _inside(key)) is not key:
        return _may_be_word(inside)
    if typing.get_origin(key) in UNIONS:
        return any(map(_may_be_word, typing.get_args(key)))
    if typing.get_origin(key) is typing.Literal:
        return any(value is None or isinstance(value, bool) for value in typing.get_args(key))
    return key is bool or key is None or key is type(None)


def _is_record(wanted: type[Any]) -> bool:
    """Whether a class is made of fields with annotations that `PlainReader` reads."""
    return dataclasses.is_dataclass(wanted) or typing.is_typeddict(wanted) or hasattr(wanted, "_field_defaults")


def _is_pydantics(mark: type[Any]) -> bool:
    if hasattr(mark, "model_validate_json"):
        return False  # msgspec leaves a model to the model itself
    return mark.__module__.partition(".")[0] in PYDANTIC or hasattr(mark, "__pydantic_validator__")


def _parts(
    wanted: Any, seen: set[int], has_fields: Callable[[type[Any]], bool] = dataclasses.is_dataclass
) -> Iterator[Any]:
    """Walk an annotation: the classes, the generics and the marks of `Annotated` in it.

    Args:
        has_fields: The classes whose fields are walked, too.
    """
    if id(wanted) in seen:
        return
    seen.add(id(wanted))
    if typing.get_origin(wanted) is typing.Annotated:
        yield from wanted.__metadata__
        yield from _parts(wanted.__origin__, seen, has_fields)
        return
    if inside := typing.get_args(wanted):
        yield wanted
    for inner in inside:
        yield from _parts(inner, seen, has_fields)
    if isinstance(wanted, type):
        yield wanted
        if has_fields(wanted):
            try:
                hints = typing.get_type_hints(wanted, include_extras=True)
            except Exception:  # msgspec reports the reason
                return
            for hint in hints.values():
                yield from _parts(hint, seen, has_fields)


class PydanticReader:
    """Reads with pydantic's TypeAdapter. Bytes are base64 in JSON, as msgspec writes them."""

    def __init__(self, wanted: Any, pydantic: Any) -> None:
        wanted = eager(wanted)
        config = pydantic.ConfigDict(val_json_bytes="base64")
        self._in_list = False
        try:
            try:
                self._adapter: Any = pydantic.TypeAdapter(wanted, config=config)
            except pydantic.errors.PydanticUserError as error:
                if error.code != "type-adapter-config-unused":
                    raise
                # A dataclass takes this from the type that holds it, and from nowhere else.
                self._adapter = pydantic.TypeAdapter(list[wanted], config=config)
                self._in_list = True
        except Exception as error:
            raise NotReadable(f"pydantic cannot read it either: {str(error).partition(chr(10))[0]}") from error

    def read(self, value: Any) -> Any:
        if self._in_list:
            return self._adapter.validate_python([value])[0]
        return self._adapter.validate_python(value)

    def read_json(self, text: str, value: Any) -> Any:
        try:
            if self._in_list:
                return self._adapter.validate_json(f"[{text}]")[0]
            return self._adapter.validate_json(text)
        except ValueError as error:
            kinds: list[dict[str, Any]] = getattr(error, "errors", list)()
            if [kind["type"] for kind in kinds] == ["json_invalid"]:
                return self.read(value)  # a lone surrogate, which pydantic takes for bad JSON
            raise


def eager(wanted: Any) -> Any:
    """The annotation with lists in the place of iterables, which pydantic reads item by item, and once."""
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is Iterable:
        return list[eager(inner[0])]  # type: ignore[misc]  # known when it runs
    if origin is typing.Annotated:
        return typing.Annotated[(eager(inner[0]), *inner[1:])]
    changed = tuple(map(eager, inner)) if origin in (*UNIONS, list, dict, tuple, Sequence, Mapping) else inner
    if changed == inner:
        return wanted
    return typing.Union[changed] if origin in UNIONS else origin[changed]  # noqa: UP007  of a tuple


class JsonShape(NamedTuple):
    """The JSON that a member of a union can be."""

    kind: str  # null, bool, number, text, list or object
    required: frozenset[str] = frozenset()
    known: frozenset[str] | None = None  # None: any field
    literals: Mapping[str, frozenset[Any]] = {}  # the values that a field can have, of fields that are Literals

    def may_be(self, value: Any) -> bool:
        """Whether a value of JSON may be this member."""
        if self.kind != _kind(value):
            return False
        if not isinstance(value, dict):
            return not self.literals or value in self.literals[""]
        if not self.required <= value.keys() or (self.known is not None and not value.keys() <= self.known):
            return False
        return all(value[name] in allowed for name, allowed in self.literals.items() if name in value)

    def overlaps(self, other: "JsonShape") -> bool:
        """Whether some JSON could be both."""
        if self.kind != other.kind:
            return False
        shared = self.literals.keys() & other.literals.keys()
        if any(not self.literals[name] & other.literals[name] for name in shared):
            return False
        return all(
            one.known is None or another.required <= one.known for one, another in ((self, other), (other, self))
        )


class PlainReader:
    """Reads without pydantic."""

    def __init__(self, wanted: Any) -> None:
        self._made: dict[Any, Callable[[Any], Any]] = {}
        self._read = self._make(wanted)

    def read(self, value: Any) -> Any:
        return self._read(value)

    def read_json(self, text: str, value: Any) -> Any:
        return self._read(value)

    def _make(self, wanted: Any) -> Callable[[Any], Any]:
        """Make the function that reads a type."""
        if (inside := _inside(wanted)) is not wanted:
            return self._make(inside)
        if wanted in self._made:
            # Looked up at each call: while the reader of a recursive type is being made, it does not exist yet.
            return lambda value: self._made[wanted](value)  # noqa: PLW0108
        self._made[wanted] = _not_made
        made = self._made[wanted] = self._new(wanted)
        return made

    def _new(self, wanted: Any) -> Callable[[Any], Any]:  # noqa: PLR0911  one for each kind
        origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
        if origin in UNIONS:
            return self._union(wanted, inner)
        if wanted is collections.deque or origin in (list, set, frozenset, collections.deque, Sequence, Iterable):
            return self._items(list if origin in (Sequence, Iterable) else origin or wanted, inner)
        if origin is tuple:
            return self._tuple(inner)
        if origin in MAPPINGS:
            return self._mapping(inner)
        if wanted is collections.defaultdict:
            return lambda value: collections.defaultdict(None, _checked(value, dict))
        if isinstance(wanted, type) and dataclasses.is_dataclass(wanted):
            names = [field.name for field in dataclasses.fields(wanted) if field.init]
            return self._record(wanted, names, _required(wanted))
        if typing.is_typeddict(wanted):
            return self._record(wanted, _hints(wanted), wanted.__required_keys__)
        if isinstance(wanted, type) and issubclass(wanted, tuple) and hasattr(wanted, "_fields"):
            return self._named_tuple(wanted)
        if isinstance(wanted, type) and hasattr(wanted, "__fspath__"):
            return lambda value: wanted(_checked(value, str))
        return _leaf(wanted)

    def _items(self, kind: Callable[[Any], Any], inner: Sequence[Any]) -> Callable[[Any], Any]:
        item = self._make(inner[0] if inner else Any)
        return lambda value: kind([item(each) for each in _checked(value, list)])

    def _tuple(self, inner: Sequence[Any]) -> Callable[[Any], Any]:
        if inner[-1:] == (Ellipsis,):
            return self._items(tuple, inner)
        members = [self._make(each) for each in inner]
        return lambda value: tuple(read(each) for read, each in zip(members, _checked(value, list), strict=True))

    def _mapping(self, inner: Sequence[Any]) -> Callable[[Any], Any]:
        key, item = inner

        def read_key(text: str) -> Any:
            try:
                return msgspec.convert(text, key, strict=False)
            except msgspec.ValidationError:
                if text not in WORDS:
                    raise
                return msgspec.convert(WORDS[text], key)  # a Literal, of which only the value itself is a member

        read = self._make(item)
        return lambda value: {read_key(name): read(each) for name, each in _checked(value, dict).items()}

    def _named_tuple(self, wanted: Any) -> Callable[[Any], Any]:
        hints = _hints(wanted)
        readers = [self._make(hints.get(name, Any)) for name in wanted._fields]
        least = len(readers) - len(wanted._field_defaults)

        def read(value: Any) -> Any:
            given = _checked(value, list)
            if not least <= len(given) <= len(readers):
                raise ValueError(f"{wanted.__name__} has {least} to {len(readers)} members, not {len(given)}")
            return wanted(*(reader(each) for reader, each in zip(readers, given, strict=False)))

        return read

    def _record(self, wanted: Any, names: Iterable[str], required: frozenset[str]) -> Callable[[Any], Any]:
        hints = _hints(wanted)
        readers = {name: self._make(hints[name]) for name in names}

        def read(value: Any) -> Any:
            given = _checked(value, dict)
            if missing := required - given.keys():
                raise ValueError(f"{wanted.__name__} needs {', '.join(sorted(missing))}")
            return wanted(**{name: readers[name](each) for name, each in given.items() if name in readers})

        return read

    def _union(self, wanted: Any, inner: Sequence[Any]) -> Callable[[Any], Any]:
        shapes = [(member, shape) for member in inner for shape in _shapes(member)]
        for (one, its), (other, others) in combinations(shapes, 2):
            if one is not other and its.overlaps(others) and not _is_number(one, other):
                raise NotReadable(
                    f"JSON could be {_name(one)} as well as {_name(other)}. Give each a field with another Literal, "
                    "require a field that the other does not have, or install pydantic, which then decides."
                )
        readers = {id(member): self._make(member) for member in inner}

        def read(value: Any) -> Any:
            fitting = [member for member, shape in shapes if shape.may_be(value)]
            if {float, int} <= set(fitting):
                fitting = [type(value)]
            if len(fitting) != 1:
                names = ", ".join(map(_name, fitting or inner))
                raise ValueError(f"it fits {'more than one' if fitting else 'none'} of {names}")
            return readers[id(fitting[0])](value)

        return read


def _inside(wanted: Any) -> Any:
    """The type behind an annotation: the one in `Annotated`, of an alias, of a NewType; itself otherwise."""
    if typing.get_origin(wanted) is typing.Annotated:
        return wanted.__origin__
    if isinstance(wanted, typing.NewType):
        return wanted.__supertype__
    return wanted.__value__ if type(wanted).__name__ == "TypeAliasType" else wanted


def _not_made(value: Any) -> Any:
    raise AssertionError("a type was read before its reader was made")


def _leaf(wanted: Any) -> Callable[[Any], Any]:
    """Leave a type to msgspec."""
    try:
        known = msgspec.inspect.type_info(wanted)
        msgspec.json.Decoder(wanted)
    except TypeError as error:
        raise NotReadable(f"{error}. Install pydantic if it is a type that pydantic knows.") from error
    if isinstance(known, msgspec.inspect.CustomType) and not hasattr(wanted, "model_validate_json"):
        raise NotReadable(
            f"{_name(wanted)} is neither a dataclass, a pydantic model, nor a type that JSON has. "
            "Install pydantic if it is a type that pydantic knows."
        )
    return lambda value: msgspec.convert(value, wanted, str_keys=True)


KINDS = {bool: "bool", int: "number", float: "number", str: "text", list: "list", dict: "object", type(None): "null"}


def _kind(value: Any) -> str:
    return KINDS[type(value)]


def _shapes(member: Any) -> list[JsonShape]:  # noqa: PLR0911  one for each kind
    """The kinds of JSON that a member of a union can be."""
    if (inside := _inside(member)) is not member:
        return _shapes(inside)
    origin = typing.get_origin(member)
    if origin in UNIONS:
        return [shape for each in typing.get_args(member) for shape in _shapes(each)]
    if origin is typing.Literal:
        return _one_of(typing.get_args(member))
    if member in KINDS and member not in (list, dict):
        return [JsonShape(KINDS[member])]
    if isinstance(member, type) and dataclasses.is_dataclass(member):
        known = frozenset(field.name for field in dataclasses.fields(member) if field.init)
        return [JsonShape("object", _required(member), known, _literals(member))]
    if typing.is_typeddict(member):
        return [JsonShape("object", member.__required_keys__, frozenset(_hints(member)), _literals(member))]
    try:
        info = type(msgspec.inspect.type_info(member)).__name__
    except TypeError as error:
        raise NotReadable(str(error)) from error
    if info == "EnumType":
        return _one_of([each.value for each in member])
    if info == "AnyType":
        return [JsonShape(kind) for kind in sorted(set(KINDS.values()))]
    if origin in ITEMS or member is collections.deque or info in LISTS:
        return [JsonShape("list")]
    return [JsonShape("object" if info in OBJECTS else "text")]  # text: dates, ids, decimals, bytes, paths


ITEMS = (collections.deque, Sequence, Iterable)
LISTS = ("CollectionType", "FrozenSetType", "ListType", "NamedTupleType", "SetType", "TupleType", "VarTupleType")
OBJECTS = ("DictType", "StructType")  # of msgspec.inspect, as LISTS


def _one_of(values: Iterable[Any]) -> list[JsonShape]:
    by_kind: dict[str, set[Any]] = {}
    for value in values:
        by_kind.setdefault(_kind(value), set()).add(value)
    return [JsonShape(kind, literals={"": frozenset(found)}) for kind, found in by_kind.items()]


def _literals(record: Any) -> dict[str, frozenset[Any]]:
    """The fields of a record that are Literals, with their values."""
    hints = _hints(record).items()
    return {name: frozenset(typing.get_args(hint)) for name, hint in hints if typing.get_origin(hint) is typing.Literal}


def _required(wanted: Any) -> frozenset[str]:
    missing = dataclasses.MISSING
    return frozenset(
        field.name
        for field in dataclasses.fields(wanted)
        if field.init and field.default is missing and field.default_factory is missing
    )


def _hints(wanted: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(wanted)
    except Exception as error:
        raise NotReadable(f"an annotation of {_name(wanted)} cannot be resolved: {error}") from error


def _is_number(one: Any, other: Any) -> bool:
    return {one, other} == {int, float}


def _checked(value: Any, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"expected {KINDS[kind]}, got {_kind(value)}")
    return value


def _name(wanted: Any) -> str:
    return getattr(wanted, "__name__", None) or repr(wanted)
