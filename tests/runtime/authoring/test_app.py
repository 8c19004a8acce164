"""An app is a value: functions of every shape are recorded by name, and unusable ones are refused at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

from perdure import App
from perdure.runtime.authoring.app import ActivityKind
from perdure.runtime.errors import AppError

from ...support.workflows.annotated import Order, at_the_top, decorated, given
from ...support.workflows.lone_execution import LoneExecution

if TYPE_CHECKING:
    # As in the code of users: the name does not exist when the program runs.
    from perdure import ActivityContext, WorkflowContext


class Service:
    """An object whose methods are activities."""

    def __init__(self, price: int) -> None:
        self.price = price

    async def charge(self, ctx: ActivityContext, order: Order) -> int:
        return self.price * order.count

    def refund(self, ctx: ActivityContext, order: Order) -> Order:
        return order

    @staticmethod
    def static(ctx: ActivityContext, order: Order) -> int:
        return order.count

    @classmethod
    def of_class(cls, ctx: ActivityContext, order: Order) -> int:
        return order.count


class Callme:
    def __call__(self, ctx: ActivityContext, order: Order) -> int:
        return order.count


@pytest.fixture
def app() -> App:
    return App("shop")


# Names.


def test_a_function_goes_by_its_own_name_or_by_the_one_it_is_given(app: App) -> None:
    @app.workflow
    async def one(ctx: WorkflowContext) -> None: ...

    @app.workflow()
    async def two(ctx: WorkflowContext) -> None: ...

    @app.workflow(name="OrderProcessingWorkflow")
    async def three(ctx: WorkflowContext) -> None: ...

    @app.activity
    async def four(ctx: ActivityContext) -> None: ...

    @app.activity(name="a name with spaces, ü")
    async def five(ctx: ActivityContext) -> None: ...

    assert list(app.workflows) == ["one", "two", "OrderProcessingWorkflow"]
    assert list(app.activities) == ["four", "a name with spaces, ü"]
    assert app.workflows["OrderProcessingWorkflow"].function is three
    assert [app.name_of(function) for function in (one, two, three, four, five, "any text")] == [
        "one", "two", "OrderProcessingWorkflow", "four", "a name with spaces, ü", "any text",
    ]  # fmt: skip


def test_a_decorated_function_stays_the_function_it_was(app: App) -> None:
    def plain(ctx: ActivityContext, n: int) -> int:
        return n + 1

    before = dict(vars(plain))
    assert app.activity(plain) is plain
    assert vars(plain) == before
    assert plain(None, 1) == 2  # type: ignore[arg-type]


def test_one_function_may_be_in_two_apps_under_two_names() -> None:
    one, other = App("one"), App("other")
    one.activity(name="first")(at_the_top)
    other.activity(name="second")(at_the_top)
    assert (one.name_of(at_the_top), other.name_of(at_the_top)) == ("first", "second")


def test_a_function_that_is_not_registered_goes_by_its_own_name(app: App) -> None:
    # It may be registered in another process, which reports a missing name.
    assert app.name_of(at_the_top) == "at_the_top"


@pytest.mark.parametrize("register", [App.workflow, App.activity])
def test_two_functions_of_one_name_are_refused_and_the_first_stays(app: App, register: Any) -> None:
    def twin(ctx: Any) -> int:
        return 1

    def other(ctx: Any) -> int:
        return 2

    register(app, twin)
    with pytest.raises(AppError, match="with the name 'twin'; give one of them another with name="):
        register(app, name="twin")(other)
    with pytest.raises(AppError, match="with the name 'twin'"):
        register(app, twin)
    definitions: list[Any] = [*app.workflows.values(), *app.activities.values()]
    assert [definition.function for definition in definitions] == [twin]


def test_a_workflow_and_an_activity_may_have_the_same_name(app: App) -> None:
    app.workflow(name="order")(lambda ctx: None)
    app.activity(name="order")(lambda ctx: None)
    assert repr(app) == "App('shop': 1 workflows, 1 activities)"


def test_an_app_has_a_name() -> None:
    assert App().name == "perdure"
    with pytest.raises(AppError, match="needs a name"):
        App("")


# Shapes.


def test_where_an_activity_runs_follows_from_its_shape(app: App) -> None:
    async def on_the_loop(ctx: ActivityContext) -> None: ...

    def in_a_thread(ctx: ActivityContext) -> None: ...

    app.activity(on_the_loop)
    app.activity(in_a_thread)
    app.activity(executor="process")(at_the_top)
    app.activity(name="method")(Service(1).charge)
    app.activity(name="partial")(functools.partial(on_the_loop))
    kinds = {name: definition.kind for name, definition in app.activities.items()}
    assert kinds == {
        "on_the_loop": ActivityKind.LOOP,
        "in_a_thread": ActivityKind.THREAD,
        "at_the_top": ActivityKind.PROCESS,
        "method": ActivityKind.LOOP,
        "partial": ActivityKind.LOOP,
    }


SERVICE = Service(3)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (at_the_top, "at_the_top"),
        (SERVICE.charge, "charge"),
        (SERVICE.refund, "refund"),
        (Service.static, "static"),
        (Service.of_class, "of_class"),
        (decorated(at_the_top), "at_the_top"),
        (functools.partial(at_the_top), None),
        (Callme(), None),
        (lambda ctx, order: order, "<lambda>"),
    ],
    ids=["function", "async method", "method", "static", "class method", "decorated", "partial", "callable", "lambda"],
)
def test_everything_that_can_be_called_can_be_an_activity(app: App, function: Any, name: str | None) -> None:
    # A function without its own name must be given one.
    if name is None:
        with pytest.raises(AppError, match="give it one with name="):
            app.activity(function)
        assert app.activities == {}
    else:
        app.activity(function)
        assert list(app.activities) == [name]
    app.activity(name="named")(function)
    assert app.name_of(function) == "named"
    expected: Any = {"sku": "a"} if name == "<lambda>" else Order("a")
    if not isinstance(function, Callme):
        assert given(app.activities["named"], '{"sku":"a"}') == expected


def test_a_method_can_be_called_by_a_workflow(app: App) -> None:
    app.activity(name="refund")(SERVICE.refund)
    app.activity(SERVICE.charge)

    @app.workflow
    async def orders(ctx: WorkflowContext) -> str:
        order = await ctx.call_activity(SERVICE.refund, input=Order("a"))
        await ctx.call_activity(SERVICE.charge, input=order)
        return type(order).__name__

    lone = LoneExecution(orders, app=app)
    lone.start()
    lone.complete(1, {"sku": "a"})
    lone.complete(2, 3)
    assert [task.name for task in lone.tasks] == ["refund", "charge"]
    assert lone.result == "Order"


async def async_generator(ctx: WorkflowContext) -> Any:
    yield 1


def generator(ctx: ActivityContext) -> Generator[int, None, None]:
    yield 1


async def coroutine(ctx: ActivityContext) -> None: ...


@pytest.mark.parametrize(
    ("register", "says"),
    [
        (
            lambda app: app.workflow(async_generator),
            "workflow 'async_generator' is an async generator; write `async def`",
        ),
        (lambda app: app.activity(async_generator), "activity 'async_generator' is a generator"),
        (lambda app: app.activity(generator), "activity 'generator' is a generator; an activity returns its result"),
        (lambda app: app.activity(executor="process")(coroutine), "only `def` can have a process"),
        (lambda app: app.activity(executor="gpu")(at_the_top), "executor must be 'thread' or 'process', not 'gpu'"),
        (lambda app: app.activity(name="l", executor="process")(lambda ctx: 1), "another process could not find it"),
        (lambda app: app.activity(name="m", executor="process")(SERVICE.refund), "another process could not find it"),
        (
            lambda app: app.activity(name="p", executor="process")(functools.partial(at_the_top)),
            "another process could not find it",
        ),
    ],
)
def test_a_shape_that_cannot_work_is_refused_with_its_name(app: App, register: Callable[[App], Any], says: str) -> None:
    with pytest.raises(AppError, match=says.replace("(", r"\(").replace(")", r"\)")):
        register(app)
    assert not app.workflows
    assert not app.activities
