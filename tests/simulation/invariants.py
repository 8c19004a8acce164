"""What must hold in every world, checked at each commit and at rest. docs/design/simulation.md has the numbers, as E3.

A `Witness` reads what reaches the disk, and nothing else of the engine.
"""

from collections import Counter
from collections.abc import Sequence

from perdure import ActivityContext, Engine
from perdure.actors.address import Address
from perdure.actors.store.contract import Write
from perdure.runtime.history.event import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    Event,
    EventRaised,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from perdure.runtime.history.record import unpack_record
from perdure.runtime.history.row import Row, unpack_row
from perdure.runtime.history.status import TRANSITIONS, Status
from perdure.runtime.instance.message import ACTIVITY, WORKFLOW
from perdure.testing.simulation.world import SimWorld


class Broken(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant


STEPS = {(before, after) for (before, _), after in TRANSITIONS.items()}


def may_follow(before: Status | None, after: Status) -> bool:
    """Whether some steps of one turn lead from a status to another; of a turn only the last status is stored."""
    reached, todo = set[Status](), [before]
    while todo:
        found = {to for status, to in STEPS if status == todo[-1]} - reached
        todo.pop()
        reached |= found
        todo += [status for status in found if not status.terminal]
    return after in reached


# So long must a host at rest do nothing.
REST_S = 7_200.0


class Seen:
    """The history of one generation, as far as it is on the disk."""

    def __init__(self) -> None:
        self.asked: dict[int, Event] = {}
        self.answered: set[int] = set()
        self.suspended = False
        self.ended = False
        self.rows = 0


class Witness:
    """Reads each commit of a world."""

    def __init__(self) -> None:
        self.world: SimWorld | None = None
        self.seen: dict[str, Seen] = {}
        self.status: dict[str, Status] = {}
        self.raised: Counter[tuple[str, str]] = Counter()  # (instance, payload) -> how often it is in a history
        self.scheduled: set[str] = set()  # the keys of activities that a commit has asked for
        self.children: set[tuple[str, str, int]] = set()  # (instance, execution, event id) of those asked for
        self.executions: dict[str, str] = {}
        self.performed = 0
        self.broken: Broken | None = None

    def watch(self, world: SimWorld) -> None:
        """Read the commits of a world from now on."""
        self.world = world
        world.on_commit.append(self.committed)

    def committed(self, writes: Sequence[Write]) -> None:
        # An error here would be the disk's, and the engine would go on.
        try:
            for write in writes:
                if write.address.type == WORKFLOW:
                    self._written(write)
        except Broken as broken:
            self.broken = self.broken or broken

    def performing(self, ctx: ActivityContext) -> None:
        """E5: an activity that begins was asked for by a commit that is on the disk."""
        self.performed += 1
        if ctx.task_execution_id not in self.scheduled and self.broken is None:
            self.broken = Broken("E5", f"{ctx.activity_name} of {ctx.workflow_id} begins before its commit")

    def _written(self, write: Write) -> None:
        id_ = write.address.id
        if write.delete:
            self.seen.pop(id_, None)
            self.status.pop(id_, None)
            return
        if write.reset or id_ not in self.seen:
            self.seen[id_] = Seen()
            # What a generation hands on is in the next one's history too.
            for counted in [counted for counted in self.raised if counted[0] == id_]:
                del self.raised[counted]
        if write.record is not None:
            record = unpack_record(write.record)
            before, after = self.status.get(id_), Status(record.status)
            if before != after and not may_follow(before, after):
                raise Broken("E2", f"{id_} is {after.name} after {before.name if before is not None else 'nothing'}")
            if before is not None and before.terminal and before != after and not write.reset:
                raise Broken("E2", f"{id_} is {after.name} after its end")
            self.status[id_] = after
            self.executions[id_] = record.execution_id
        if write.entry is not None:
            self._row(id_, self.seen[id_], unpack_row(write.entry))

    def _row(self, id_: str, seen: Seen, row: Row) -> None:
        if seen.ended:
            raise Broken("E3", f"{id_} has a row behind its end")
        seen.rows += 1
        for event in (*(row.turn or ()), *row.held):
            self._event(id_, seen, event, row.at_us)

    def _event(self, id_: str, seen: Seen, event: Event, at_us: int) -> None:
        match event:
            case TaskScheduled() | ChildCreated() | TimerCreated():
                if event.event_id in seen.asked:
                    raise Broken("E3", f"{id_} asks twice for {event.event_id}")
                seen.asked[event.event_id] = event
                if isinstance(event, TaskScheduled):
                    self.scheduled.add(event.task_execution_id)
                elif isinstance(event, ChildCreated):
                    self.children.add((id_, self.executions[id_], event.event_id))
            case TaskCompleted() | TaskFailed():
                self._answer(id_, seen, event.task_id, TaskScheduled)
            case ChildCompleted() | ChildFailed():
                self._answer(id_, seen, event.task_id, ChildCreated)
            case TimerFired() if event.timer_id >= 0:
                self._answer(id_, seen, event.timer_id, TimerCreated)
                assert self.world is not None
                if not self.world.clock.may_be_set and at_us < event.fire_at_us:
                    raise Broken("E9", f"timer {event.timer_id} of {id_} is {event.fire_at_us - at_us} us early")
            case _:
                self._other(id_, seen, event)

    def _other(self, id_: str, seen: Seen, event: Event) -> None:
        match event:
            case EventRaised():
                self.raised[id_, event.input or ""] += 1
            case ExecutionSuspended():
                seen.suspended = True
            case ExecutionResumed():
                if not seen.suspended:
                    raise Broken("E3", f"{id_} is resumed and was not suspended")
                seen.suspended = False
            case ExecutionStarted() if event.parent is not None:
                link = (event.parent.instance_id, event.parent.execution_id, event.parent.task_id)
                if link not in self.children:
                    raise Broken("E15", f"{id_} is the child of {link}, which has not asked for it")
            case ExecutionCompleted():
                seen.ended = True
            case _:
                pass

    def _answer(self, id_: str, seen: Seen, asked: int, kind: type[Event]) -> None:
        if not isinstance(seen.asked.get(asked), kind):
            raise Broken("E3", f"{id_} has an answer to {asked}, which it has not asked for")
        if asked in seen.answered:
            raise Broken("E3", f"{id_} has two answers to {asked}")
        seen.answered.add(asked)


async def check_idle(world: SimWorld) -> None:
    """What must hold of the host that has seen the last instance end."""
    await world.sleep(10)
    under_way = await world.ask(_activities_under_way)
    if under_way:
        raise Broken("E17", f"{under_way} activities are under way at rest")


async def _activities_under_way(engine: Engine) -> int:
    return engine.active_actors()[ACTIVITY]


async def check_rest(world: SimWorld, purged: Sequence[str]) -> None:
    """What must hold once all instances have ended and all faults are over."""
    active = await world.contents.active()
    if active:
        raise Broken("E11", f"{active[0].id} and {len(active) - 1} others have the active mark at rest")
    reminders = await world.contents.reminders(after=None, limit=10)
    if reminders:
        raise Broken("E9", f"{reminders[0].address.id} has a reminder at rest: {reminders[0].name}")
    there = set(await world.contents.ids(WORKFLOW, after=None, limit=100_000))
    if left := there.intersection(purged):
        raise Broken("E14", f"{min(left)} was purged, and is there")
    for stored in await world.contents.load([Address(WORKFLOW, each) for each in purged]):
        if stored is not None:
            raise Broken("E14", f"a purged instance has left rows: {stored}")
    life = world.life
    assert life is not None
    engine = life.engine
    assert engine is not None
    before = (engine.turns, engine.commits)
    await world.sleep(REST_S)
    if (engine.turns, engine.commits) != before:
        raise Broken(
            "E12", f"at rest (turns, commits) went from {before} to {(engine.turns, engine.commits)} in two hours"
        )
    if world.loop.errors:
        error = world.loop.errors[0]
        raise Broken("E16", f"{error.get('message')}: {error.get('exception')!r}")
