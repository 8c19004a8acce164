"""The invariants of every world, checked at each commit and at rest. docs/design/simulation.md has the numbers, as E3.

A `Witness` reads the commits on the disk, and the turns that lead there. `checks/` has the invariants that need more
than one history: `turns.py` E6, `standing.py` E7, `punctual.py` E9, `answers.py` E13, `log_lines.py` E16, `rest.py` all
that must hold at rest.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

from perdure import ActivityContext
from perdure.actors.store.contract import Write
from perdure.actors.turn import Turn
from perdure.runtime.directory import WORKFLOW
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
    ExecutionTerminated,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from perdure.runtime.history.record import unpack_record
from perdure.runtime.history.row import Row, unpack_row
from perdure.runtime.history.status import TRANSITIONS, Status
from perdure.testing.simulation.base import BaseWorld

from .checks.answers import Version, Versions, VersionsKept
from .checks.broken import Broken
from .checks.cut_off import CutOffs
from .checks.forgetting import Forgetting
from .checks.log_lines import LogLines
from .checks.punctual import Asked, Punctuality
from .checks.standing import check_standing
from .checks.turns import LoggedTurn, TurnLog

STEPS = {(before, after) for (before, _), after in TRANSITIONS.items()}


@cache
def may_follow(before: Status | None, after: Status) -> bool:
    """Whether some steps of one turn lead from a status to another; of a turn only the last status is stored."""
    reached, todo = set[Status](), [before]
    while todo:
        found = {to for status, to in STEPS if status == todo[-1]} - reached
        todo.pop()
        reached |= found
        todo += [status for status in found if not status.terminal]
    return after in reached


# One in this number of commits is replayed and compared with the live instance.
STANDINGS = 50


class Seen:
    """The history of one generation, as far as it is on the disk."""

    def __init__(self, execution_id: str) -> None:
        self.execution_id = execution_id
        self.asked: dict[int, Event] = {}
        self.timers: dict[int, Asked] = {}
        self.answered: set[int] = set()
        self.raised: Counter[str] = Counter()  # by payload
        self.suspended = False
        self.ended = False
        self.entries: list[bytes] = []
        self.record = b""

    def copy(self) -> "Seen":
        """A copy, which does not change with this."""
        made = Seen(self.execution_id)
        made.asked, made.timers, made.answered = dict(self.asked), dict(self.timers), set(self.answered)
        made.raised, made.entries = self.raised.copy(), list(self.entries)
        made.suspended, made.ended, made.record = self.suspended, self.ended, self.record
        return made


class WitnessKept(NamedTuple):
    """The knowledge of a witness at some moment."""

    seen: Mapping[str, Seen]
    status: Mapping[str, Status]
    scheduled: frozenset[str]
    children: frozenset[tuple[str, str, int]]
    begun: Counter[str]
    cut_off: Collection[str]
    versions: VersionsKept


class Witness:
    """Reads each commit of a world.

    Args:
        standings: One in this number of commits is replayed and compared; 0: none is.
        own: Whether a type of actors is that of the instances it reads; that of a store's first app by default.
        first: Reads the instances of another app of the world, and takes the findings of this one.

    Attributes:
        sometimes: The events that have happened, and must happen in some world.
        knows_less: Whether the host whose code runs does not know yet that its server has lost commits.
    """

    def __init__(
        self,
        *,
        standings: int = STANDINGS,
        own: Callable[[str], bool] = WORKFLOW.__eq__,
        first: "Witness | None" = None,
    ) -> None:
        self._own = own
        self._first = first or self
        self.world: BaseWorld | None = None
        self.seen: dict[str, Seen] = {}
        self.status: dict[str, Status] = {}
        self.versions = Versions(
            lambda: self.world.writer if self.world is not None else 0,
            lambda life: self.world is None or self.world.is_over(life),
            lambda: self.world.loop.time() if self.world is not None else 0.0,
        )
        self.turns = TurnLog(lambda: self.world.clock.now_us() if self.world is not None else 0, self._heard, own)
        self.log = LogLines()
        self.scheduled: set[str] = set()  # the keys of activities that a commit has requested
        # (instance, execution, event id) of requested activities, by instances of any app
        self.children: set[tuple[str, str, int]] = first.children if first is not None else set()
        self.refused: set[str] = set()  # ids and payloads of requests of which nothing was done
        self._begun: Counter[str] = Counter()  # how often the history of an instance has begun
        self.performed = 0
        self.sometimes: Counter[str] = first.sometimes if first is not None else Counter()
        self.broken: Broken | None = None
        self._standings = standings
        self._commits = 0
        self._punctual: Punctuality | None = None
        self._cut_offs: CutOffs | None = None
        self._forgetting: Forgetting | None = None
        self._purging: set[str] = first._purging if first is not None else set()  # ids, of any app
        self.forgotten: set[str] = set()  # by retention
        self._writing: Turn | None = None  # whose write is being read
        self._lost: set[str] = set()  # the keys of `scheduled` that the server has lost
        self.knows_less: Callable[[], bool] = lambda: False

    @contextmanager
    def watching(self, world: BaseWorld) -> Iterator[None]:
        """Read the commits and turns of a world until the block ends."""
        self.world = world
        self._punctual = Punctuality(world)
        self._cut_offs = CutOffs(world)
        self._forgetting = Forgetting(world, self._purging)
        world.on_commit.append(self.committed)
        with self.turns.kept(), self.log.kept():
            yield

    def purging(self, id_: str) -> None:
        """Note that a caller is about to purge an instance."""
        assert self._forgetting is not None
        self._forgetting.asked(id_)

    def must_be_gone(self) -> tuple[list[str], int]:
        """The instances that retention must have forgotten by some date, and that date; Unix time, microseconds."""
        assert self._forgetting is not None
        dates = {id_: self._forgetting.over_us(self.versions.newest(id_)) for id_ in self.versions.ids()}
        due = {id_: at_us for id_, at_us in dates.items() if at_us is not None}
        return list(due), max(due.values(), default=0)

    def kept(self) -> WitnessKept:
        """The present knowledge, to go back to where a server loses later commits."""
        assert self._cut_offs is not None
        return WitnessKept(
            {id_: seen.copy() for id_, seen in self.seen.items()},
            dict(self.status),
            frozenset(self.scheduled),
            frozenset(self.children),
            self._begun.copy(),
            self._cut_offs.execution_ids,
            self.versions.kept(),
        )

    def go_back(self, kept: WitnessKept) -> None:
        """Note that the server has lost all later commits."""
        assert self._cut_offs is not None
        self._lost |= self.scheduled - kept.scheduled
        self.seen = {id_: seen.copy() for id_, seen in kept.seen.items()}
        self.status, self._begun = dict(kept.status), kept.begun.copy()
        self.scheduled, self.children = set(kept.scheduled), set(kept.children)
        self._cut_offs.go_back(kept.cut_off)
        self.versions.go_back(kept.versions)

    def tell(self, broken: Broken) -> None:
        """Note the first finding."""
        self._first.broken = self._first.broken or broken

    @property
    def instances(self) -> int:
        """The number of instances, children included."""
        return len(self.versions)

    def suspended(self) -> list[str]:
        """The instances that are suspended."""
        return [id_ for id_, status in self.status.items() if status is Status.SUSPENDED]

    def check_all_ended(self, *, asleep: Collection[str]) -> None:
        """E10: all instances have ended, except sleeping ones.

        Raises:
            Broken
        """
        left = [id_ for id_, status in self.status.items() if not status.terminal and id_ not in asleep]
        if left:
            raise Broken("E10", f"{left[0]} and {len(left) - 1} others have not ended: {self.status[left[0]].name}")

    def check_end(self) -> None:
        """The knowledge at the end of the world.

        Raises:
            Broken
        """
        if self.broken is not None:
            raise self.broken
        self.turns.check()
        assert self.world is not None
        self.log.check(disk_failed=self.world.failed > 0)

    def committed(self, writes: Sequence[Write]) -> None:
        # An error here would be the disk's, and the engine would go on.
        try:
            self.turns.check()
            for write in writes:
                if self._own(write.address.type):
                    self._written(write)
        except Broken as broken:
            self.tell(broken)
        except Exception as error:
            self.tell(Broken("none", f"the witness itself broke: {error!r}"))
            raise

    def performing(self, ctx: ActivityContext) -> None:
        """E5: an activity that begins was requested by a commit that is on the disk, and is still wanted."""
        self.performing_at_a_worker(ctx)
        assert self._cut_offs is not None
        if self._cut_offs.is_over(self._activity(ctx.workflow_id, ctx.task_execution_id, ctx.task_id)):
            self.tell(Broken("E5", f"{ctx.activity_name} of {ctx.workflow_id} begins after it has had its answer"))
        execution_id = ctx.task_execution_id.rpartition("-")[0]
        if self._cut_offs.is_over(execution_id):
            self.tell(
                Broken("E5", f"{ctx.activity_name} of {ctx.workflow_id} begins after that was terminated or purged")
            )

    def performing_at_a_worker(self, ctx: ActivityContext) -> None:
        """E5, as far as it goes for a worker: no item under way to one is taken back."""
        self.performed += 1
        if ctx.task_execution_id not in self.scheduled:
            if ctx.task_execution_id in self._lost and self.knows_less():
                return
            self.tell(Broken("E5", f"{ctx.activity_name} of {ctx.workflow_id} begins before its commit"))

    def _written(self, write: Write) -> None:
        id_ = write.address.id
        assert self._cut_offs is not None
        assert self.world is not None
        logged = self.turns.committed(write, self.world.writer)
        self._writing = logged.turn if logged is not None else None
        before = self.versions.newest(id_)
        self.versions.committed(write, self._writing)
        self._commits += 1
        if write.delete:
            self._check_forgotten(write, before)
            gone = self.seen.pop(id_, None)
            if gone is not None and not gone.ended:
                self._cut_offs.ended(gone.execution_id, self._writing)
            self.status.pop(id_, None)
            return
        if id_ in self.refused:
            raise Broken("E1", f"the start of {id_} was refused, and it is there")
        record = unpack_record(write.record) if write.record is not None else None
        if write.reset or id_ not in self.seen:
            # Events that a generation hands on are in the next one's history too.
            self.seen[id_] = Seen(record.execution_id if record is not None else "")
            self._begun[id_] += 1
            # A child that was purged before its parent is begun again by that, if the host dies in between.
            self._cut_offs.begun_again(self.seen[id_].execution_id)
        seen = self.seen[id_]
        if record is not None:
            assert write.record is not None
            self._check_status(id_, Status(record.status), reset=write.reset)
            seen.record, seen.execution_id = write.record, record.execution_id
        if write.entry is not None:
            seen.entries.append(write.entry)
            self._row(id_, seen, unpack_row(write.entry), write.at_us)
        if logged is not None and self._standings and self._commits % self._standings == 0:
            self._check_standing(logged, seen, newest=self.turns.is_newest(logged))

    def _check_forgotten(self, write: Write, before: Version | None) -> None:
        assert self._forgetting is not None
        if self._forgetting.check(write, before):
            self.forgotten.add(write.address.id)
            self.sometimes["forgotten"] += 1

    def _check_standing(self, logged: LoggedTurn, seen: Seen, *, newest: bool) -> None:
        """E7, if no turn was taken that is not on the disk, and the turn is there as a whole."""
        activation: Any = logged.activation
        if newest and not logged.turn.earlier and activation.actor is not None and not activation.dropped:
            app = activation.actor.surroundings.app
            self.sometimes["standing compared"] += 1
            check_standing(app, activation.actor, seen.record, seen.entries)

    def _check_status(self, id_: str, after: Status, *, reset: bool) -> None:
        before = self.status.get(id_)
        if before != after and not may_follow(before, after):
            raise Broken("E2", f"{id_} is {after.name} after {before.name if before is not None else 'nothing'}")
        if before is not None and before.terminal and before != after and not reset:
            raise Broken("E2", f"{id_} is {after.name} after its end")
        self.status[id_] = after

    def _heard(self, turn: Turn) -> None:
        assert self._cut_offs is not None
        self._cut_offs.heard(turn)
        self.versions.heard(turn)

    def _row(self, id_: str, seen: Seen, row: Row, written_us: int) -> None:
        if seen.ended:
            raise Broken("E3", f"{id_} has a row behind its end")
        for event in (*(row.turn or ()), *row.held):
            if isinstance(event, TimerFired):
                self._fired(id_, seen, event, row.at_us, written_us)
            else:
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
                    self.children.add((id_, seen.execution_id, event.event_id))
                else:
                    assert self._punctual is not None
                    seen.timers[event.event_id] = self._punctual.asked(at_us)
            case TaskCompleted() | TaskFailed():
                self._answer(id_, seen, event.task_id, TaskScheduled)
            case ChildCompleted() | ChildFailed():
                self._answer(id_, seen, event.task_id, ChildCreated)
            case _:
                self._other(id_, seen, event)

    def _fired(self, id_: str, seen: Seen, event: TimerFired, at_us: int, written_us: int) -> None:
        if event.timer_id >= 0:
            self._answer(id_, seen, event.timer_id, TimerCreated)
        if event.repair is None:
            assert self._punctual is not None
            asked = seen.timers.get(event.timer_id)
            # The row of a worker's turn has the date at which that was sent; what it holds may have come since.
            fired = (at_us, max(at_us, written_us))
            self._punctual.check(id_, event.timer_id, due_us=event.fire_at_us, asked=asked, fired_us=fired)

    def _other(self, id_: str, seen: Seen, event: Event) -> None:
        match event:
            case EventRaised():
                self._raised(id_, seen, event.input or "")
            case ExecutionSuspended():
                seen.suspended = True
                self.versions.steered[id_, ExecutionSuspended] += 1
            case ExecutionResumed():
                if not seen.suspended:
                    raise Broken("E3", f"{id_} is resumed and was not suspended")
                seen.suspended = False
                self.versions.steered[id_, ExecutionResumed] += 1
            case ExecutionStarted() if event.parent is not None:
                link = (event.parent.instance_id, event.parent.execution_id, event.parent.task_id)
                if link not in self.children:
                    raise Broken("E15", f"{id_} is the child of {link}, which has not asked for it")
            case ExecutionTerminated():
                assert self._cut_offs is not None
                self._cut_offs.ended(seen.execution_id, self._writing)
            case ExecutionCompleted():
                seen.ended = True
            case _:
                pass

    def _raised(self, id_: str, seen: Seen, payload: str) -> None:
        """E4 and E1: each sending has a payload of its own, so that a history has it once at most."""
        self.versions.raised.add((id_, payload))
        seen.raised[payload] += 1
        if seen.raised[payload] > 1:
            raise Broken("E4", f"{id_} has {payload} {seen.raised[payload]} times; it was sent once")
        if payload in self.refused:
            raise Broken("E1", f"{payload} was refused by {id_}, and is in its history")

    def _answer(self, id_: str, seen: Seen, asked: int, kind: type[Event]) -> None:
        if not isinstance(seen.asked.get(asked), kind):
            raise Broken("E3", f"{id_} has an answer to {asked}, which it has not asked for")
        if asked in seen.answered:
            # Of a child: its parent has heard of its end twice.
            raise Broken("E15" if kind is ChildCreated else "E3", f"{id_} has two answers to {asked}")
        seen.answered.add(asked)
        task = seen.asked[asked]
        if isinstance(task, TaskScheduled):
            assert self._cut_offs is not None
            self._cut_offs.ended(self._activity(id_, task.task_execution_id, asked), self._writing)

    def _activity(self, id_: str, key: str, event_id: int) -> str:
        """An activity, for `CutOffs`. An instance that is begun again requests all of its activities again."""
        return f"{id_}/{self._begun[id_]}/{key}/{event_id}"
