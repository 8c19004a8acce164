"""Calls that workflow code has made and never awaited, as lines in the log.

The rule: a call without an await is allowed, so nothing fails for it. What it led to has no reader, and that it
failed would be seen nowhere; so the end of the execution tells of both, once.

Executions call it when their code is over.
"""

import logging

from .pending import Call, Pending

logger = logging.getLogger(__name__)


def warn_of_unawaited(pending: Pending, workflow: str, instance_id: str) -> None:
    """Log the calls that failed before the code waited for them, and the first of those that are still under way."""
    for call, failure in pending.unheard:
        if not call.task.awaited:
            state = f"has failed: {failure.error_type}: {failure.message[:200]}"
            _warn(call, state, workflow, instance_id, {"error_type": failure.error_type})
    dropped = pending.dropped()
    if dropped:
        more = f" ({len(dropped) - 1} more calls likewise)" if len(dropped) > 1 else ""
        _warn(dropped[0], f"is under way, and its outcome will have no reader{more}", workflow, instance_id, {})


def _warn(call: Call, state: str, workflow: str, instance_id: str, more: dict[str, str]) -> None:
    kind = "activity" if call.what == "Activity" else "child"
    logger.warning(
        "workflow %r in instance %r has ended without having awaited %s %r (task %d), which %s. "
        "Write await in front of the call, or ctx.when_all([...]).",
        workflow,
        instance_id,
        call.what.lower(),
        call.name,
        call.first_id,
        state,
        extra={"instance_id": instance_id, "workflow": workflow, kind: call.name, **more},
    )
