"""Random workflow programs by hypothesis, and one workflow function that runs any of them.

A program is a value, a small syntax tree. Its actions follow from the program and from the context alone; its result is
a record of all that it saw, so two different runs have different results.
"""

from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from perdure import RetryPolicy, Task, TaskFailedError, WorkflowContext

# Things to wait for.


@dataclass(frozen=True)
class Activity:
    name: str
    attempts: int  # 0: no policy


@dataclass(frozen=True)
class Child:
    instance_id: str | None
    attempts: int


@dataclass(frozen=True)
class Timer:
    seconds: int


@dataclass(frozen=True)
class Event:
    name: str
    timeout_s: int | None


@dataclass(frozen=True)
class All:
    members: tuple["Wish", ...]


@dataclass(frozen=True)
class First:
    members: tuple["Wish", ...]


Wish = Activity | Child | Timer | Event | All | First

# The parts of a program.


@dataclass(frozen=True)
class Await:
    wish: Wish


@dataclass(frozen=True)
class Begin:
    """Request something and wait for it later, or never."""

    wish: Wish


@dataclass(frozen=True)
class Collect:
    """Wait for something begun before, perhaps again."""

    which: int


@dataclass(frozen=True)
class Show:
    status: str | None


@dataclass(frozen=True)
class Dice:
    """Take a value of the context that looks random."""


@dataclass(frozen=True)
class Break:
    """Raise an error that is not caught, unless a `Try` is around it."""


@dataclass(frozen=True)
class Again:
    save_events: bool


@dataclass(frozen=True)
class Try:
    body: "Block"
    handler: "Block"


@dataclass(frozen=True)
class Patch:
    name: str
    new: "Block"
    old: "Block"


Statement = Await | Begin | Collect | Show | Dice | Break | Again | Try | Patch
Block = tuple[Statement, ...]
Run = Callable[[WorkflowContext], Any]


def workflow_of(program: Block, *, by_yield: bool) -> Run:
    """The workflow that runs a program, as a coroutine or as a generator."""

    async def coroutine(ctx: WorkflowContext) -> list[str]:
        return await Interpreter(ctx).run(program)

    def generator(ctx: WorkflowContext) -> Generator[Any, Any, list[str]]:
        # A coroutine yields the tasks that it awaits, and so does this.
        return (yield from Interpreter(ctx).run(program).__await__())

    return generator if by_yield else coroutine


class Interpreter:
    """Runs one program once."""

    def __init__(self, ctx: WorkflowContext) -> None:
        self.ctx = ctx
        self.seen: list[str] = []
        self.begun: list[Task[Any]] = []
        self.over = False

    async def run(self, program: Block) -> list[str]:
        await self._block(program)
        return self.seen

    async def _block(self, block: Block) -> None:
        for statement in block:
            if not self.over:
                await _STATEMENTS[type(statement)](self, statement)

    async def _await(self, statement: Await) -> None:
        self.seen.append(shown(await self._ask(statement.wish)))

    async def _begin(self, statement: Begin) -> None:
        self.begun.append(self._ask(statement.wish))

    async def _collect(self, statement: Collect) -> None:
        if self.begun:
            self.seen.append(shown(await self.begun[statement.which % len(self.begun)]))

    async def _show(self, statement: Show) -> None:
        self.ctx.set_custom_status(statement.status)

    async def _dice(self, statement: Dice) -> None:
        ctx = self.ctx
        self.seen.append(f"{ctx.uuid4()} {ctx.random().random()} {ctx.now()} {ctx.instance_id} {ctx.execution_id}")

    async def _break(self, statement: Break) -> None:
        raise KeyError(len(self.seen))

    async def _again(self, statement: Again) -> None:
        self.over = True
        self.ctx.continue_as_new(self.seen, save_events=statement.save_events)

    async def _try(self, statement: Try) -> None:
        try:
            await self._block(statement.body)
        except (TaskFailedError, TimeoutError, KeyError) as error:
            self.seen.append(f"{type(error).__name__}: {error}")
            await self._block(statement.handler)

    async def _patch(self, statement: Patch) -> None:
        await self._block(statement.new if self.ctx.is_patched(statement.name) else statement.old)

    def _ask(self, wish: Wish) -> Task[Any]:
        ctx = self.ctx
        match wish:
            case Activity():
                return ctx.call_activity(wish.name, input=len(self.seen), retry_policy=policy(wish.attempts))
            case Child():
                return ctx.call_child_workflow(
                    "child", input=self.seen[-1:], instance_id=wish.instance_id, retry_policy=policy(wish.attempts)
                )
            case Timer():
                return ctx.create_timer(timedelta(seconds=wish.seconds))
            case Event():
                timeout = timedelta(seconds=wish.timeout_s) if wish.timeout_s is not None else None
                return ctx.wait_for_external_event(wish.name, timeout=timeout)
            case All():
                return ctx.when_all([self._ask(member) for member in wish.members])
            case First():
                return ctx.when_any([self._ask(member) for member in wish.members])


_STATEMENTS: dict[type[Any], Callable[[Interpreter, Any], Coroutine[Any, Any, None]]] = {
    Await: Interpreter._await,
    Begin: Interpreter._begin,
    Collect: Interpreter._collect,
    Show: Interpreter._show,
    Dice: Interpreter._dice,
    Break: Interpreter._break,
    Again: Interpreter._again,
    Try: Interpreter._try,
    Patch: Interpreter._patch,
}


def policy(attempts: int) -> RetryPolicy | None:
    if attempts == 0:
        return None
    return RetryPolicy(
        first_retry_interval=timedelta(seconds=2),
        max_number_of_attempts=attempts,
        backoff_coefficient=2.0,
        retry_timeout=timedelta(seconds=30),
        non_retryable_error_types=["Final"],
        jitter=0.5,
    )


def shown(value: Any) -> str:
    """A result as text; of a task that won a race, whether it failed and with what."""
    if isinstance(value, Task):
        return f"failed: {value.get_exception()}" if value.is_failed else f"task of {shown(value.get_result())}"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    return repr(value)


wishes: st.SearchStrategy[Wish] = st.recursive(
    st.one_of(
        st.builds(Activity, st.sampled_from("ab"), st.sampled_from([0, 1, 3])),
        st.builds(Child, st.sampled_from([None, None, "kid"]), st.sampled_from([0, 3])),
        st.builds(Timer, st.sampled_from([0, 1, 60])),
        st.builds(Event, st.sampled_from(["e", "E", "f"]), st.sampled_from([None, 0, 5])),
    ),
    lambda inner: st.one_of(
        st.builds(All, st.lists(inner, max_size=4).map(tuple)),
        st.builds(First, st.lists(inner, min_size=1, max_size=4).map(tuple)),
    ),
    max_leaves=5,
)
# Without parts that end a run early, because such runs would be over before any event.
_going_on: st.SearchStrategy[Statement] = st.one_of(
    st.builds(Await, wishes),
    st.builds(Begin, wishes),
    st.builds(Collect, st.integers(0, 3)),
    st.builds(Show, st.sampled_from(["x", "y", None])),
    st.just(Dice()),
)
_calm: st.SearchStrategy[Block] = st.lists(_going_on, min_size=1, max_size=3).map(tuple)
_inner: st.SearchStrategy[Block] = st.lists(_going_on | st.just(Break()), min_size=1, max_size=3).map(tuple)
_outer: st.SearchStrategy[Statement] = st.one_of(
    st.builds(Await, wishes),
    _going_on,
    st.builds(Try, _inner, _calm),
    st.builds(Try, st.lists(st.builds(Try, _inner, _inner), min_size=1, max_size=2).map(tuple), _calm),
    st.builds(Patch, st.sampled_from("pq"), _calm, _calm),
)
programs: st.SearchStrategy[Block] = st.lists(_outer, min_size=2, max_size=7).map(tuple)
programs_that_begin_again: st.SearchStrategy[Block] = st.tuples(
    st.lists(_outer, min_size=1, max_size=4).map(tuple), st.builds(Again, st.booleans())
).map(lambda parts: (*parts[0], parts[1]))
