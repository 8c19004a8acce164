"""The calls of a function are read from its bytecode; nothing of it runs."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from perdure.runtime.execution.call_sites import UNKNOWN, call_sites, plain_function


def one() -> int:
    return 1


class Owner:
    def method(self) -> int:
        return 1

    @staticmethod
    def static() -> int:
        return 1

    @classmethod
    def of_class(cls) -> int:
        return 1

    @property
    def seen(self) -> int:
        raise AssertionError("a property is not to be read")

    def calls_its_own(self) -> int:
        return self.method()

    def __getattr__(self, name: str) -> Any:
        raise AssertionError("no method of an object is to be called")


OWNER: Any = Owner()
TABLE = {"one": one}


def by_name() -> Any:
    return one()


def by_owner() -> Any:
    return OWNER.method(), Owner.static(), OWNER.of_class(), OWNER.seen(), OWNER.missing()


def of_a_table(key: str) -> Any:
    return TABLE[key]()


def a_parameter(function: Callable[[], Any]) -> Any:
    return function()


def a_result() -> Any:
    return functools.partial(one)()


def a_method_of_a_parameter(ctx: Any) -> Any:
    return ctx.call(one)


def an_inner_function() -> Any:
    def inner() -> int:
        return len([1])

    return inner()


def nothing() -> Any:
    return one


@pytest.mark.parametrize(
    ("function", "called", "calls_unknown"),
    [
        (by_name, ["one"], False),
        (by_owner, ["method", "static", "of_class"], False),
        (of_a_table, ["one"], False),
        (a_parameter, [], True),
        (a_result, [], True),
        (a_method_of_a_parameter, [], False),
        (an_inner_function, [], False),
        (nothing, [], False),
    ],
    ids=lambda given: getattr(given, "__name__", None),
)
def test_what_a_function_calls_is_told(function: Any, called: list[str], calls_unknown: bool) -> None:
    sites = call_sites(function)
    assert [found.__name__ for value in sites.called if (found := plain_function(value)) is not None] == called
    assert sites.calls_unknown is calls_unknown


def test_what_is_only_named_is_told_apart() -> None:
    names: Any = nothing
    hands_on: Any = a_method_of_a_parameter
    assert one in call_sites(names).named
    assert one in call_sites(hands_on).named
    assert one not in call_sites(hands_on).called


def test_of_a_bound_method_its_object_is_known() -> None:
    method: Any = Owner.calls_its_own
    assert [plain_function(value) for value in call_sites(method, OWNER).called] == [Owner.method]
    assert call_sites(method).called == []


def test_the_function_behind_a_callable_is_found() -> None:
    of_a_class: Any = one
    callables: list[Any] = [
        one,
        functools.partial(one),
        functools.partial(functools.partial(one)),
        staticmethod(one),
        classmethod(of_a_class),
    ]
    assert [plain_function(each) for each in callables] == [one] * len(callables)
    assert plain_function(Owner().method) is Owner.method
    assert [plain_function(each) for each in (len, Owner, OWNER, 1, None, UNKNOWN)] == [None] * 6
