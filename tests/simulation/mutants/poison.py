"""Mutants of the flight notes of hosts that share a store, and of what follows from them."""

import pytest

from perdure.actors.hosting.probation import Probation
from perdure.actors.hosting.quarantine import Flight, Suspect
from perdure.actors.hosting.shards.flights import FlightNotes
from perdure.actors.store.presence.flights import FlightKey

from .catalogue import mutant


@mutant("I9", kind="poison")
def the_ends_of_hosts_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    def after(self: Suspect, flight: Flight, *, alone: bool) -> Suspect:
        return Suspect(self.name, self.what, took_s=flight.took_s, alone=int(alone))

    patch.setattr(Suspect, "after", after)


@mutant("I9", kind="poison", rates={"activity.slow": 0.3})
def an_innocent_is_set_aside_with_the_culprit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Suspect, "condemned", property(lambda self: True))


@mutant("I9", kind="poison")
def work_that_is_over_stays_noted(patch: pytest.MonkeyPatch) -> None:
    def over(self: FlightNotes, key: FlightKey) -> None:
        self._noted.pop(key, None)

    patch.setattr(FlightNotes, "_over", over)


@mutant("I9", kind="poison")
def a_suspect_does_not_wait_for_the_floor(patch: pytest.MonkeyPatch) -> None:
    def come(self: Probation, found: object) -> None:
        """As if no instance were suspect."""

    patch.setattr(Probation, "come", come)
