"""Mutants of state stores: conditions, and the writes of a turn."""

from collections.abc import Sequence

import pytest

from perdure.actors.turn import Envelope, Turn
from perdure.runtime.state import actor
from perdure.runtime.state.actor import RecentItems, StateActor
from perdure.runtime.state.message import ItemChange, SeenItem

from .catalogue import mutant


@mutant("E19", kind="values")
def a_state_store_trusts_the_reads_of_callers(patch: pytest.MonkeyPatch) -> None:
    original = RecentItems.now

    def now(self: RecentItems, name: str, seen: SeenItem | None, seen_at: int) -> SeenItem | None:
        return seen if seen is not None else original(self, name, seen, seen_at)

    patch.setattr(RecentItems, "now", now)


@mutant("E19", kind="shared")
def the_first_write_wins_over_those_before_it(patch: pytest.MonkeyPatch) -> None:
    original = actor.refusal

    def refusal(change: ItemChange, there: SeenItem, now_us: int) -> str | None:
        return original(change, there, now_us) if change.etag else None

    patch.setattr(actor, "refusal", refusal)


@mutant("E19", kind="values")
def of_the_saves_of_a_turn_the_first_is_written(patch: pytest.MonkeyPatch) -> None:
    original = StateActor.turn

    def turn(self: StateActor, envelopes: Sequence[Envelope], now_us: int) -> Turn:
        made = original(self, envelopes, now_us)
        assert isinstance(made.items, list)
        made.items[:] = made.items[:1]
        return made

    patch.setattr(StateActor, "turn", turn)
