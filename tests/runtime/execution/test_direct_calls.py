"""An activity that workflow code calls as a function is an error, with any body; any other call is allowed."""

import functools
import sys
import types
from collections.abc import Callable, Generator
from functools import partial, wraps
from typing import Any

import pytest

from perdure import App, Engine, Status, WorkflowFailed, WorkflowMisuse
from perdure.runtime.execution.direct_calls import called_by

from ...support.workflows.lone_execution import LoneExecution

APP = App("direct")


@APP.activity
def charge(ctx: Any, amount: int) -> int:
    return amount + 1


@APP.activity
async def reserve(ctx: Any, amount: int) -> int:
    return amount + 1


@APP.activity(name="another name")
def renamed(ctx: Any) -> str:
    return helper()


class Shop:
    def sell(self, ctx: Any) -> str:
        return "sold"


SHOP = Shop()
APP.activity(SHOP.sell)


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*arguments: Any) -> Any:
        return function(*arguments)

    return call


@APP.activity
@decorated
def wrapped(ctx: Any) -> int:
    return 1


MODULE = types.ModuleType("activities_of_a_module")
MODULE.charge = charge  # type: ignore[attr-defined]
MODULE.shop = SHOP  # type: ignore[attr-defined]


def helper() -> str:
    return "plain"


def helper_that_charges(amount: int) -> int:
    return charge(None, amount)


def deep_helper(amount: int) -> int:
    return helper_that_charges(amount)


# Code that calls an activity as a function.


async def plain(ctx: Any) -> Any:
    return charge(ctx, 1)


async def without_context(ctx: Any) -> Any:
    return charge(None, 1)


async def awaited(ctx: Any) -> Any:
    return await reserve(ctx, 1)


def in_a_plain_function(ctx: Any) -> Any:
    return charge(ctx, 1)


def in_a_generator(ctx: Any) -> Generator[Any, Any, Any]:
    yield ctx.call_activity(charge, input=1)
    return charge(ctx, 1)


async def in_a_later_turn(ctx: Any) -> Any:
    await ctx.call_activity(charge, input=1)
    return charge(ctx, 1)


async def in_a_helper(ctx: Any) -> Any:
    return deep_helper(1)


async def in_a_lambda(ctx: Any) -> Any:
    return (lambda: charge(ctx, 1))()  # noqa: PLC3002


async def in_a_comprehension(ctx: Any) -> Any:
    return [charge(ctx, n) for n in range(3)]


async def in_an_inner_function(ctx: Any) -> Any:
    async def inner() -> Any:
        return await reserve(ctx, 1)

    return await inner()


async def of_a_module(ctx: Any) -> Any:
    return MODULE.charge(ctx, 1)


async def by_another_name(ctx: Any) -> Any:
    return renamed(ctx)


async def with_a_decorator(ctx: Any) -> Any:
    return wrapped(ctx)


async def caught(ctx: Any) -> Any:
    try:
        charge(ctx, 1)
    except WorkflowMisuse:
        return "went on all the same"


async def caught_by_all_means(ctx: Any) -> Any:
    try:
        charge(ctx, 1)
    finally:
        return "went on all the same"  # noqa: B012


ALIAS = charge
PARTIAL = partial(charge, None)
BY_NAME = {"charge": charge}
IN_A_LIST = [reserve, charge]


async def by_a_global_alias(ctx: Any) -> Any:
    return ALIAS(ctx, 1)


async def by_a_local_alias(ctx: Any) -> Any:
    pay = charge
    return pay(ctx, 1)


async def by_an_alias_of_two(ctx: Any) -> Any:
    pay = reserve if ctx.instance_id == "another" else charge
    return pay(ctx, 1)


async def by_one_of_several_names(ctx: Any) -> Any:
    _, pay = reserve, charge
    return pay(ctx, 1)


async def by_a_walrus(ctx: Any) -> Any:
    return (pay := charge)(ctx, 1), pay


async def by_a_partial(ctx: Any) -> Any:
    return PARTIAL(1)


async def by_a_partial_of_its_own(ctx: Any) -> Any:
    pay = partial(charge, ctx)
    return pay(1)


async def by_a_partial_at_once(ctx: Any) -> Any:
    return functools.partial(charge, ctx)(1)


async def by_an_object(ctx: Any) -> Any:
    return SHOP.sell(ctx)


async def by_a_class(ctx: Any) -> Any:
    return Shop.sell(SHOP, ctx)


async def by_a_bound_method(ctx: Any) -> Any:
    sell = SHOP.sell
    return sell(ctx)


async def by_an_object_of_a_module(ctx: Any) -> Any:
    return MODULE.shop.sell(ctx)


async def with_a_list_of_arguments(ctx: Any) -> Any:
    return MODULE.charge(*[ctx, 1])


async def of_a_dictionary(ctx: Any) -> Any:
    return BY_NAME["charge"](ctx, 1)


async def of_a_dictionary_by_a_variable(ctx: Any) -> Any:
    name = "charge"
    return BY_NAME[name](ctx, 1)


async def of_a_list(ctx: Any) -> Any:
    return IN_A_LIST[1](ctx, 1)


async def in_a_loop(ctx: Any) -> Any:
    for step in (charge,):
        step(ctx, 1)


async def handed_to_a_helper(ctx: Any) -> Any:
    return calls_what_it_is_given(charge, 1)


def calls_what_it_is_given(function: Callable[..., Any], amount: int) -> Any:
    return function(None, amount)


async def in_an_inner_function_by_an_alias(ctx: Any) -> Any:
    pay = charge

    def inner() -> Any:
        return pay(ctx, 1)

    return inner()


def of_an_outer_function() -> Callable[..., Any]:
    def local(ctx: Any) -> int:
        return 1

    async def closure(ctx: Any) -> Any:
        return local(ctx)

    APP.activity(local)
    return closure


CALLING = [
    plain,
    without_context,
    awaited,
    in_a_plain_function,
    in_a_generator,
    in_a_later_turn,
    in_a_helper,
    in_a_lambda,
    in_a_comprehension,
    in_an_inner_function,
    of_a_module,
    by_another_name,
    with_a_decorator,
    caught,
    caught_by_all_means,
    by_a_global_alias,
    by_a_local_alias,
    by_an_alias_of_two,
    by_one_of_several_names,
    by_a_walrus,
    by_a_partial,
    by_a_partial_of_its_own,
    by_a_partial_at_once,
    by_an_object,
    by_a_class,
    by_a_bound_method,
    by_an_object_of_a_module,
    with_a_list_of_arguments,
    of_a_dictionary,
    of_a_dictionary_by_a_variable,
    of_a_list,
    in_a_loop,
    handed_to_a_helper,
    in_an_inner_function_by_an_alias,
    of_an_outer_function(),
]


def run(code: Callable[..., Any]) -> LoneExecution:
    if code.__name__ not in APP.workflows:
        APP.workflow(code)
    lone = LoneExecution(code, app=APP)
    lone.start()
    if lone.status is Status.RUNNING:
        lone.complete(1, 2)
    return lone


@pytest.mark.parametrize("code", CALLING, ids=lambda code: code.__name__)
def test_the_workflow_fails_and_is_told_what_to_do(code: Callable[..., Any]) -> None:
    before = sys.getprofile()
    lone = run(code)
    assert lone.status is Status.FAILED
    assert lone.failure.error_type == "WorkflowMisuse"
    assert "an activity was called as a function: " in lone.failure.message
    assert "Write await ctx.call_activity(" in lone.failure.message
    assert sys.getprofile() is before


# Code that calls no activity as a function.


async def asks(ctx: Any) -> Any:
    return await ctx.call_activity(charge, input=1)


async def asks_in_a_list(ctx: Any) -> Any:
    await ctx.when_all([ctx.call_activity(each) for each in (charge,)])


async def asks_by_an_alias(ctx: Any) -> Any:
    pay = charge
    return await ctx.call_activity(pay, input=1)


async def asks_by_a_dictionary(ctx: Any) -> Any:
    return await ctx.call_activity(BY_NAME["charge"], input=1)


async def asks_by_a_module(ctx: Any) -> Any:
    return await ctx.call_activity(MODULE.charge, input=1)


async def asks_in_an_inner_function(ctx: Any) -> Any:
    async def inner() -> Any:
        return await ctx.call_activity(charge, input=1)

    return await inner()


async def asks_in_a_helper(ctx: Any) -> Any:
    return await asks_for_what_it_is_given(ctx, charge)


async def asks_for_what_it_is_given(ctx: Any, function: Callable[..., Any]) -> Any:
    return await ctx.call_activity(function, input=len([function]))


async def shares_code(ctx: Any) -> Any:
    return helper()


async def never_gets_there(ctx: Any) -> Any:
    if ctx.instance_id == "another":
        return charge(ctx, 1)
    return helper()


ASKING = [
    asks,
    asks_in_a_list,
    asks_by_an_alias,
    asks_by_a_dictionary,
    asks_by_a_module,
    asks_in_an_inner_function,
    asks_in_a_helper,
    shares_code,
]


async def calls_something_else(ctx: Any) -> Any:
    # Such code is watched, and nothing is refused.
    function: Any = {True: helper, False: deep_helper}[ctx.instance_id != "another"]
    await ctx.call_activity(charge, input=1)
    return function()


@pytest.mark.parametrize("code", [*ASKING, never_gets_there, calls_something_else], ids=lambda code: code.__name__)
def test_other_code_goes_on(code: Callable[..., Any]) -> None:
    assert run(code).status is Status.COMPLETED


def test_only_the_code_that_names_such_a_call_is_run_under_a_profile_function() -> None:
    for code in ASKING:
        run(code)
        assert called_by(APP.workflows[code.__name__]) == {}
    run(never_gets_there)
    assert list(called_by(APP.workflows["never_gets_there"]).values()) == ["charge"]


@pytest.mark.anyio
async def test_a_call_from_elsewhere_is_a_plain_call() -> None:
    assert charge(None, 1) == 2
    assert await reserve(None, 1) == 2
    assert renamed(None) == "plain"
    run(plain)
    assert charge(None, 1) == 2


def test_what_was_recorded_is_repeated() -> None:
    # Given an instance of a release that did not report such calls,
    lone = LoneExecution(in_a_release_that_did_not_tell, app=_registered(in_a_release_that_did_not_tell))
    lone.execution._called = {}
    lone.start()
    assert lone.status is Status.RUNNING
    # when it is replayed, then it continues,
    lone.evict()
    lone.complete(1, 2)
    # until it makes such a call in a new turn.
    assert lone.failure.error_type == "WorkflowMisuse"


async def in_a_release_that_did_not_tell(ctx: Any) -> Any:
    charge(ctx, 1)
    await ctx.call_activity("a")
    return charge(ctx, 2)


def _registered(code: Callable[..., Any]) -> App:
    if code.__name__ not in APP.workflows:
        APP.workflow(code)
    return APP


def test_a_profile_function_of_the_users_is_put_back() -> None:
    seen: list[str] = []

    def mine(frame: Any, event: str, argument: Any) -> None:
        seen.append(event)

    sys.setprofile(mine)
    try:
        run(without_context)
        assert sys.getprofile() is mine
    finally:
        sys.setprofile(None)
    assert seen


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_an_engine_tells_it_too() -> None:
    app = App("shop")
    app.activity(charge)
    app.workflow(without_context)
    async with Engine(app, data=":memory:") as engine:
        with pytest.raises(WorkflowFailed, match="an activity was called as a function: 'charge'"):
            await engine.client.run(without_context)
