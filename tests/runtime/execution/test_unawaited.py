"""A call that was never awaited is reported when the code ends: that it is under way, or that it has failed."""

import contextlib
from collections.abc import Callable, Generator
from typing import Any

import pytest

from perdure import Status, TaskFailedError

from ...support.workflows.lone_execution import started


def forgetful(caplog: pytest.LogCaptureFixture, code: Callable[..., Any], **events: Any) -> list[dict[str, Any]]:
    """The lines about calls that were not awaited, after the activity of task 1 has its outcome, and after replays."""
    lone = started(code)
    if "failure" in events:
        lone.fail(1, "CardDeclined", events["failure"])
    if "event" in events:
        lone.raise_event(events["event"])
    if lone.status is Status.COMPLETED:
        lone.replayed()
    return [vars(record) for record in caplog.records if "without having awaited" in record.getMessage()]


async def drops(ctx: Any) -> str:
    ctx.call_activity("charge")
    return "done"


async def drops_a_failure(ctx: Any) -> str:
    ctx.call_activity("charge")
    await ctx.wait_for_external_event("go")
    return "done"


async def drops_many(ctx: Any) -> str:
    for _ in range(5):
        ctx.call_child_workflow("ship")
    return "done"


def drops_in_a_generator(ctx: Any) -> Generator[Any, Any, str]:
    ctx.call_activity("charge")
    yield ctx.wait_for_external_event("go")
    return "done"


async def drops_and_continues(ctx: Any) -> None:
    ctx.call_activity("charge")
    ctx.continue_as_new(1)


@pytest.mark.parametrize(
    ("code", "events", "said", "fields"),
    [
        (drops, {}, "is under way", {"activity": "charge"}),
        (drops_many, {}, "(4 more calls likewise)", {"child": "ship"}),
        (drops_and_continues, {}, "is under way", {"activity": "charge"}),
        (
            drops_a_failure,
            {"failure": "no money", "event": "go"},
            "has failed: CardDeclined: no money",
            {"activity": "charge", "error_type": "CardDeclined"},
        ),
        (
            drops_in_a_generator,
            {"failure": "no money", "event": "go"},
            "has failed: CardDeclined: no money",
            {"activity": "charge", "error_type": "CardDeclined"},
        ),
    ],
)
def test_a_call_that_was_never_awaited_is_logged_once_with_its_failure(
    code: Callable[..., Any],
    events: dict[str, str],
    said: str,
    fields: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    (line,) = forgetful(caplog, code, **events)
    assert said in line["message"]
    assert {"instance_id": "i", "workflow": code.__name__, **fields}.items() <= line.items()


async def awaits(ctx: Any) -> None:
    with contextlib.suppress(TaskFailedError):
        await ctx.call_activity("charge")


async def awaits_later(ctx: Any) -> None:
    charging = ctx.call_activity("charge")
    await ctx.wait_for_external_event("go")
    with contextlib.suppress(TaskFailedError):
        await charging


async def takes_the_first(ctx: Any) -> None:
    await ctx.when_any([ctx.call_activity("charge"), ctx.wait_for_external_event("go")])


async def looks(ctx: Any) -> Any:
    charging = ctx.call_activity("charge")
    await ctx.wait_for_external_event("go")
    return str(charging.get_exception())


async def fails_first(ctx: Any) -> None:
    ctx.call_activity("charge")
    raise ValueError("before it awaited")


@pytest.mark.parametrize(
    ("code", "events"),
    [
        (awaits, {"failure": "no"}),
        (awaits_later, {"failure": "no", "event": "go"}),
        (takes_the_first, {"event": "go"}),
        (looks, {"failure": "no", "event": "go"}),
        (fails_first, {}),
    ],
)
def test_a_call_that_was_awaited_or_looked_at_is_not(
    code: Callable[..., Any], events: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert forgetful(caplog, code, **events) == []
