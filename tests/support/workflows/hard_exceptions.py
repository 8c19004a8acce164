"""Exceptions that are hard to describe or to hold: by name, a function that makes each.

Activities that raise them are at the end, at the top level, so that another process can find them.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from perdure import ActivityContext


class NoText(Exception):
    def __str__(self) -> str:
        return str(self.response.text)  # type: ignore[attr-defined]  # there is none: it failed before a response came


class NoneForText(Exception):
    reason: Any = None

    def __str__(self) -> str:
        return self.reason  # type: ignore[no-any-return]


class ExitsWhenAsked(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class InterruptsWhenAsked(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt

    __repr__ = __str__


class RaisesItself(Exception):
    def __str__(self) -> str:
        raise self

    __repr__ = __str__


class EndlessText(Exception):
    def __str__(self) -> str:
        return str(self) + "!"


class SlyText(str):
    def _refuse(self, *_: Any) -> Any:
        raise RuntimeError("not this text")

    __str__ = __repr__ = __eq__ = __hash__ = __len__ = __getitem__ = isascii = _refuse
    encode: Any = _refuse


class TextOfAnotherClass(Exception):
    def __str__(self) -> str:
        return SlyText("sly")


class RaisesOnEveryAttribute(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise KeyboardInterrupt(name)


class RaisesOnItsParts(Exception):
    def _refuse(self) -> Any:
        raise SystemExit(4)

    __cause__ = __context__ = __traceback__ = __suppress_context__ = __notes__ = property(_refuse)
    args = non_retriable = property(_refuse)


class LiesAboutItsClass(Exception):
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise GeneratorExit


class _Nameless(type):
    def _refuse(cls) -> Any:
        raise KeyboardInterrupt

    __name__ = property(_refuse)
    __repr__ = _refuse


class OfAClassWithoutName(Exception, metaclass=_Nameless):
    pass


class NeitherTrueNorFalse(Exception):
    def __bool__(self) -> bool:
        raise ValueError("neither")

    __eq__ = __hash__ = __len__ = __bool__  # type: ignore[assignment]


class OddNotes(Exception):
    __notes__: Any = [NoText("x"), "fine", 3, SlyText("sly")]  # noqa: RUF012


class OwnBaseException(BaseException):
    pass


def _with_cause(cause: BaseException) -> BaseException:
    error = ValueError("wrapper")
    error.__cause__ = cause
    return error


def _with_context(context: BaseException) -> BaseException:
    error = ValueError("wrapper")
    error.__context__ = context
    return error


def _cyclic() -> BaseException:
    error, other = ValueError("cyclic"), KeyError("other")
    error.__cause__, other.__cause__ = other, error
    return error


def _deep_chain() -> BaseException:
    error: BaseException = ValueError("first")
    for number in range(3_000):
        error = _with_cause(error) if number % 2 else _with_context(error)
    return error


def _deep_group() -> BaseException:
    error: BaseException = NoText("x")
    for _ in range(500):
        error = BaseExceptionGroup("g", [error, KeyboardInterrupt()])
    return error


def _deep_traceback() -> BaseException:
    def down(n: int) -> None:
        if n == 0:
            raise ValueError("from far below")
        down(n - 1)

    try:
        down(800)
    except ValueError as error:
        return error
    raise AssertionError


def _in_code_of_an_odd_loader() -> BaseException:
    class Loader:
        def get_source(self, name: str) -> str:
            raise KeyboardInterrupt

    names = {"__loader__": Loader(), "__name__": "odd"}
    try:
        exec(compile("raise ValueError('in odd code')", "<odd>", "exec"), names)  # noqa: S102
    except ValueError as error:
        return error
    raise AssertionError


def _with_attributes(**attributes: Any) -> BaseException:
    error = ValueError("with attributes")
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


HARD_EXCEPTIONS: dict[str, Callable[[], BaseException]] = {
    "no text": lambda: NoText("x"),
    "none for text": lambda: NoneForText("x"),
    "exits when asked": lambda: ExitsWhenAsked("x"),
    "interrupts when asked": lambda: InterruptsWhenAsked("x"),
    "raises itself": lambda: RaisesItself("x"),
    "endless text": lambda: EndlessText("x"),
    "text of another class": lambda: TextOfAnotherClass("x"),
    "raises on every attribute": lambda: RaisesOnEveryAttribute("x"),
    "raises on its parts": lambda: RaisesOnItsParts("x"),
    "lies about its class": lambda: LiesAboutItsClass("x"),
    "class without name": lambda: OfAClassWithoutName("x"),
    "neither true nor false": lambda: NeitherTrueNorFalse("x"),
    "odd notes": lambda: OddNotes("x"),
    "notes without end": lambda: _with_attributes(__notes__=["n" * 100_000] * 1_000),
    "notes of another type": lambda: _with_attributes(__notes__=NoText("x")),
    "odd non_retriable": lambda: _with_attributes(non_retriable=NeitherTrueNorFalse()),
    "cause without text": lambda: _with_cause(NoText("x")),
    "cause neither true nor false": lambda: _with_cause(NeitherTrueNorFalse()),
    "context without text": lambda: _with_context(RaisesOnItsParts("x")),
    "group": lambda: ExceptionGroup("g", [NoText("x"), ValueError("y")]),
    "base group": lambda: BaseExceptionGroup("g", [KeyboardInterrupt(), RaisesOnItsParts("y")]),
    "deep group": _deep_group,
    "cyclic": _cyclic,
    "deep chain": _deep_chain,
    "deep traceback": _deep_traceback,
    "odd loader": _in_code_of_an_odd_loader,
    "argument without text": lambda: ValueError(NoText("x"), ExitsWhenAsked("y")),
    "key error": lambda: KeyError(None),
    "surrogate": lambda: ValueError("\ud800"),
    "long name": lambda: type("N" * 1_000_000, (Exception,), {})("long name"),
    "long text": lambda: ValueError("m" * 6_000_000),
    "long text in many bytes": lambda: ValueError("\u4e16" * 60_000),
    "undecodable": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    "recursion": lambda: RecursionError("deep"),
    "memory": MemoryError,
    "stop": lambda: StopIteration(1),
    "stop async": lambda: StopAsyncIteration(1),
    "interrupt": KeyboardInterrupt,
    "exit": lambda: SystemExit(3),
    "exit with odd code": lambda: SystemExit(NoText("x")),
    "generator exit": GeneratorExit,
    "cancelled": asyncio.CancelledError,
    "base exception": lambda: BaseException("base"),
    "own base exception": lambda: OwnBaseException("own"),
}


def raise_elsewhere(ctx: ActivityContext, name: str) -> None:
    raise HARD_EXCEPTIONS[name]()
