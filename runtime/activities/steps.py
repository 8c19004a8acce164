"""Steps: the piece of user code that the event loop runs now, as a stack of frames shows it.

The rule: nothing is recorded when a step begins, so that a step costs nothing. A thread that watches the event loop
finds the step in the stack of the main thread, and two looks saw the same step if they saw the same frame.

`daemon/pulse/watchdog.py` uses it. `watch_calls` is for the few workflows that seem to call activities as functions.
"""

import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from ...actors.hosting.turn_loop import TurnLoop
from ..execution.direct_calls import Activities
from ..execution.drive import Execution
from ..execution.interruption import CodeInterrupted
from .actors import ActivityActors


class StepKind(Enum):
    """The kind of user code that a step runs."""

    WORKFLOW = "workflow"
    ACTIVITY = "activity"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeStep:
    """A step of user code: from the moment in which it gets the event loop until it gives it back."""

    kind: StepKind
    name: str  # of the workflow or the activity
    instance_id: str
    frame: FrameType = field(repr=False)  # of ours, around the code; the same one for the whole step
    execution: Execution | None = field(default=None, repr=False)  # a workflow's

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name!r} of {self.instance_id}"

    def same(self, other: "CodeStep | None") -> bool:
        """Whether another look saw this step."""
        return other is not None and other.frame is self.frame

    def interrupt(self, stack: FrameType | None, limit_s: float) -> None:
        """Raise an exception in the code, if it is still in this step. To be called in the thread of the event loop.

        Args:
            stack: The innermost frame of that thread.
            limit_s: The time limit in seconds that the code has exceeded, for the error.

        Raises:
            CodeInterrupted: The code is in this step.
        """
        if any(frame is self.frame for frame in outwards(stack)):
            interrupted = CodeInterrupted(f"{self}"[:1].upper() + f"{self}"[1:], limit_s=limit_s, line=line_of(stack))
            if self.execution is not None:
                self.execution.interrupted = interrupted
            raise interrupted


def step_in(stack: FrameType | None) -> CodeStep | None:
    """Find the step in a stack; None if no user code is under way.

    Args:
        stack: Its innermost frame.
    """
    for frame in outwards(stack):
        if frame.f_code in WORKFLOW_CODE:
            execution: Any = frame.f_locals.get("self")
            if execution is not None:
                return CodeStep(
                    kind=StepKind.WORKFLOW,
                    name=execution.workflow_name,
                    instance_id=execution.instance_id,
                    frame=frame,
                    execution=execution,
                )
        elif frame.f_code in ACTIVITY_CODE:
            invoke: Any = frame.f_locals.get("invoke")
            if invoke is not None:
                return CodeStep(kind=StepKind.ACTIVITY, name=invoke.name, instance_id=invoke.instance_id, frame=frame)
        elif frame.f_code in TURN_CODE and not WORKFLOW_CODE:
            return _compiled_step(frame)
    return None


def _compiled_step(frame: FrameType) -> CodeStep | None:
    """The step in a build whose workflow code is driven by compiled code, which has no frames."""
    activation: Any = frame.f_locals.get("activation")
    execution = getattr(activation.actor, "execution", None) if activation is not None else None
    if execution is None or not execution.stepping:
        return None
    return CodeStep(
        kind=StepKind.WORKFLOW,
        name=execution.workflow_name,
        instance_id=execution.instance_id,
        frame=frame,
        execution=execution,
    )


def line_of(stack: FrameType | None) -> str:
    """Where a stack stands, as "file:line in function": the innermost frame that is the user's, if there is one."""
    chosen = stack
    for frame in outwards(stack):
        if not frame.f_code.co_filename.startswith((STANDARD_LIBRARY, PACKAGE, "<")):
            chosen = frame
            break
    if chosen is None:
        return "an unknown place"
    return f"{chosen.f_code.co_filename}:{chosen.f_lineno} in {chosen.f_code.co_name}"


def outwards(stack: FrameType | None) -> Iterator[FrameType]:
    """Yield the frames of a stack, innermost first."""
    while stack is not None:
        yield stack
        stack = stack.f_back


def watch_calls(
    run: Callable[..., Any], activities: Activities, misuse: Callable[[str], Exception]
) -> Callable[..., Any]:
    """Make a `run` under which a call of an activity raises; the `Watch` of `runtime/execution/direct_calls.py`.

    Args:
        run: Calls a function with arguments.
        misuse: Makes the error from the activity's name.
    """

    def look(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code in activities:
            raise misuse(activities[frame.f_code])

    def run_watched(*call: Any) -> Any:
        before = sys.getprofile()
        sys.setprofile(look)
        try:
            return run(*call)
        finally:
            sys.setprofile(before)

    return run_watched


def _code(*functions: object) -> frozenset[CodeType]:
    # A function that is compiled (docs/performance.md) has no code object, and no frame either.
    return frozenset(code for each in functions if isinstance(code := getattr(each, "__code__", None), CodeType))


WORKFLOW_CODE = _code(Execution._advance, Execution._start, Execution.close)
ACTIVITY_CODE = _code(ActivityActors._call)
TURN_CODE = _code(TurnLoop._take_turn)
STANDARD_LIBRARY = sysconfig.get_path("stdlib") + "/"
PACKAGE = str(Path(__file__).parent.parent) + "/"
