"""Random workflows, and their expected results.

A program is a list of steps; one workflow carries out any program, and `expected` says its result without an engine.
The result of a step is a function of the program alone, or one of a few values that its timing decides.

    ["work", n]        an activity            -> n + 1
    ["flaky", n, k]    one that fails k times -> n
    ["bad", n]         one that fails always, in one of several ways -> "bad"
    ["odd", n]         one whose result is NaN -> "nan"
    ["thread", n]      one that is a plain function, in a thread -> n + 1
    ["apart", n]       one in a process of its own -> n + 1
    ["nap", s]         a timer                -> nothing
    ["event", name]    an event               -> the event's payload
    ["race", name, s]  an event or a timeout  -> the payload or "late"
    ["either", n, s]   an activity or a timer, whichever is first -> n + 1 or "late"
    ["fan", n]         n activities at once   -> their results
    ["chance", n]      ids and numbers of the context, seen by an activity -> "same"
    ["status", n]      a custom status        -> nothing
    ["patched", n]     an activity, in newer code two of them -> n + 1
    ["child", program, k]  one: 0 as it comes, 1 named, 2 in the style of a generator, 3 one that fails at its end
                              -> its result, or "failed"
    ["outrun", program, s]  a child or a timer, whichever is first; the child goes on -> "ended" or "late"
    ["rounds", s, n]   n generations, each with a timer and an activity, as a schedule has them; always the last step
                       -> n + 1 down to 2
    ["again", program] continue as new        -> all so far, and the program's results behind it; always the last step

Each sending of an event has a payload of its own, as "for e1/7"; a program's result has what is before the stroke.
"""

import math
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeAlias

import anyio

from perdure import (
    ActivityContext,
    App,
    NonRetryableError,
    RetryPolicy,
    TaskFailedError,
    WorkflowContext,
    when_all,
    when_any,
)
from perdure.testing.simulation.base import BaseWorld
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.machines.threads import current

Program: TypeAlias = list[list[Any]]

LATE, ENDED = "late", "ended"
# Styles of children that fail at their end, and of those that have a name.
FAILING, NAMED = (3, 4), (1, 4)
# Results that are the same whatever the step's number is.
FIXED = {"bad": "bad", "odd": "nan", "chance": "same"}
# How long an activity takes: some of these, so that results come while commits are under way, and sometimes longer.
TAKES_S = (0.0, 0.000_2, 0.000_4, 0.000_6, 0.001, 0.001_4, 0.005, 0.03)
WORKS_S = (0.0, 0.05, 2.0)
# The last of these need what a child cannot have: events by its id, and a generation of its own.
KINDS = ("work", "flaky", "nap", "fan", "bad", "either", "chance", "status", "patched", "odd", "thread", "apart")
KINDS_OF_A_PARENT = (*KINDS, "event", "event", "race", "race", "child", "child", "again", "rounds")


def a_program(choices: Choices, *, depth: int = 0) -> Program:
    """Choose a program; the calm one is a single activity."""
    made: Program = [["work", 1]]
    kinds = KINDS_OF_A_PARENT if depth == 0 else KINDS
    for _ in range(choices.draw("program.steps", 5)):
        kind, number = kinds[choices.draw("program.kind", len(kinds))], choices.draw("program.number", 4)
        if kind == "again":
            made.append(["again", a_program(choices, depth=depth + 1)])
            break
        if kind == "rounds":
            made.append([kind, (0.01, 0.5, 5, 100)[number], 1 + number])
            break
        made.append(_a_step(choices, kind, number, depth))
    return made


def _a_step(choices: Choices, kind: str, number: int, depth: int) -> list[Any]:
    match kind:
        case "flaky":
            return [kind, number, number]
        case "nap":
            return [kind, (0.01, 0.5, 5, 100)[number]]
        case "fan":
            return [kind, number + 3]
        case "either":
            return [kind, number, (0.000_5, 0.01, 1, 20)[number]]
        case "event":
            return [kind, f"e{number}"]
        case "race":
            return [kind, f"r{number}", (0.01, 0.2, 1, 20)[number]]
        case "child":
            return [kind, a_program(choices, depth=depth + 1), number]
        case _:
            return [kind, number]


def expected(program: Program) -> list[Any]:
    """The result of a program; for a step of several outcomes the set of them."""
    results: list[Any] = []
    for kind, *rest in program:
        match kind:
            case "work" | "patched" | "thread" | "apart" | "poison" | "venom" | "newer" | "newborn" | "there":
                results.append(rest[0] + 1)
            case "flaky" | "tries":
                results.append(rest[0])
            case "bad" | "odd" | "chance":
                results.append(FIXED[kind])
            case "event":
                results.append(f"for {rest[0]}")
            case "race":
                results.append({f"for {rest[0]}", LATE})
            case "either" | "hasty":
                results.append({rest[0] + 1, LATE})
            case "outrun":
                results.append({ENDED, LATE})
            case "fan" | "crew":
                results.append([n + 1 for n in range(rest[0])])
            case "child" | "abroad":
                results.append("failed" if rest[1] in FAILING else expected(rest[0]))
            case "rounds":
                results += [n + 1 for n in range(rest[1], 0, -1)]
            case "again":
                results += expected(rest[0])
    return results


def agrees(result: Any, wanted: Any) -> bool:
    """Whether a result is as expected."""
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


def draws_lots(program: Program) -> bool:
    """Whether a program has a step of chance, in whatever generation."""
    return any(kind == "chance" or (kind == "again" and draws_lots(rest[0])) for kind, *rest in program)


def names_children(program: Program) -> bool:
    """Whether a program names a child by chance, in whatever generation."""
    return any(
        (kind in ("child", "abroad") and rest[1] in NAMED) or (kind == "again" and names_children(rest[0]))
        for kind, *rest in program
    )


class Unspeakable(Exception):
    """An error that cannot be looked at."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        raise RuntimeError("no text either")


INTERRUPT = "of an activity"
ERRORS: tuple[Callable[[], BaseException], ...] = (
    lambda: ValueError("never"),
    Unspeakable,
    lambda: KeyboardInterrupt(INTERRUPT),
    lambda: NonRetryableError("not again"),
)

NAME = "programs"  # of the app, where there is one
Steps: TypeAlias = Mapping[str, Callable[..., Coroutine[Any, Any, Any]]]
NO_MORE: Steps = {}


class Stage:
    """Where the code of shared apps runs: the world that happens now. One happens at a time, so an app has one
    stage, and is made once for all worlds: that would take a fifth of a small one.
    """

    _world: BaseWorld
    _performing: Callable[[ActivityContext], None]
    _strikes: Callable[[str], bool]

    @contextmanager
    def taken(
        self, world: BaseWorld, performing: Callable[[ActivityContext], None], strikes: Callable[[str], bool]
    ) -> Iterator[None]:
        """Have a world on the stage until the block ends."""
        self._world, self._performing, self._strikes = world, performing, strikes
        try:
            yield
        finally:
            del self._world, self._performing, self._strikes  # they are large

    def world(self) -> BaseWorld:
        """The world."""
        return self._world

    def performing(self, ctx: ActivityContext) -> None:
        """Report an activity that begins to its witness."""
        self._performing(ctx)

    def strikes(self, id_: str) -> bool:
        """End the host whose code runs if an instance is poisoned; return whether it has ended."""
        return self._strikes(id_)


STAGE = Stage()


class Activities:
    """The activities of programs.

    Args:
        world_of: Gives the world; called when an activity runs.
        performing: Called with each activity that begins.
    """

    def __init__(
        self, app: App, world_of: Callable[[], BaseWorld], performing: Callable[[ActivityContext], None]
    ) -> None:
        self._world_of = world_of
        self._performing = performing
        for activity in (self.work, self.flaky, self.bad, self.odd, self.echo):
            app.activity(name=activity.__name__)(activity)
        app.activity(self.thread)
        app.activity(name="apart", executor="process")(apart)

    async def _body(self, ctx: ActivityContext) -> None:
        world = self._world_of()
        self._performing(ctx)
        await world.mortal("kill.begun", "an activity has begun")
        takes_s = TAKES_S[world.choices.draw("activity.takes", len(TAKES_S))]
        await anyio.sleep(takes_s + WORKS_S[world.choices.fault("activity.slow", len(WORKS_S))])
        await world.mortal("kill.effect", "an activity has had its effect, and the host has not heard of it")

    async def work(self, ctx: ActivityContext, n: int) -> int:
        await self._body(ctx)
        return n + 1

    def thread(self, ctx: ActivityContext, n: int) -> int:
        world, here = self._world_of(), current()
        assert here is not None
        self._performing(ctx)
        if world.choices.fault("kill.begun"):
            here.do(world.kill, "a plain function has begun")
            here.never()
        takes_s = TAKES_S[world.choices.draw("activity.takes", len(TAKES_S))]
        here.pause(takes_s + WORKS_S[world.choices.fault("activity.slow", len(WORKS_S))])
        if world.choices.fault("kill.effect"):
            here.do(world.kill, "a plain function has had its effect, and the host has not heard of it")
            here.never()
        return n + 1

    async def flaky(self, ctx: ActivityContext, given: list[int]) -> int:
        await self._body(ctx)
        value, failures = given
        assert ctx.attempt is not None
        if ctx.attempt <= failures:
            raise ValueError("not yet")
        return value

    async def bad(self, ctx: ActivityContext, n: int) -> int:
        await self._body(ctx)
        raise ERRORS[n]()

    async def odd(self, ctx: ActivityContext, n: int) -> float:
        await self._body(ctx)
        return math.nan

    async def echo(self, ctx: ActivityContext, given: Any) -> Any:
        await self._body(ctx)
        return given


def apart(ctx: ActivityContext, n: int) -> int:
    """An activity in a process of its own, which finds it by its name and has no part in the world."""
    here = current()
    assert here is not None
    here.pause(0.01 * n)
    return n + 1


def app_of(
    world_of: Callable[[], BaseWorld],
    performing: Callable[[ActivityContext], None],
    *,
    name: str = NAME,
    newer: bool = False,
    patched: bool = False,
    more: Steps = NO_MORE,
) -> App:
    """The app that carries out programs.

    Args:
        world_of, performing: As for `Activities`.
        name: Of the app.
        newer: The next version of its code: more tries and other pauses between them, and other timeouts. It fits
            what the older has begun, and the other way round.
        patched: The code has a change behind `is_patched`. Instances that have begun with it need it.
        more: Further steps, by kind.
    """
    app = App(name)
    Activities(app, world_of, performing)
    policy = RetryPolicy(
        first_retry_interval=timedelta(seconds=2 if newer else 1), max_number_of_attempts=6 if newer else 4
    )
    twice = RetryPolicy(first_retry_interval=timedelta(seconds=0.5), max_number_of_attempts=3 if newer else 2)
    slower = 2 if newer else 1

    async def do_work(ctx: WorkflowContext, n: int) -> Any:
        return await ctx.call_activity("work", input=n)

    async def do_flaky(ctx: WorkflowContext, n: int, failures: int) -> Any:
        return await ctx.call_activity("flaky", input=[n, failures], retry_policy=policy)

    async def do_bad(ctx: WorkflowContext, n: int) -> str:
        try:
            await ctx.call_activity("bad", input=n, retry_policy=twice)
        except TaskFailedError:
            return "bad"
        return "it did not fail"

    async def do_odd(ctx: WorkflowContext, n: int) -> str:
        found = await ctx.call_activity("odd", input=n)
        return "nan" if isinstance(found, float) and math.isnan(found) else repr(found)

    async def do_thread(ctx: WorkflowContext, n: int) -> Any:
        return await ctx.call_activity("thread", input=n)

    async def do_apart(ctx: WorkflowContext, n: int) -> Any:
        return await ctx.call_activity("apart", input=n)

    async def do_event(ctx: WorkflowContext, name: str) -> Any:
        return _before_the_stroke(await ctx.wait_for_external_event(name))

    async def do_race(ctx: WorkflowContext, name: str, seconds: float) -> Any:
        try:
            return _before_the_stroke(await ctx.wait_for_external_event(name.upper(), timeout=seconds * slower))
        except TimeoutError:
            return LATE

    async def do_either(ctx: WorkflowContext, n: int, seconds: float) -> Any:
        working = ctx.call_activity("work", input=n)
        first = await when_any([working, ctx.create_timer(seconds)])
        return working.get_result() if first is working else LATE

    async def do_fan(ctx: WorkflowContext, width: int) -> list[int]:
        return await when_all([ctx.call_activity("work", input=n) for n in range(width)])

    async def do_chance(ctx: WorkflowContext, n: int) -> str:
        given = [str(ctx.uuid4()), ctx.random().random(), ctx.now().isoformat(), n]
        return "same" if await ctx.call_activity("echo", input=given) == given else "other"

    async def do_patched(ctx: WorkflowContext, n: int) -> Any:
        if patched and ctx.is_patched("with an echo"):
            n = await ctx.call_activity("echo", input=n)
        return await ctx.call_activity("work", input=n)

    async def do_child(ctx: WorkflowContext, program: Program, style: int) -> Any:
        id_ = f"{ctx.instance_id}-{ctx.uuid4()}" if style == 1 else None
        given = {"program": program, "so_far": [], "fails": style == 3}
        workflow = "in_daprs_style" if style == 2 else "carry_out"
        try:
            return await ctx.call_child_workflow(workflow, input=given, instance_id=id_)
        except TaskFailedError:
            return "failed"

    async def do_outrun(ctx: WorkflowContext, program: Program, seconds: float) -> str:
        child = ctx.call_child_workflow("carry_out", input={"program": program, "so_far": []})
        return ENDED if await when_any([child, ctx.create_timer(seconds)]) is child else LATE

    steps: Steps = {
        "work": do_work,
        "flaky": do_flaky,
        "bad": do_bad,
        "odd": do_odd,
        "thread": do_thread,
        "apart": do_apart,
        "event": do_event,
        "race": do_race,
        "either": do_either,
        "fan": do_fan,
        "chance": do_chance,
        "patched": do_patched,
        "child": do_child,
        "outrun": do_outrun,
        **more,
    }

    @app.workflow
    async def carry_out(ctx: WorkflowContext, given: dict[str, Any]) -> Any:
        results = list(given["so_far"])
        for kind, *rest in given["program"]:
            if kind == "nap":
                await ctx.create_timer(rest[0])
            elif kind == "status":
                ctx.set_custom_status(f"step {rest[0]}")
            elif kind == "rounds":
                await ctx.create_timer(rest[0])
                results.append(await do_work(ctx, rest[1]))
                if rest[1] > 1:
                    following = [[kind, rest[0], rest[1] - 1]]
                    ctx.continue_as_new({**given, "program": following, "so_far": results}, save_events=True)
                    return None
            elif kind == "again":
                ctx.continue_as_new({**given, "program": rest[0], "so_far": results}, save_events=True)
                return None
            else:
                results.append(await steps[kind](ctx, *rest))
        if given.get("fails"):
            raise ValueError("as it was told to")
        return results

    _add_generator(app, steps)
    return app


def _add_generator(app: App, steps: Steps) -> None:
    """The workflow in the style of Dapr's SDK for Python; a child does all that is more than a step."""

    @app.workflow
    def in_daprs_style(ctx: WorkflowContext, given: dict[str, Any]) -> Generator[Any, Any, Any]:
        results: list[Any] = []
        for kind, *rest in given["program"]:
            if kind == "nap":
                yield ctx.create_timer(rest[0])
            elif kind == "status":
                ctx.set_custom_status(f"step {rest[0]}")
            elif kind == "work":
                results.append((yield ctx.call_activity("work", input=rest[0])))
            elif kind == "fan":
                results.append((yield ctx.when_all([ctx.call_activity("work", input=n) for n in range(rest[0])])))
            else:
                alone = {"program": [[kind, *rest]], "so_far": []}
                results += yield ctx.call_child_workflow("carry_out", input=alone)
        return results


def _before_the_stroke(payload: Any) -> Any:
    return payload.partition("/")[0] if isinstance(payload, str) else payload
