"""The workflow actor: one instance, as a virtual actor.

The rule: an instance changes in turns only. `state.py` has its memory, and `turn.py` handles its messages; the host of
the actors calls both through these two classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid5

from ...actors.address import Address
from ...actors.store.audit import AuditRow
from ...actors.store.contract import Inspection, Stored
from ...actors.store.listing import Facets
from ...actors.turn import Envelope, Turn
from ..history.audit import AuditAction, audit_entry, row_of
from ..history.facets import stored_facets
from .message import Purge
from .sheet import AUDIT
from .state import Instance
from .surroundings import Surroundings
from .turn import take_turn


class WorkflowActorType:
    """Makes the workflow actors of an engine."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings

    def purges(self, body: Any) -> bool:
        # The run of an instance that cannot be read is unknown.
        return isinstance(body, Purge) and body.condition.runs is None

    def purge_audit(self, address: Address, body: Any, now_us: int) -> Sequence[AuditRow]:
        assert isinstance(body, Purge)
        if body.by is None:
            return ()
        entry_id = uuid5(AUDIT, f"{address.id}/{now_us}").hex
        entry = audit_entry(
            body.by, AuditAction.PURGE, id=entry_id, at_us=now_us, instance_id=address.id, execution_id=None
        )
        return (row_of(entry),)

    def activate(self, address: Address, stored: Stored | None) -> "WorkflowActor":
        return WorkflowActor(self.surroundings, address.id, stored)

    def facets(self, outside: Inspection) -> Facets | None:
        return stored_facets(outside)


class WorkflowActor(Instance):
    """An instance that takes turns."""

    __slots__ = ()

    @property
    def log_fields(self) -> Mapping[str, Any]:
        return {"workflow": self.record.name} if self.record is not None else {}

    def turn(self, envelopes: Sequence[Envelope], now_us: int) -> Turn:
        return take_turn(self, envelopes, now_us)
