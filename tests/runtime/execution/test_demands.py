"""Names and payloads of workflow code are checked and made plain before they are recorded."""

from typing import Any

import pytest

from perdure import Status, WorkflowContext, WorkflowMisuse
from perdure.runtime.authoring.limits import USUAL_LIMITS, WorkflowLimits
from perdure.runtime.errors import LimitExceeded
from perdure.runtime.execution.demands import exceed, plain_name, weigh
from perdure.runtime.execution.drive import Execution

from ...support.workflows.lone_execution import LoneExecution, started


async def idle(ctx: WorkflowContext) -> None: ...


@pytest.fixture
def execution() -> Execution:
    return LoneExecution(idle, limits=WorkflowLimits(name_bytes_max=8, payload_bytes_max=8)).execution


class Sly(str):
    """Text with methods that raise wherever they are called."""

    __slots__ = ()

    def _refuse(self, *_: Any) -> Any:
        raise KeyboardInterrupt

    __eq__ = __ne__ = __hash__ = __str__ = __repr__ = __len__ = casefold = isascii = encode = _refuse  # type: ignore[assignment]


@pytest.mark.parametrize(("name", "plain"), [("a", "a"), ("ü", "ü"), ("a\ud800", "a?"), ("n" * 8, "n" * 8)])
def test_a_name_becomes_plain_text_that_can_be_stored(execution: Execution, name: str, plain: str) -> None:
    found = plain_name(execution, "the name", name)
    assert found == plain
    assert type(found) is str


def test_a_name_with_methods_of_its_own_becomes_plain_text_and_none_of_them_is_called(execution: Execution) -> None:
    found = plain_name(execution, "the name", Sly("a"))
    assert found == "a"
    assert type(found) is str
    with pytest.raises(LimitExceeded):
        plain_name(execution, "the name", Sly("n" * 9))


@pytest.mark.parametrize("name", [5, None, b"a", ["a"], object()])
def test_anything_but_a_text_is_no_name(execution: Execution, name: Any) -> None:
    with pytest.raises(WorkflowMisuse, match=f"the name must be a str, not {type(name).__name__}"):
        plain_name(execution, "the name", name)


@pytest.mark.parametrize("name", ["n" * 9, "ü" * 5])
def test_a_name_that_is_too_long_fails_the_execution_but_not_in_replay(execution: Execution, name: str) -> None:
    with pytest.raises(LimitExceeded, match="name_bytes_max is 8"):
        plain_name(execution, "the name", name)
    assert execution.exceeded is not None
    execution.replaying = True
    assert len(plain_name(execution, "the name", name)) >= 5


def test_a_payload_that_is_too_large_fails_the_execution_but_not_in_replay(execution: Execution) -> None:
    weigh(execution, "the result", "12345678")
    with pytest.raises(LimitExceeded, match="the result of workflow 'idle' in instance 'i' has 9 bytes"):
        weigh(execution, "the result", "123456789")
    execution.replaying = True
    weigh(execution, "the result", "123456789")
    exceed(execution, "a turn", "turn_commands_max", 10**6)


def test_the_names_of_all_verbs_are_made_plain() -> None:
    async def sly(ctx: WorkflowContext) -> None:
        ctx.call_activity(Sly("a\ud800"))
        ctx.call_child_workflow(Sly("c"), instance_id=Sly("child\udcff"))
        ctx.is_patched(Sly("p"))
        await ctx.wait_for_external_event(Sly("e"))

    lone = started(sly)
    (task,), (child,) = lone.tasks, lone.children
    assert (task.name, child.name, child.instance_id) == ("a?", "c", "child?")
    assert {type(name) for name in (task.name, child.name, child.instance_id)} == {str}
    assert lone.replayed().outcome is None
    lone.raise_event("E")
    assert lone.status is Status.COMPLETED


def test_the_usual_limits_hold_where_no_others_are_given() -> None:
    assert LoneExecution(idle).execution.limits is USUAL_LIMITS
