"""Random workflows, and what they must come to.

A program is a list of steps; one workflow carries out any program, and `expected` says its result without an engine.
What a step gives is a function of the program alone, or one of a few values that its timing decides.

    ["work", n]        an activity            -> n + 1
    ["flaky", n, k]    one that fails k times -> n
    ["bad", n]         one that fails always  -> "bad"
    ["nap", s]         a timer                -> nothing
    ["event", name]    an event               -> the event's payload
    ["race", name, s]  an event or a timeout  -> the payload or "late"
    ["fan", n]         n activities at once   -> their results
    ["child", program, k]  one, named if k is 1 -> its result
    ["again", program] continue as new        -> all so far, and the program's results behind it; always the last step
"""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeAlias

import anyio

from perdure import ActivityContext, App, RetryPolicy, TaskFailedError, WorkflowContext, when_all
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.world import SimWorld

Program: TypeAlias = list[list[Any]]

LATE = "late"
POLICY = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=4)
# How long an activity takes: some of these, so that results come while commits are under way, and sometimes longer.
BRIEF_S = 0.000_2
WORKS_S = (0.0, 0.05, 2.0)


def a_program(choices: Choices, *, depth: int = 0) -> Program:
    """Choose a program; the calm one is a single activity."""
    made: Program = [["work", 1]]
    for _ in range(choices.draw("program.steps", 5)):
        kind = choices.draw("program.kind", 8 if depth == 0 else 6)
        number = choices.draw("program.number", 4)
        step: list[Any]
        if kind == 0:
            step = ["work", number]
        elif kind == 1:
            step = ["flaky", number, number]
        elif kind == 2:
            step = ["nap", (0.01, 0.5, 5, 100)[number]]
        elif kind == 3:
            step = ["event", f"e{number}"] if depth == 0 else ["bad", number]
        elif kind == 4:
            step = ["race", f"r{number}", (0.01, 0.2, 1, 20)[number]] if depth == 0 else ["nap", 0.1]
        elif kind == 5:
            step = ["fan", number + 3]
        elif kind == 6:
            step = ["child", a_program(choices, depth=depth + 1), number % 2]
        else:
            made.append(["again", a_program(choices, depth=depth + 1)])
            break
        made.append(step)
    return made


def expected(program: Program) -> list[Any]:
    """The result of a program; for a race the set of what it may give."""
    results: list[Any] = []
    for kind, *rest in program:
        match kind:
            case "work":
                results.append(rest[0] + 1)
            case "flaky":
                results.append(rest[0])
            case "bad":
                results.append("bad")
            case "event":
                results.append(f"for {rest[0]}")
            case "race":
                results.append({f"for {rest[0]}", LATE})
            case "fan":
                results.append([n + 1 for n in range(rest[0])])
            case "child":
                results.append(expected(rest[0]))
            case "again":
                results += expected(rest[0])
    return results


def agrees(result: Any, wanted: Any) -> bool:
    """Whether a result is what was expected."""
    if isinstance(wanted, set):
        return result in wanted
    if isinstance(wanted, list):
        return isinstance(result, list) and len(result) == len(wanted) and all(map(agrees, result, wanted))
    return bool(result == wanted)


def awaited(program: Program) -> list[str]:
    """The names of the events that a program waits for, in order."""
    names: list[str] = []
    for kind, *rest in program:
        if kind in ("event", "race"):
            names.append(rest[0])
        elif kind == "again":
            names += awaited(rest[0])
    return names


def app_of(world_of: Callable[[], SimWorld], performing: Callable[[ActivityContext], None]) -> App:
    """The app that carries out programs.

    Args:
        world_of: Gives the world; called when an activity runs.
        performing: Told of each activity that begins.
    """
    app = App("programs")

    async def body(ctx: ActivityContext) -> None:
        world = world_of()
        performing(ctx)
        await world.mortal("kill.begun", "an activity has begun")
        takes_s = world.choices.draw("activity.takes", 8) * BRIEF_S
        await anyio.sleep(takes_s + WORKS_S[world.choices.fault("activity.slow", len(WORKS_S))])
        await world.mortal("kill.effect", "an activity has had its effect, and the host has not heard of it")

    @app.activity
    async def work(ctx: ActivityContext, n: int) -> int:
        await body(ctx)
        return n + 1

    @app.activity
    async def flaky(ctx: ActivityContext, given: list[int]) -> int:
        await body(ctx)
        value, failures = given
        assert ctx.attempt is not None
        if ctx.attempt <= failures:
            raise ValueError("not yet")
        return value

    @app.activity
    async def bad(ctx: ActivityContext, n: int) -> int:
        await body(ctx)
        raise ValueError(f"never {n}")

    Step: TypeAlias = Callable[..., Coroutine[Any, Any, Any]]

    async def do_work(ctx: WorkflowContext, n: int) -> int:
        return await ctx.call_activity(work, input=n)

    async def do_flaky(ctx: WorkflowContext, n: int, failures: int) -> int:
        return await ctx.call_activity(flaky, input=[n, failures], retry_policy=POLICY)

    async def do_bad(ctx: WorkflowContext, n: int) -> str:
        try:
            await ctx.call_activity(bad, input=n)
        except TaskFailedError:
            return "bad"
        return "it did not fail"

    async def do_event(ctx: WorkflowContext, name: str) -> Any:
        return await ctx.wait_for_external_event(name)

    async def do_race(ctx: WorkflowContext, name: str, seconds: float) -> Any:
        try:
            return await ctx.wait_for_external_event(name, timeout=seconds)
        except TimeoutError:
            return LATE

    async def do_fan(ctx: WorkflowContext, width: int) -> list[int]:
        return await when_all([ctx.call_activity(work, input=n) for n in range(width)])

    async def do_child(ctx: WorkflowContext, program: Program, named: int) -> Any:
        id_ = f"{ctx.instance_id}-{ctx.uuid4()}" if named else None
        return await ctx.call_child_workflow(carry_out, input={"program": program, "so_far": []}, instance_id=id_)

    steps: dict[str, Step] = {
        "work": do_work,
        "flaky": do_flaky,
        "bad": do_bad,
        "event": do_event,
        "race": do_race,
        "fan": do_fan,
        "child": do_child,
    }

    @app.workflow
    async def carry_out(ctx: WorkflowContext, given: dict[str, Any]) -> Any:
        results = list(given["so_far"])
        for kind, *rest in given["program"]:
            if kind == "nap":
                await ctx.create_timer(rest[0])
            elif kind == "again":
                ctx.continue_as_new({"program": rest[0], "so_far": results}, save_events=True)
                return None
            else:
                results.append(await steps[kind](ctx, *rest))
        return results

    return app
