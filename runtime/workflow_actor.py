"""The workflow actor: one instance, as a virtual actor.

What is here is its memory; what it does with a message stands in
`workflow_turn.py`.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgpack

from ..actors.address import Address
from ..actors.store.contract import Stored
from ..actors.turn import Envelope, Turn
from .app import App, WorkflowDefinition
from .codec import Encoder
from .event import Arrival
from .execution import Execution
from .history import Row, RowPacker, unpack_row
from .offer import Offer
from .open_work import OpenWork
from .patches import patches_of
from .record import InstanceRecord, unpack_record
from .timeline import Timeline
from .work import TimedEvent
from .workflow_turn import WorkflowTurn

# What is shown of an instance's history to what it asks for: its id, the events, a Propagation, and what it may
# itself see; out comes a serialized PropagatedHistory, or None.
Propagate: TypeAlias = Callable[[str, Sequence[TimedEvent], int, bytes | None], bytes | None]


class WorkflowActorType:
    """Makes the workflow actors of an engine.

    Args:
        app: None means that no workflow code is here: instances wait for it.
        waits_for_workers: Whether what the app does not have is left to remote workers, however long it takes for
            one to come. If not, it fails at once, as it does with a worker that does not have it.
    """

    def __init__(
        self,
        app: App | None,
        *,
        app_id: str = "perdure",
        waits_for_workers: Callable[[], bool] = lambda: False,
        propagate: Propagate = lambda instance_id, events, scope, received: None,
    ) -> None:
        self.app = app
        self.app_id = app_id
        self.waits_for_workers = waits_for_workers
        self.propagate = propagate
        self.observed = False  # somebody wants to know of each end
        self.encoder = Encoder()
        self.packer = RowPacker()
        self.record_packer = msgpack.Packer()  # as there: dear to make and cheap to use again

    def activate(self, address: Address, stored: Stored | None) -> "WorkflowActor":
        return WorkflowActor(self, address.id, stored)

    def definition(self, name: str) -> WorkflowDefinition | None:
        return self.app.workflows.get(name) if self.app is not None else None


class WorkflowActor:
    """One instance in memory. Its fields belong to `WorkflowTurn`, which works on them one turn at a time."""

    __slots__ = (
        "actor_type",
        "execution",
        "held",
        "instance_id",
        "last_us",
        "offered",
        "patches",
        "ran_us",
        "record",
        "rows",
        "stalled_here",
        "timeline",
        "unconfirmed",
        "work",
    )

    def __init__(self, actor_type: WorkflowActorType, instance_id: str, stored: Stored | None) -> None:
        self.actor_type = actor_type
        self.instance_id = instance_id
        # None: there is no instance with this id.
        self.record: InstanceRecord | None = None
        # Of this generation; kept only until the execution is built from it.
        self.rows: list[Row] = []
        self.work = OpenWork()
        self.execution: Execution | None = None
        # What is durable and not fed yet.
        self.held: list[Arrival] = []
        # Of a remote execution: its history as its worker knows it, the patches that were applied, the turn that
        # is offered to workers or with one now, and when the code has run last (Unix time, microseconds).
        self.timeline: Timeline | None = None
        self.patches: tuple[str, ...] = ()
        self.offered: Offer | None = None
        self.ran_us = 0
        # When its last turn was taken; Unix time, microseconds.
        self.last_us = 0
        # Children whose id the code chose, and of which nobody has said yet that they exist.
        self.unconfirmed: set[int] = set()
        # The code that is here has been tried on the history and does not fit.
        self.stalled_here = False
        if stored is not None:
            self._remember(stored)

    def turn(self, envelopes: Sequence[Envelope], now_us: int) -> Turn:
        return WorkflowTurn(self, now_us).take(envelopes)

    def close(self) -> None:
        """Leave memory."""
        if self.execution is not None:
            self.execution.close()

    def forget(self) -> None:
        """Be as if no instance had ever had this id."""
        self.close()
        self.record = None
        self.rows = []
        self.work = OpenWork()
        self.execution = None
        self.held = []
        self.timeline = None
        self.patches = ()
        self.offered = None
        self.unconfirmed = set()
        self.stalled_here = False

    def _remember(self, stored: Stored) -> None:
        self.record = unpack_record(stored.record)
        self.rows = [unpack_row(entry) for entry in stored.entries]
        self.work = OpenWork.of(self.rows, remote=self.record.remote)
        if stored.active:
            self.unconfirmed = {child.event_id for child in self.work.children.values() if child.named}
        if self.rows:
            self.last_us = self.rows[-1].at_us
        if self.record.status.terminal:
            self.rows = self.rows[-1:]
            self.work.keep_only(self.rows)
            return
        for row in self.rows:
            if row.turn is not None:
                del self.held[: row.consumed]
            self.held.extend(row.held)  # type: ignore[arg-type]  # only what arrives is ever held
        if self.record.remote:
            self.timeline = Timeline.of(self.rows)
            self.patches = patches_of(self.rows)
            self.rows = self.rows[-1:]
