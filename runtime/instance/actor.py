"""The workflow actor: one instance, as a virtual actor.

Its memory is `workflow_state.py`, and what it does with messages `workflow_turn.py`.
"""

from collections.abc import Sequence

from ...actors.address import Address
from ...actors.store.contract import Stored
from ...actors.turn import Envelope, Turn
from .state import Instance
from .surroundings import Surroundings
from .turn import WorkflowTurn


class WorkflowActorType:
    """Makes the workflow actors of an engine."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings

    def activate(self, address: Address, stored: Stored | None) -> "WorkflowActor":
        return WorkflowActor(self.surroundings, address.id, stored)


class WorkflowActor(Instance):
    """An instance that takes turns."""

    __slots__ = ()

    def turn(self, envelopes: Sequence[Envelope], now_us: int) -> Turn:
        return WorkflowTurn(self, now_us).take(envelopes)
