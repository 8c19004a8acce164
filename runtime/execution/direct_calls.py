"""Activities that workflow code calls as functions, where it should ask for them with `ctx.call_activity`.

The rule: a registered function stays the function that it was, so a call of it can be seen in two ways only. The code
of the workflow is read once, without running it: does it, or a function that it calls, call an activity by its name?
Hardly any does. Only the steps of one that does are run under a profile function, which raises when that call is made.
So a workflow that makes none pays one comparison for each step.

What is not seen: a call through a variable, a parameter or a container, and one in a branch of a library.

`runtime/execution/drive.py` uses it, and the engine gives it the profile function. In replay nothing is refused: what
was recorded is repeated.
"""

import dis
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeAlias

from ..authoring.app import App, WorkflowDefinition

READ_MAX = 1_000  # functions that one workflow may call before the rest is not read

# Code of activities to their names.
Activities: TypeAlias = Mapping[CodeType, str]
NONE: Activities = {}

# Makes a function that calls another with arguments, and under which a call of an activity raises. It takes a function
# that calls, the activities, and what makes the error from an activity's name: `runtime/steps.py`.
Watch: TypeAlias = Callable[[Callable[..., Any], Activities, Callable[[str], Exception]], Callable[..., Any]]


def called_by(definition: WorkflowDefinition) -> Activities:
    """The activities of its app that a workflow seems to call as functions: usually none. It is found out once."""
    app = definition.app
    found = app.direct_calls.get(definition.name)
    if found is None:
        found = app.direct_calls[definition.name] = _read(definition.function, _activities_of(app))
    return found


def _activities_of(app: App) -> Activities:
    codes = ((_function(each.function), each.name) for each in app.activities.values())
    return {function.__code__: name for function, name in codes if function is not None}


def _function(value: Any) -> FunctionType | None:
    value = value.__func__ if type(value) is MethodType else value
    return value if type(value) is FunctionType else None


def _read(function: Any, activities: Activities) -> Activities:
    """Read a function and those that it calls, as far as their names tell which they are."""
    found: dict[CodeType, str] = {}
    waiting = [function]
    seen: set[CodeType] = set()
    while waiting and len(seen) < READ_MAX:
        current = waiting.pop()
        waiting += [wrapped for wrapped in [getattr(current, "__wrapped__", None)] if wrapped is not None]
        plain = _function(current)
        if plain is None or plain.__code__ in seen:
            continue
        seen.add(plain.__code__)
        for callee in _callees(plain):
            called = _function(callee)
            if called is None:
                continue
            if called.__code__ in activities:
                found[called.__code__] = activities[called.__code__]
            else:
                waiting.append(called)
    return found


def _callees(function: FunctionType) -> Iterator[Any]:
    """The values that a function calls by a name: a global one, one of an outer function, or one of a module."""
    outer = {
        name: cell.cell_contents
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
        if _is_filled(cell)
    }
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]  # lambdas, inner functions
        instructions = list(dis.get_instructions(code))
        for before, this, after in zip([None, *instructions], instructions, [*instructions[1:], None], strict=False):
            # In a call NULL or the object stands beside the callee (Python 3.11 to 3.14).
            match this.opname:
                case "LOAD_GLOBAL" if this.arg is not None and this.arg & 1:
                    yield function.__globals__.get(this.argval)
                case "PUSH_NULL":
                    for beside in (before, after):
                        if beside is not None and beside.opname.startswith(("LOAD_DEREF", "LOAD_GLOBAL", "LOAD_NAME")):
                            yield outer.get(beside.argval, function.__globals__.get(beside.argval))
                case "LOAD_METHOD" | "LOAD_ATTR" if before is not None and before.opname == "LOAD_GLOBAL":
                    owner = function.__globals__.get(before.argval)
                    if type(owner) is ModuleType:
                        yield owner.__dict__.get(this.argval)


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
