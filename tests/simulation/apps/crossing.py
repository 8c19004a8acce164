"""Programs of two apps that call each other.

Both apps carry out programs, and their code is the same but for its name. A step that crosses calls the other app:

    ["there", n]           an activity of the other app -> n + 1
    ["tries", n, k]        one that fails k times       -> n
    ["crew", n]            n activities there at once   -> their results
    ["hasty", n, s]        one or a timer, whichever is first; the activity goes on -> n + 1 or "late"
    ["abroad", program, k] a child of the other app, whose steps may cross back: 0 as it comes, 1 named, 3 one that
                           fails at its end, 4 both -> its result, or "failed"
"""

from datetime import timedelta
from typing import Any

from perdure import RetryPolicy, TaskFailedError, WorkflowContext, when_all, when_any
from perdure.testing.simulation.choices import Choices

from ..programs import FAILING, LATE, NAME, NAMED, Program, Steps, a_program

FIRST, SECOND = NAME, "abroad"
POLICY = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=4)
STYLES = (0, 1, 3)
STYLE_WITH_NAME = {0: 1, 3: 4}
# The steps of a child of the other app: a step of its own, one that crosses back, a further generation, a grandchild.
ERRANDS: tuple[Program, ...] = (
    [["work", 1]],
    [["there", 2]],
    [["rounds", 0.01, 2]],
    [["abroad", [["work", 3]], 0]],
    [["nap", 0.5], ["there", 1]],
)
CROSSINGS_MAX = 3


def steps_to(other: str) -> Steps:
    """The steps that cross to another app, by its id."""

    async def do_there(ctx: WorkflowContext, n: int) -> Any:
        return await ctx.call_activity("work", input=n, app_id=other)

    async def do_tries(ctx: WorkflowContext, n: int, failures: int) -> Any:
        return await ctx.call_activity("flaky", input=[n, failures], retry_policy=POLICY, app_id=other)

    async def do_crew(ctx: WorkflowContext, width: int) -> list[int]:
        return await when_all([ctx.call_activity("work", input=n, app_id=other) for n in range(width)])

    async def do_hasty(ctx: WorkflowContext, n: int, seconds: float) -> Any:
        working = ctx.call_activity("work", input=n, app_id=other)
        first = await when_any([working, ctx.create_timer(seconds)])
        return working.get_result() if first is working else LATE

    async def do_abroad(ctx: WorkflowContext, program: Program, style: int) -> Any:
        id_ = f"{ctx.instance_id}-{ctx.uuid4()}" if style in NAMED else None
        given = {"program": program, "so_far": [], "fails": style in FAILING}
        try:
            return await ctx.call_child_workflow("carry_out", input=given, instance_id=id_, app_id=other)
        except TaskFailedError:
            return "failed"

    return {"there": do_there, "tries": do_tries, "crew": do_crew, "hasty": do_hasty, "abroad": do_abroad}


def a_crossing_program(choices: Choices, *, named: bool = False) -> Program:
    """Choose a program with steps that cross; the calm program is an activity of the other app, and one of its own.

    Args:
        named: All children in the other app have names: else two instances of one id, in two apps, may both have a
            child of one id there.
    """
    draw = choices.draw
    program = a_program(choices)
    last, *rest = program[-1]
    # They are never behind the last step, which may be a continue-as-new.
    crossed = rest[0] if last == "again" and draw("crossing.later", 2) else program
    for _ in range(1 + draw("crossing.steps", CROSSINGS_MAX)):
        crossed.insert(draw("crossing.place", len(crossed)), _a_crossing(choices, named=named))
    return program


def _a_crossing(choices: Choices, *, named: bool) -> list[Any]:
    number = choices.draw("crossing.number", 4)
    match choices.draw("crossing.kind", 6):
        case 1:
            return ["tries", number, number]
        case 2:
            return ["crew", number + 2]
        case 3:
            return ["hasty", number, (0.000_5, 0.01, 1, 20)[number]]
        case 4 | 5:
            errand = ERRANDS[choices.draw("crossing.errand", len(ERRANDS))]
            style = STYLES[number % len(STYLES)]
            return ["abroad", errand, STYLE_WITH_NAME.get(style, style) if named else style]
        case _:
            return ["there", number]
