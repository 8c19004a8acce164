"""Requests as spans: a call from outside, and the start of an instance in it.

The rule: a request fails with the same error as without a span. A request that is not sampled makes no span, and passes
the caller's trace on.

The facade and the doors use them.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from msgspec.structs import replace

from ...actors.text import described
from ..history.event import Trace
from .observer import Tracing
from .spans import EndedSpan, SpanKind, start_span
from .trace_context import context_of


@contextmanager
def traced_call(tracing: Tracing | None, method: str, trace: Trace | None) -> Iterator[Trace | None]:
    """Make the context of a call from outside, which has a span of its own.

    Args:
        tracing: Takes the span; None: no span is made.
        method: The call's name, as on the wire.
        trace: The trace of the caller, if it has one.

    Yields:
        The trace in which the call is carried out.
    """
    if tracing is None:
        yield trace
        return
    began_us = tracing.now_us()
    context, parent = tracing.begin(context_of(trace), method)
    error: str | None = None
    try:
        yield context.trace
    except BaseException as raised:
        error = described(raised)
        raise
    finally:
        if context.sampled:
            above = parent.span_id if parent is not None else None
            tracing.span_ended(
                EndedSpan(SpanKind.CALL, method, context, above, began_us, tracing.now_us(), error=error)
            )


class Startable(Protocol):
    """A request to start an instance of a workflow; `Start` of `runtime/instance/message.py` fulfils it."""

    @property
    def name(self) -> str:
        """The name of the workflow."""
        ...

    @property
    def trace(self) -> Trace | None:
        """The trace that the start is part of, if there is one."""
        ...


S = TypeVar("S", bound=Startable)


async def traced_start(
    tracing: Tracing, start: S, instance_id: str | None, send: Callable[[str | None, S], Awaitable[str]]
) -> str:
    """Send a request to start an instance, which has a span of its own, and return the instance's id.

    Args:
        tracing: Takes the span.
        instance_id: The id that the caller has chosen.
        send: Sends the request.
    """
    began_us = tracing.now_us()
    context, parent = tracing.begin(context_of(start.trace), f"{SpanKind.CREATE}||{start.name}")
    if not context.sampled:
        return await send(instance_id, start)  # with the caller's trace, so that others decide as the caller has
    started, error = instance_id or "", None
    try:
        started = await send(instance_id, replace(start, trace=context.trace))  # type: ignore[type-var]  # a struct
    except BaseException as raised:
        error = described(raised)
        raise
    finally:
        span = start_span(
            start.name, started, context, parent, began_us=began_us, ended_us=tracing.now_us(), error=error
        )
        tracing.span_ended(span)
    return started
