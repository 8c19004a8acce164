"""The calls in a function, read from its bytecode without running it.

The rule: neither the function is run nor a descriptor of a value that it names. A call whose callee cannot be
determined is reported as unknown.

A callee can be determined if it is a name (global, of an outer function, or a local one that was given such a value),
an attribute of one (a module's, a class's, an object's), or an element of a list, tuple or dictionary. The module knows
the bytecode of Python 3.11 to 3.14. `runtime/execution/direct_calls.py` uses it.
"""

import builtins
import dis
import functools
from collections.abc import Iterable, Iterator, Sequence
from inspect import getattr_static
from types import CodeType, FunctionType, MethodType
from typing import Any, NamedTuple

ELEMENTS_MAX = 1_000  # of a container that is looked through
# Codes whose instructions are kept: apps that are made anew, as in tests, have the same codes.
CODES_MAX = 1_000
# For a call that is no method call, Python 3.13 and newer push NULL after the callee, older releases before it.
NULL_COMES_LAST = "LOAD_FAST_LOAD_FAST" in dis.opmap
# From 3.12 on the argument of LOAD_ATTR says whether it loads a method.
METHODS_ARE_ATTRIBUTES = "PRECALL" not in dis.opmap
LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF")
STORES = ("STORE_FAST", "STORE_DEREF")
NOTHING = ("CACHE", "EXTENDED_ARG", "NOP", "RESUME", "COPY_FREE_VARS")
FUNCTION_MADE = ("MAKE_FUNCTION", "SET_FUNCTION_ATTRIBUTE")


class _Unknown:
    """A value that cannot be determined from the code."""


UNKNOWN: Any = _Unknown()


class CallSites(NamedTuple):
    """The calls in a function and the functions within it."""

    called: list[Any]  # the values that it calls
    named: list[Any]  # the values that it names, called or not
    calls_unknown: bool  # it calls a variable whose value is not known


class _Step(NamedTuple):
    """An instruction, without the differences between releases of Python."""

    name: str
    value: Any
    is_method: bool = False  # it loads an attribute that is called


def call_sites(function: FunctionType, owner: Any = UNKNOWN) -> CallSites:
    """Read a function.

    Args:
        owner: The object of which it is a bound method.
    """
    codes = [*_codes(function.__code__)]
    reader = _Reader(function, owner, codes)
    sites = CallSites([], [], calls_unknown=False)
    for code in codes:
        reader.read(code, sites)
    return sites._replace(calls_unknown=reader.calls_unknown)


def plain_function(value: Any) -> FunctionType | None:
    """The Python function that a callable calls in the end; None if there is none, or it cannot be determined."""
    while True:
        kind = type(value)
        if kind is FunctionType:
            found: FunctionType = value
            return found
        if kind is functools.partial:
            value = value.func
        elif kind in (MethodType, staticmethod, classmethod):
            value = value.__func__
        else:
            return None


class _Reader:
    """Reads the codes of one function. Local names are those of all of them together."""

    def __init__(self, function: FunctionType, owner: Any, codes: Iterable[CodeType]) -> None:
        self._globals = function.__globals__
        self._builtins: dict[str, Any] = vars(builtins)
        self._names: dict[str, list[Any]] = {
            name: [cell.cell_contents]
            for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
            if _is_filled(cell)
        }
        self.calls_unknown = False
        for code in codes:
            parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            for index, name in enumerate(parameters):
                is_self = index == 0 and code is function.__code__
                self._names.setdefault(name, []).append(owner if is_self else UNKNOWN)
        for code in codes:
            self._learn(code)

    def _learn(self, code: CodeType) -> None:
        """Remember the values that local names are given."""
        steps = _steps(code)
        for index, step in enumerate(steps):
            if step.name in STORES:
                before = steps[index - 1]
                made = before.name in FUNCTION_MADE
                self._names.setdefault(step.value, []).extend([None] if made else self._values_before(steps, index))

    def read(self, code: CodeType, sites: CallSites) -> None:
        steps = _steps(code)
        for index, step in enumerate(steps):
            if step.name in LOADS or step.name in ("LOAD_ATTR", "LOAD_METHOD"):
                values = self._values_before(steps, index + 1)
                sites.named.extend(value for value in values if value is not UNKNOWN)
                if step.is_method:
                    # An attribute of an unknown object is a method of that object, of the context for example.
                    self._call(values, sites, variable=False)
            elif step.name == "PUSH_NULL":
                start = self._start_of_callee(steps, index)
                is_variable = steps[start - 1].name not in FUNCTION_MADE
                self._call(self._values_before(steps, start), sites, variable=is_variable)

    def _call(self, values: Iterable[Any], sites: CallSites, *, variable: bool) -> None:
        for value in values:
            if value is UNKNOWN:
                self.calls_unknown |= variable
            else:
                sites.called.append(value)
                # The function that it makes is called later, anywhere.
                self.calls_unknown |= value is functools.partial

    def _start_of_callee(self, steps: Sequence[_Step], null: int) -> int:
        """The place behind the expression of a callee, if it can be determined."""
        if NULL_COMES_LAST:
            return null
        place = null + 2
        while place < len(steps) and steps[place].name == "LOAD_ATTR" and not steps[place].is_method:
            place += 1
        # Of `container[key](...)`.
        beyond = next((each for each in range(place, min(place + 2, len(steps))) if "SUBSCR" in steps[each].name), None)
        return beyond + 1 if beyond is not None else place

    def _values_before(self, steps: Sequence[_Step], place: int) -> list[Any]:
        """The values that the expression before a place can have."""
        attributes: list[str] = []
        at = place - 1
        while at >= 0 and steps[at].name in ("LOAD_ATTR", "LOAD_METHOD"):
            attributes.insert(0, steps[at].value)
            at -= 1
        if at < 0:
            return [UNKNOWN]
        if "SUBSCR" in steps[at].name:
            # A key is a constant or a name.
            values = [each for value in self._values_before(steps, at - 1) for each in _elements(value)]
        elif steps[at].name in LOADS:
            values = self._values_of(steps[at])
        else:
            return [UNKNOWN]
        for attribute in attributes:
            values = [UNKNOWN if value is UNKNOWN else getattr_static(value, attribute, UNKNOWN) for value in values]
        return values

    def _values_of(self, step: _Step) -> list[Any]:
        local = self._names.get(step.value)
        if step.name == "LOAD_GLOBAL" or local is None:
            return [self._globals.get(step.value, self._builtins.get(step.value))]
        return local


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A code and the codes within it: lambdas, inner functions, comprehensions."""
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)


@functools.lru_cache(maxsize=CODES_MAX)
def _steps(code: CodeType) -> Sequence[_Step]:
    """The instructions of a code, in the names of Python 3.11. They are the same for each function that has it."""
    steps: list[_Step] = []
    for each in dis.get_instructions(code):
        name = each.opname.replace("_BORROW", "").removesuffix("_CHECK").removesuffix("_AND_CLEAR")
        if isinstance(each.argval, tuple) and ("_FAST_" in name):
            # Two in one, such as STORE_FAST_LOAD_FAST.
            first, second = name[: name.index("_FAST_") + 5], name[name.index("_FAST_") + 6 :]
            steps += [_Step(first, each.argval[0]), _Step(second, each.argval[1])]
            continue
        flagged = each.arg is not None and bool(each.arg & 1)
        if name == "LOAD_GLOBAL" and flagged:
            both = [_Step("PUSH_NULL", None), _Step(name, each.argval)]
            steps += reversed(both) if NULL_COMES_LAST else both
        elif name not in NOTHING:
            is_method = name == "LOAD_METHOD" or (flagged and name == "LOAD_ATTR" and METHODS_ARE_ATTRIBUTES)
            steps.append(_Step(name, each.argval, is_method))
    return steps


def _elements(value: Any) -> list[Any]:
    kind = type(value)
    if kind is dict and len(value) <= ELEMENTS_MAX:
        return list(value.values())
    if kind in (list, tuple) and len(value) <= ELEMENTS_MAX:
        return list(value)
    return [UNKNOWN]


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
