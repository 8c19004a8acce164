"""Activities that workflow code calls as functions, where it should use `ctx.call_activity`.

The rule: a registered function stays the function that it was, so a call of it can be detected in two ways only. First,
the code of the workflow is read once, without running it (`runtime/execution/call_sites.py`): does it, or a function
that it calls, call an activity, or name an activity and call something that cannot be determined? Hardly any workflow
does. Only the steps of such a workflow run under a profile function, which raises when the call is made. So a workflow
without such calls pays one comparison for each step, and code that only looks like a call is never refused.

It does not detect an activity that comes from the result of a function or an attribute of an unknown object, or that is
handed through two functions.

`runtime/execution/drive.py` uses it, and the engine gives it the profile function. In replay nothing is refused:
recorded turns are repeated.
"""

from collections.abc import Callable, Mapping
from inspect import getattr_static
from types import CodeType, MethodType
from typing import Any, TypeAlias

from ..authoring.app import App, WorkflowDefinition
from .call_sites import UNKNOWN, CallSites, call_sites, plain_function

READ_MAX = 1_000  # functions that one workflow may call before the rest is not read

# Code of activities to their names.
Activities: TypeAlias = Mapping[CodeType, str]
NONE: Activities = {}

# Makes a function that calls another with arguments, and raises if an activity is called meanwhile. It takes a function
# that calls, the activities, and one that makes the error from an activity's name: `runtime/activities/steps.py`.
Watch: TypeAlias = Callable[[Callable[..., Any], Activities, Callable[[str], Exception]], Callable[..., Any]]


def called_by(definition: WorkflowDefinition) -> Activities:
    """The activities of its app that a workflow seems to call as functions: usually none. Determined once."""
    app = definition.app
    found = app.direct_calls.get(definition.name)
    if found is None:
        found = app.direct_calls[definition.name] = _read(definition.function, _activities_of(app))
    return found


def _activities_of(app: App) -> Activities:
    codes = ((plain_function(each.function), each.name) for each in app.activities.values())
    return {function.__code__: name for function, name in codes if function is not None}


def _read(function: Any, activities: Activities) -> Activities:
    """Read a function and the functions that it calls, as far as they can be determined."""
    found: dict[CodeType, str] = {}
    waiting = [function]
    seen: dict[CodeType, CallSites] = {}
    while waiting and len(seen) < READ_MAX:
        current = waiting.pop()
        waiting += [wrapped for wrapped in [getattr_static(current, "__wrapped__", None)] if wrapped is not None]
        plain = plain_function(current)
        if plain is None or plain.__code__ in seen:
            continue
        sites = call_sites(plain, current.__self__ if type(current) is MethodType else UNKNOWN)
        seen[plain.__code__] = sites
        for called in filter(None, map(plain_function, sites.called)):
            if called.__code__ in activities:
                found[called.__code__] = activities[called.__code__]
        waiting += [callee for callee in sites.called if _code_of(callee) not in activities]
    for sites in seen.values():
        # It names activities, and it or a function that it calls calls an argument, which may be one of them.
        callees = (seen.get(code) for callee in sites.called if (code := _code_of(callee)) is not None)
        if sites.calls_unknown or any(each is not None and each.calls_unknown for each in callees):
            named = {code for value in sites.named if (code := _code_of(value)) in activities}
            found |= {code: activities[code] for code in named if code is not None}
    return found


def _code_of(value: Any) -> CodeType | None:
    function = plain_function(value)
    return function.__code__ if function is not None else None
