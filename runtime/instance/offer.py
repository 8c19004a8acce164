"""Offers: turns that wait for a remote worker to take them.

The rule: the events of a turn are settled when a worker takes it, and not when it is
offered. A worker runs all of the history through the code again at every turn, so each
arrival that comes along with another saves a whole run.

An offer does not wait for the commit of the events that it would feed. The answer counts
only for an instance that has the same history and holds the same events in
front, and is committed behind them; see `remote.py`.
"""

from collections.abc import Iterable, Sequence
from itertools import chain

from ..history.event import Arrival, ExecutionStalled, ExecutionStarted
from ..history.open_work import START_TIMER
from ..history.status import Status
from ..history.timed_event import TimedEvent, TurnStarted
from ..history.timeline import ARRIVED
from .message import WorkflowTurnWork
from .state import Instance

# While more results are expected, an offer waits for them for a part of the time that the code has waited already.
PATIENCE_SHARE = 0.25
PATIENCE_MAX_S = 0.05


class Offer:
    """A turn of one actor, which has the code's answers up to `position`."""

    __slots__ = ("_actor", "execution_id", "instance_id", "name", "patience_s", "position")

    def __init__(self, actor: Instance) -> None:
        assert actor.record is not None
        assert actor.timeline is not None
        self._actor = actor
        self.instance_id = actor.instance_id
        self.execution_id = actor.record.execution_id
        self.name = actor.record.name
        self.position = len(actor.timeline.events)
        self.patience_s = self._patience_s()

    @property
    def fed(self) -> Sequence[Arrival]:
        """The events that it would feed if it were settled now."""
        return self._actor.held

    def settle(self) -> WorkflowTurnWork | None:
        """Settle the events that the turn feeds; None if it cannot be taken any more: the instance was suspended, or
        has ended.
        """
        actor = self._actor
        if actor.offered is not self:
            return None
        if not can_take_a_turn(actor):
            actor.offered = None
            return None
        timeline = actor.timeline
        assert timeline is not None
        new = [TimedEvent(ARRIVED, actor.last_us, TurnStarted()), *timeline.fed(actor.held, actor.last_us)]
        return WorkflowTurnWork(
            self.instance_id,
            self.execution_id,
            self.name,
            timeline.events,
            self.position,
            new,
            list(actor.held),
            actor.last_us,
            received(chain(timeline.events, new)),
        )

    def hurry(self) -> bool:
        """End the wait for further events if none can come soon; return whether it ends only now."""
        hurried = self.patience_s > 0 and self._patience_s() == 0
        if hurried:
            self.patience_s = 0.0
        return hurried

    def _patience_s(self) -> float:
        actor = self._actor
        if not (actor.open.tasks or actor.open.children):
            return 0.0
        return min(PATIENCE_MAX_S, max(0.0, PATIENCE_SHARE * (actor.last_us - actor.ran_us) / 1e6))


def can_take_a_turn(actor: Instance) -> bool:
    """Whether an instance has events for a turn, and may take one."""
    record = actor.record
    if record is None or record.set_aside is not None or actor.stalled_here or START_TIMER in actor.open.timers:
        return False
    if record.status is Status.STALLED:
        return True
    running = record.status in (Status.PENDING, Status.RUNNING)
    return running and any(not isinstance(event, ExecutionStalled) for event in actor.held)


def received(events: Iterable[TimedEvent]) -> bytes | None:
    """The histories above an instance, as far as it may see them."""
    first = (timed.event for timed in events if isinstance(timed.event, ExecutionStarted))
    started = next(first, None)
    return started.propagated if started is not None else None
