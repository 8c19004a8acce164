"""The form of errors between hosts: the name of a class, and the arguments from which the error is made again.

The rule: a message of another host makes only errors of registered classes, and only by a call with values of the types
in the signature of the class. Any other error travels as its text.

`vocabulary.py` has a table of the registered classes.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any, NamedTuple, get_type_hints

import msgspec
from msgspec import Raw

from ..errors import PerdureError
from ..text import ErrorElsewhere, class_name, text_of, type_name
from .protocol import plain

PACK = msgspec.msgpack.Encoder(enc_hook=plain).encode
NOTHING = Raw(PACK(()))


class ToldError(NamedTuple):
    """An error in the form in which it travels."""

    name: str  # of its class; "": the error has only a text
    arguments: Raw
    text: str


class _Cause(NamedTuple):
    """An error inside another one. It travels as a name and a text, without a class."""

    name: str
    text: str


class ErrorForm:
    """The form of one class of errors.

    A class without an `__init__` of its own has texts for arguments. A class with an `__init__` is called with its
    parameters; the error keeps each as an attribute of the same name.
    """

    def __init__(self, kind: type[PerdureError]) -> None:
        self.kind = kind
        self.parameters: tuple[inspect.Parameter, ...] | None = None  # None: texts
        form: Any = list[str]
        if isinstance(kind.__init__, FunctionType):
            hints = get_type_hints(kind.__init__)
            _, *parameters = inspect.signature(kind.__init__).parameters.values()
            assert all(each.kind in NAMED for each in parameters), kind
            self.parameters = tuple(parameters)
            types = tuple(_Cause if hints[each.name] is BaseException else hints[each.name] for each in parameters)
            form = tuple[types] if types else tuple[()]  # type: ignore[valid-type]
        self._decoder: msgspec.msgpack.Decoder[Sequence[Any]] = msgspec.msgpack.Decoder(form)

    def pack(self, error: PerdureError) -> Raw:
        """Pack the arguments of an error of this class."""
        if self.parameters is None:
            return Raw(PACK([text_of(argument) for argument in error.args]))
        return Raw(PACK([_told(getattr(error, each.name)) for each in self.parameters]))

    def unpack(self, arguments: Raw) -> PerdureError:
        """Make the error again.

        Raises:
            msgspec.MsgspecError, ValueError, TypeError: The arguments do not fit this class.
        """
        values = [_heard(value) for value in self._decoder.decode(arguments)]
        if self.parameters is None:
            return self.kind(*values)
        both = list(zip(self.parameters, values, strict=True))
        named = {each.name: value for each, value in both if each.kind is inspect.Parameter.KEYWORD_ONLY}
        return self.kind(*(value for each, value in both if each.name not in named), **named)


NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class ErrorForms:
    """The classes of errors that travel by name.

    Args:
        kinds: The classes; their names differ.
    """

    def __init__(self, kinds: Sequence[type[PerdureError]]) -> None:
        self._forms: Mapping[str, ErrorForm] = {class_name(kind): ErrorForm(kind) for kind in kinds}
        assert len(self._forms) == len(kinds), "two errors of one name"

    def __iter__(self) -> Iterator[type[PerdureError]]:
        return (form.kind for form in self._forms.values())

    def tell(self, error: BaseException) -> ToldError:
        """Give an error the form in which it travels. This never raises."""
        form = self._forms.get(type_name(error))
        if form is not None and form.kind is type(error):
            try:
                return ToldError(type_name(error), form.pack(error), text_of(error))
            except Exception:  # an argument cannot be packed: the error travels as its text
                return ToldError("", NOTHING, text_of(error))
        # An unregistered class travels as its nearest registered base class that needs only a text. So a caller that
        # tries again after an error of the store does so after an error of an unknown store too.
        text = f"{type_name(error)}: {text_of(error)}"
        for kind in type(error).__mro__:
            above = self._forms.get(class_name(kind))
            if above is not None and above.kind is kind and above.parameters is None:
                return ToldError(class_name(kind), Raw(PACK([text])), text)
        return ToldError("", NOTHING, text)

    def hear(self, told: ToldError) -> PerdureError:
        """Make the error that another host has sent: of its own class, or a `PerdureError` with its text."""
        form = self._forms.get(told.name)
        if form is not None:
            try:
                return form.unpack(told.arguments)
            except Exception:  # another release may have other arguments, which the constructor may refuse
                return PerdureError(told.text)
        return PerdureError(told.text)


def _told(value: Any) -> Any:
    if isinstance(value, BaseException):
        if type(value) is ErrorElsewhere:
            return _Cause(value.name, value.text)
        return _Cause(type_name(value), text_of(value))
    return value


def _heard(value: Any) -> Any:
    return ErrorElsewhere(value.name, value.text) if type(value) is _Cause else value
