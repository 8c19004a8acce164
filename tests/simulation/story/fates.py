"""Fates: the actions of callers on an instance, beside its program.

A fate begins its instance, sends it the events that it waits for, acts on it by its kind, and checks the outcome of
it. `check` knows which kinds may change the result.
"""

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from itertools import dropwhile
from typing import Any, NamedTuple

from perdure import Status, WorkflowState
from perdure.runtime.engine import Engine
from perdure.runtime.history.event import TaskScheduled
from perdure.runtime.instance.message import RepairAction
from perdure.runtime.operations.bulk.operation import BulkAction
from perdure.testing.simulation.base import BaseWorld
from perdure.testing.simulation.choices import Choices

from ..checks.answers import Version
from ..checks.broken import Broken
from ..doors import Doors
from ..invariants import Witness
from ..programs import Program, a_program, agrees, awaited, draws_lots, expected, names_children
from .caller import Caller

# The kinds of fates; the first is the usual one.
KINDS = (
    "left alone",
    "paused",
    "terminated",
    "purged after its end",
    "restarted after its end",
    "run again",
    "repaired",
    "purged while it runs",
    "paused with its children",
    "started by key",
    "begun anew by force",
    "scheduled",
    "asleep",
    "among many",
)
LEFT_ALONE = 6  # times as often as any other kind

# A network that delivers requests twice has delivered the second by then.
SECOND_S = 1.5
ASLEEP_FOR = "never"
# When a scheduled instance begins, after now: soon, or at a date that is past.
STARTS_US = (1_000_000, 50_000, 20_000_000, -5_000_000)


class Fate(NamedTuple):
    """The fate of an instance."""

    id: str
    kind: str
    program: Program
    again: bool = False  # each event is sent twice
    backwards: bool = False  # the last event is sent first
    early: bool = False  # each event is sent before the instance begins, too, which has no effect
    number: int = 0  # for further choices


def a_fate(
    choices: Choices,
    number: int,
    *,
    prefix: str = "i",
    clock_is_set: bool,
    forgetful: bool = False,
    kinds: Sequence[str] = KINDS,
    programs: Callable[[Choices], Program] = a_program,
) -> Fate:
    """Choose a fate of some kinds; the calm one is an instance of the first, which is left alone usually.

    Args:
        prefix: Of the instance's id, before its number.
        forgetful: An ended instance may be gone soon, and with it the key of its start.
    """
    draw = choices.draw
    drawn = draw("story.steered", len(kinds) + LEFT_ALONE)
    kind = kinds[drawn] if drawn < len(kinds) else kinds[0]
    program = programs(choices)
    if kind == "among many" and clock_is_set:
        kind = "left alone"  # a bulk operation is for what was created before it, by the date
    if kind == "run again" and (awaited(program) or draws_lots(program)):
        kind = "restarted after its end"  # a copy has neither the events nor the chance of the first
    if kind == "started by key" and forgetful:
        kind = "left alone"
    if kind == "asleep":
        program = [["work", 1], ["event", ASLEEP_FOR]]
    return Fate(
        f"{prefix}{number}",
        kind,
        program,
        again=draw("story.again", 4) == 1,
        backwards=draw("story.backwards", 4) == 1,
        early=draw("story.early", 8) == 1,
        number=draw("story.number", 4),
    )


class Living:
    """Lets a fate happen."""

    def __init__(self, world: BaseWorld, witness: Witness, fate: Fate, sendings: Counter[str], doors: Doors) -> None:
        self.fate = fate
        self.caller = Caller(world, witness, fate.id, sendings, doors)
        self._world = world
        self._witness = witness
        self._given = {"program": fate.program, "so_far": []}

    async def live(self) -> None:
        """Live through the fate.

        Raises:
            Broken: E1, E8, E13.
        """
        fate, caller = self.fate, self.caller
        await self._world.sleep(self._world.choices.draw("story.begins", 4) * 0.03)
        if fate.early:
            await self._send_early()
        await self._start()
        await caller.get()
        await KINDS_LIVED[fate.kind](self)

    # The actions of each kind.

    async def _left_alone(self) -> None:
        await self._send()
        await self._expect_result()

    async def _paused(self, *, recurse: bool = False) -> None:
        await self.caller.suspend(recurse=recurse)
        await self._world.sleep(0.3 + SECOND_S)
        await self._send()
        await self.caller.resume(recurse=recurse)
        await self._expect_result()

    async def _paused_with_its_children(self) -> None:
        await self._world.sleep(self.fate.number * 0.02)
        await self._paused(recurse=True)

    async def _terminated(self) -> None:
        if self.fate.number % 2:
            await self._send()
        await self._world.sleep(self.fate.number * 0.01)
        await self.caller.terminate()
        await self._expect_result(Status.TERMINATED)

    async def _purged(self) -> None:
        await self._left_alone()
        await self._world.sleep(SECOND_S)
        await self.caller.purge()

    async def _purged_while_it_runs(self) -> None:
        await self._world.sleep(SECOND_S if self.fate.number == 3 else self.fate.number * 0.01)
        if self.fate.number % 2:
            await self._send()
        await self._world.sleep(SECOND_S)
        await self.caller.purge(force=True)

    async def _restarted(self) -> None:
        await self._left_alone()
        await self._start(if_exists="restart", idempotency_key=f"again-{self.fate.id}")
        await self._left_alone()

    async def _begun_anew(self) -> None:
        await self._world.sleep(self.fate.number * 0.01)
        await self._start(if_exists="restart", force=True, idempotency_key=f"anew-{self.fate.id}")
        await self._left_alone()

    async def _run_again(self) -> None:
        await self._left_alone()
        copy = Caller(self._world, self._witness, f"{self.fate.id}-again", Counter(), self.caller.doors)

        async def rerun(engine: Engine) -> None:
            from_event: int | None = None
            # A copy has other ids of chance than the first, so the names of children do not fit.
            if self.fate.number and not names_children(self.fate.program):
                rows = await engine.facade.history(self.fate.id) or []
                asked = [each for row in rows for each in row.turn or () if isinstance(each, TaskScheduled)]
                from_event = asked[(self.fate.number - 1) % len(asked)].event_id if asked else None
            await self.caller.doors.rerun(engine, self.fate.id, new_id=copy.id, from_event=from_event)

        await self.caller.steer("rerun", rerun)
        state = await copy.wait()
        if state is not None:
            self._witness.sometimes["rerun"] += 1
            self._check(state)

    async def _repaired(self) -> None:
        for _ in range(1 + self.fate.number):
            await self._world.sleep(0.003 * self.fate.number)
            await self.caller.steer("repair", self._repair)
        await self._left_alone()

    async def _repair(self, engine: Engine) -> None:
        """Have an activity tried again or a timer fired, as the instance waits for one or the other."""
        for wait in await engine.views.descriptions.waiting_for(self.fate.id):
            if wait.event_id is None or wait.kind.value not in ("activity", "timer", "event"):
                continue
            retried = wait.kind.value == "activity"
            action = RepairAction.RETRY if retried else RepairAction.FIRE
            await self.caller.doors.repair(engine, self.fate.id, action, wait.event_id)
            self._witness.sometimes[f"repaired: {action.value}"] += 1
            return

    async def _started_by_key(self) -> None:
        await self._left_alone()
        # The same start again, after the end too, is the same instance. The end that a client has read from the file
        # may be one of which the host has not heard.
        since = self._witness.versions.now(self.fate.id)
        await self._start()
        from_its_end = dropwhile(_is_running, self._witness.versions.since(self.fate.id, since))
        if any(map(_is_running, from_its_end)):
            raise Broken("E13", f"{self.fate.id} runs again, though its start had the key of the first")

    async def _asleep(self) -> None:
        """The instance stays asleep to the end of the world."""

    async def _among_many(self) -> None:
        for action in (BulkAction.SUSPEND, BulkAction.RESUME):
            await self._world.sleep(0.02)
            await self._done_to_all(action)
            self._witness.sometimes["bulk"] += 1
        await self._left_alone()

    async def _done_to_all(self, action: BulkAction) -> None:
        doors, ask = self.caller.doors, self._world.ask
        plan = await ask(lambda engine: doors.plan_bulk(engine, action))
        operation_id = await ask(lambda engine: doors.begin_bulk(engine, action, plan))
        while await ask(lambda engine: doors.bulk_is_running(engine, operation_id)):
            await self._world.sleep(0.5)

    # The common parts.

    async def _start(self, **options: Any) -> None:
        if self.fate.kind == "started by key":
            options = {"idempotency_key": f"of-{self.fate.id}", "if_exists": None}
        elif self.fate.kind == "scheduled" and not options:
            at_us = self._world.clock.now_us() + STARTS_US[self.fate.number]
            options = {"start_at": datetime.fromtimestamp(at_us / 1e6, UTC)}
        await self.caller.start(self._given, **options)

    async def _send_early(self) -> None:
        for name in awaited(self.fate.program):
            await self.caller.raise_event(name)
        if await self.caller.get() is not None:
            raise Broken("E13", f"{self.fate.id} is there before its start")

    async def _send(self) -> None:
        names = awaited(self.fate.program)
        for name in reversed(names) if self.fate.backwards else names:
            await self.caller.raise_event(name)
            if self.fate.again:
                await self.caller.raise_event(name, key=f"again-{name}" if self.fate.number % 2 else None)

    async def _expect_result(self, *others: Status) -> None:
        state = await self.caller.wait()
        if state is None:
            if self.fate.id in self._witness.forgotten:
                return  # before its result was requested
            raise self._witness.broken or Broken("E1", f"the start of {self.fate.id} was acknowledged, and it is gone")
        self._check(state, *others)

    def _check(self, state: WorkflowState, *others: Status) -> None:
        """E8: the result is the model's."""
        if state.status in others:
            return
        wanted = expected(self.fate.program)
        if state.status is not Status.COMPLETED or not agrees(state.output, wanted):
            why = f" because of {state.details.failure or state.details.stall}" if state.output is None else ""
            what = f"{state.instance_id} is {state.status.name} with {state.output!r}, not {wanted!r}{why}"
            raise self._witness.broken or Broken("E8", what)


def _is_running(version: Version | None) -> bool:
    return version is not None and not version.status.terminal


KINDS_LIVED: dict[str, Callable[[Living], Coroutine[Any, Any, None]]] = {
    "left alone": Living._left_alone,
    "paused": Living._paused,
    "terminated": Living._terminated,
    "purged after its end": Living._purged,
    "restarted after its end": Living._restarted,
    "run again": Living._run_again,
    "repaired": Living._repaired,
    "purged while it runs": Living._purged_while_it_runs,
    "paused with its children": Living._paused_with_its_children,
    "started by key": Living._started_by_key,
    "begun anew by force": Living._begun_anew,
    "scheduled": Living._left_alone,
    "asleep": Living._asleep,
    "among many": Living._among_many,
}
assert tuple(KINDS_LIVED) == KINDS
