"""A signature says how a function is called; its annotations say how payloads are read, where they can be resolved."""

from __future__ import annotations

import functools
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Optional

import pytest

from perdure import App, PayloadError
from perdure.runtime.errors import AppError

from ...support.workflows.annotated import Order, at_the_top, decorated, given

if TYPE_CHECKING:
    # As in the code of users: the name does not exist when the program runs.
    from perdure import ActivityContext, WorkflowContext


@pytest.fixture
def app() -> App:
    return App("shop")


# Signatures.


def no_context() -> None: ...


def three(ctx: Any, a: Any, b: Any) -> None: ...


def keyword_needed(ctx: Any, *, n: int) -> None: ...


def keyword_only(*, ctx: Any) -> None: ...


@pytest.mark.parametrize("register", [App.workflow, App.activity])
@pytest.mark.parametrize("function", [no_context, three, keyword_needed, keyword_only])
def test_a_function_that_takes_neither_ctx_nor_ctx_and_input_is_refused_and_shown(
    app: App, register: Any, function: Any
) -> None:
    with pytest.raises(AppError, match=rf"'{function.__name__}' must take \(ctx\) or \(ctx, input\), not \("):
        register(app, function)


def test_what_has_no_signature_is_refused_too(app: App) -> None:
    with pytest.raises(AppError):
        app.activity(dict)


def test_an_input_is_handed_over_if_the_function_takes_one(app: App) -> None:
    @app.workflow
    def without(ctx: WorkflowContext) -> None: ...

    @app.workflow
    def positional(ctx: WorkflowContext, n: int, /) -> None: ...

    @app.workflow
    def more(ctx: WorkflowContext, n: int, m: int = 2, *, k: int = 3, **rest: Any) -> None: ...

    @app.workflow
    def with_default(ctx: WorkflowContext, n: int = 5) -> None: ...

    assert given(app.workflows["without"], "7") == "nothing"
    assert given(app.workflows["positional"], "7") == 7
    assert given(app.workflows["more"], "7") == 7
    assert given(app.workflows["with_default"], "7") == 7


@pytest.mark.parametrize("nothing", [None, ""])
def test_without_an_input_a_default_counts_and_else_it_is_none(app: App, nothing: str | None) -> None:
    # Dapr's SDK calls `fn(ctx)` when there is no input.
    @app.workflow
    def with_default(ctx: WorkflowContext, n: int = 5) -> None: ...

    @app.workflow
    def without_default(ctx: WorkflowContext, n: int) -> None: ...

    assert given(app.workflows["with_default"], nothing) == "nothing"
    assert given(app.workflows["without_default"], nothing) is None


# Annotations. They are text in this whole file, and the contexts cannot be resolved.


def test_an_annotation_that_is_text_is_resolved_though_its_neighbour_cannot_be(app: App) -> None:
    @app.activity
    def reserve(ctx: ActivityContext, order: Order) -> Order:
        return order

    @app.workflow
    def generated(ctx: WorkflowContext, order: list[Order]) -> Generator[Any, Any, Order]:
        yield
        return order[0]

    assert given(app.activities["reserve"], '{"sku":"a","count":2}') == Order("a", 2)
    assert given(app.workflows["generated"], '[{"sku":"a"}]') == [Order("a")]
    assert app.output_of(reserve).decode('{"sku":"a"}') == Order("a")
    # The return type of a generator is the last of its three types.
    assert app.output_of(generated).decode('{"sku":"a"}') == Order("a")


def test_the_annotations_of_what_is_wrapped_count(app: App) -> None:
    app.activity(name="decorated")(decorated(at_the_top))
    app.activity(name="partial")(functools.partial(at_the_top))
    for name in ("decorated", "partial"):
        assert given(app.activities[name], '{"sku":"a"}') == Order("a")


def test_what_cannot_be_resolved_is_no_type(app: App) -> None:
    class Local:
        pass

    @app.activity
    def local(ctx: ActivityContext, value: Local) -> Local:
        return value

    @app.activity
    def unannotated(ctx, value):  # type: ignore[no-untyped-def]
        return value

    @app.activity
    def misspelt(ctx: ActivityContext, value: Odrer) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    for name in ("local", "unannotated", "misspelt"):
        assert given(app.activities[name], '{"sku":"a"}') == {"sku": "a"}


def test_optional_inputs_and_none_for_a_result_are_fine(app: App) -> None:
    @app.activity
    def optional(ctx: ActivityContext, order: Optional[Order], /) -> None:  # noqa: UP045  as older code has it
        return None

    assert given(app.activities["optional"], "null") is None
    assert given(app.activities["optional"], '{"sku":"a"}') == Order("a")
    assert app.output_of(optional).decode(None) is None


def test_a_payload_that_does_not_fit_is_refused_when_it_comes(app: App) -> None:
    app.activity(at_the_top)
    with pytest.raises(PayloadError, match="Order"):
        given(app.activities["at_the_top"], '{"count":"many"}')


def test_an_input_type_that_no_json_can_become_is_refused_when_it_is_registered(app: App) -> None:
    def impossible(ctx: ActivityContext, order: Order | Opaque) -> None: ...

    with pytest.raises(AppError, match=r"the parameter 'order' of 'impossible': .* cannot be read from JSON"):
        app.activity(impossible)


class Opaque:
    pass


def test_the_name_of_a_function_says_nothing_of_how_its_result_is_read(app: App) -> None:
    # An activity that is given by name only may be anywhere, even in another language.
    assert app.output_of("at_the_top").decode('{"sku":"a"}') == {"sku": "a"}
