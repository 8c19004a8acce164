"""Text that can be stored, sent and logged, made of any object.

The rule: no function here raises, even if the methods of a user's object do, and each
returns a plain `str` of bounded length that has a form in UTF-8.

An exception or a value of user code is an object with methods of its own: its
`__str__` may raise, return None or be megabytes long, its class may lie about its
name. Errors, failures and log lines that describe such an object use this module.
"""

from typing import Any

TEXT_BYTES_MAX = 64 * 1024  # of a message or a stack trace; a history holds them for good
NAME_BYTES_MAX = 1024  # of the name of a class
ARGUMENT_CHARS_MAX = 200  # of an exception's argument, where the exception has no text

# The attributes as Python itself keeps them. A class may define its own of the same name, and those may raise.
_name_of = type.__dict__["__name__"].__get__
_args_of = BaseException.__dict__["args"].__get__
_PLAIN = (str, bytes, int, float, bool, type(None))  # their repr runs no user code


def clean(text: str) -> str:
    """Replace lone surrogates (file names may have them) by question marks: UTF-8 has no form for them."""
    if type(text) is not str:
        text = str.__getitem__(text, slice(None))  # a subclass may have methods of its own
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def cut(text: str, bytes_max: int = TEXT_BYTES_MAX) -> str:
    """Clean a text, and shorten one that is longer than `bytes_max` in UTF-8; a remark at its end says so."""
    length = str.__len__(text)
    kept = clean(str.__getitem__(text, slice(bytes_max)))
    if length <= bytes_max and (kept.isascii() or len(kept.encode()) <= bytes_max):
        return kept
    kept = kept.encode()[:bytes_max].decode("utf-8", "ignore")
    return f"{kept}… [cut to {bytes_max:,} bytes; the text has {length:,} characters]"


def type_name(value: object) -> str:
    """The name of an object's class."""
    return class_name(type(value))


def class_name(cls: type[Any]) -> str:
    """The name of a class, also if its metaclass lies."""
    name: str = _name_of(cls)
    return cut(name, NAME_BYTES_MAX)


def text_of(value: object) -> str:
    """The text of an object, as `str` gives it; if `str` fails, a sentence that says why."""
    try:
        return cut(str(value))
    except BaseException as error:  # any exception: it comes from the object's own method
        return _no_text(value, "__str__", error)


def repr_of(value: object) -> str:
    """The text of an object, as `repr` gives it; if `repr` fails, the name of its class."""
    try:
        return cut(repr(value))
    except BaseException as error:
        return _no_text(value, "__repr__", error)


class ErrorElsewhere(Exception):
    """An exception of another process, of which only the name of its class and its text are known here."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, text)
        self.name = name
        self.text = text

    def __str__(self) -> str:
        return self.text


def described(error: BaseException) -> str:
    """An exception in one text: its class and its message."""
    name = error.name if type(error) is ErrorElsewhere else type_name(error)
    return f"{name}: {text_of(error)}"


def _no_text(value: object, method: str, error: BaseException) -> str:
    try:
        why = f"{type_name(error)}: {cut(str(error), NAME_BYTES_MAX)}"
    except BaseException:
        why = type_name(error)
    text = f"this {type_name(value)} has no text, because its {method} raised {why}"
    if issubclass(type(value), BaseException):
        arguments = [_plain(argument) for argument in _args_of(value)[:8]]
        text += f"; its arguments: {', '.join(arguments)}" if arguments else ""
    return text


def _plain(value: object) -> str:
    if type(value) in _PLAIN:
        try:
            return cut(repr(value)[:ARGUMENT_CHARS_MAX])
        except ValueError:  # a number of more digits than Python writes
            pass
    return f"a value of type {type_name(value)}"
