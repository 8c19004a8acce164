"""A workflow actor without a host: messages in by hand, turns out, and a list for a store."""

from typing import Any

from perdure.actors.store.contract import Inspection, Stored
from perdure.actors.store.listing import Facets
from perdure.actors.turn import RECOVER, Envelope, ReminderDue, Turn
from perdure.actors.waiting.reply import Reply
from perdure.journal.journal import Journal
from perdure.runtime.authoring.app import App
from perdure.runtime.authoring.limits import USUAL_LIMITS, WorkflowLimits
from perdure.runtime.history.audit import AuditEntry, unpack_audit
from perdure.runtime.history.event import Event
from perdure.runtime.history.instance_state import InstanceState
from perdure.runtime.history.record import state_of
from perdure.runtime.history.row import Row, unpack_row
from perdure.runtime.history.status import Status
from perdure.runtime.instance.actor import WorkflowActorType
from perdure.runtime.instance.message import (
    ActivityDone,
    ChildDone,
    Invoke,
    Purge,
    RaiseEvent,
    Resume,
    Start,
    Suspend,
    Terminate,
    workflow_address,
)
from perdure.runtime.instance.surroundings import Surroundings


class LoneActor:
    """One instance, its rows, and the requests of its turns.

    Args:
        forgetful: Rebuild the actor from its rows before every turn, as after an eviction.
        limits: Of the instance's requests.
    """

    def __init__(
        self,
        app: App | None,
        instance_id: str = "i",
        *,
        forgetful: bool = False,
        limits: WorkflowLimits = USUAL_LIMITS,
    ) -> None:
        self.actor_type = WorkflowActorType(Surroundings(app, limits=limits))
        self.address = workflow_address(instance_id)
        self.forgetful = forgetful
        self.now_us = 1_000_000
        self.entries: list[bytes] = []
        self.record: bytes | None = None
        self.facets: Facets | None = None  # as the store has them
        self.reminders: set[tuple[str, int]] = set()
        self.messages: list[tuple[Any, Any]] = []
        self.audit: list[AuditEntry] = []
        self.busy = False
        self.journal = Journal()
        self.actor = self.actor_type.activate(self.address, None)

    # Actions of a test.

    def start(self, name: str, input: str | None = None, **more: Any) -> Any:  # noqa: A002
        return self.send(Start(name, input, more.pop("execution_id", "x1"), **more))

    def send(self, *bodies: Any) -> Any:
        """Give the actor messages in one turn; return the answer to the last one (an exception is returned)."""
        envelopes = [Envelope(body, Reply()) for body in bodies]
        turn = self._turn(envelopes)
        answers = {id(reply): answer for reply, answer in turn.replies}
        return answers.get(id(envelopes[-1].reply), "unanswered")

    def tell(self, body: Any) -> None:
        """Give the actor a message without a waiter, as actors send it."""
        assert self._turn([Envelope(body)]).replies == []

    def evict(self, app: App | None = None) -> None:
        """Forget the actor and build it again from what was stored, with other code if given."""
        if app is not None:
            self.actor_type = WorkflowActorType(Surroundings(app))
        stored = None
        if self.record is not None:
            stored = Stored(key=1, record=self.record, entries=list(self.entries), active=self.busy)
        self.actor.close()
        self.actor = self.actor_type.activate(self.address, stored)

    def restart(self, app: App | None = None) -> None:
        """Evict the actor, and send it the message that follows a restart."""
        self.evict(app)
        self.messages.clear()
        self.send(RECOVER)

    def done(self, task_id: int, result: str | None = None, failure: Any = None) -> Any:
        return self.send(ActivityDone(self.execution_id, task_id, result, failure))

    def child_done(self, task_id: int, status: Status, result: str | None = None, failure: Any = None) -> Any:
        return self.send(ChildDone(self.execution_id, task_id, status.value, result, failure))

    def raise_event(self, name: str, data: str | None = None) -> Any:
        return self.send(RaiseEvent(name, data))

    def suspend(self) -> Any:
        return self.send(Suspend(None))

    def resume(self) -> Any:
        return self.send(Resume(None))

    def terminate(self, output: str | None = None, *, recurse: bool = True) -> Any:
        return self.send(Terminate(output, recurse))

    def purge(self, *, force: bool = False) -> Any:
        return self.send(Purge(force))

    def fire(self) -> None:
        """Let time pass until the next reminder, and deliver it."""
        name, due_us = min(self.reminders, key=lambda reminder: reminder[1])
        self.now_us = max(self.now_us, due_us)
        self.send(ReminderDue(name, due_us))

    # State for a test.

    @property
    def state(self) -> InstanceState:
        assert self.record is not None
        first, last = (self.entries[0], self.entries[-1]) if self.entries else (None, None)
        return state_of(self.address.id, Inspection(record=self.record, first=first, last=last, updated_us=self.now_us))

    @property
    def status(self) -> Status:
        return self.state.status

    @property
    def execution_id(self) -> str:
        return self.state.execution_id

    @property
    def invoked(self) -> list[str]:
        """The activities requested since the start (or restart), by name."""
        return [body.name for _, body in self.messages if isinstance(body, Invoke)]

    def sent(self, body_type: type) -> list[tuple[str, Any]]:
        """The sent messages of one type, with their receivers."""
        return [(address.id, body) for address, body in self.messages if isinstance(body, body_type)]

    @property
    def rows(self) -> list[Row]:
        return [unpack_row(entry) for entry in self.entries]

    @property
    def history(self) -> list[Event]:
        return [event for row in self.rows for event in (*(row.turn or ()), *row.held)]

    def _turn(self, envelopes: list[Envelope]) -> Turn:
        if self.forgetful:
            self.evict()
        self.now_us += 1_000
        turn = self.actor.turn(envelopes, self.now_us)
        self._store(turn)
        return turn

    def _store(self, turn: Turn) -> None:
        if turn.reset:
            self.entries.clear()
        if turn.delete:
            self.record = self.facets = None
            self.entries.clear()
        if turn.entry is not None:
            self.entries.append(turn.entry)
        if turn.record is not None:
            self.record = turn.record
        if turn.facets is not None:
            self.facets = turn.facets
        assert not set(turn.reminders_set) & set(turn.reminders_cleared)
        self.reminders -= set(turn.reminders_cleared)
        self.reminders |= set(turn.reminders_set)
        self.messages += [*turn.messages, *turn.early]
        for note in turn.notes:
            self.journal.note(note)
        self.audit += [unpack_audit(row.body) for row in turn.audit]
        self.busy = turn.busy
