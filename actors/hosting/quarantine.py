"""Quarantine: which actors are suspected of ending the process, and which are set aside for it.

The rule: these functions decide and do nothing else. They see the attempts that were under way at each end of a process
that was not orderly. A culprit is only an attempt that was under way at every such end, apart from ends at which it was
kept from running.

An end is an observation. A suspect is observed again alone. From its second observation alone on, the process pauses
before it begins the suspect, for longer than the suspect took at the last end plus a random time: if the process ends
during this pause, the suspect was not under way, and is cleared. A culprit ends the process at about the same time
after its begin as before; an end that comes sooner or later counts as a first one. So work is not taken for a culprit
if the process that happens to run it is killed from outside again and again.

`actors/hosting/flight_record.py` keeps the attempts; `actors/hosting/probation.py` carries out the decisions made here.
docs/design/flight-record.md has the reasons.
"""

from collections.abc import Sequence
from typing import NamedTuple

# An end counts as early if it came at most this long after the suspect had begun.
EARLY_S = 60.0
# How many ends in a row make a culprit: early ends that were near one another, or any ends.
EARLY_ENDS = 3
ENDS = 10
# Two ends are near if the times that a suspect took until them differ by at most this.
NEAR_S = 0.5
NEAR_SHARE = 0.2
# How many of the last ends must have had no other suspect under way.
ALONE_ENDS = 2

# Limits of the time for which a suspect has the floor: twice the time that it took until the last end.
FLOOR_MIN_S = 2.0
FLOOR_MAX_S = 60.0
# The pause before an observation that may decide: up to half as long again, by chance.
PAUSE_MIN_S = 2.0
PAUSE_MAX_S = 120.0
PAUSE_CHANCE = 0.5


class Flight(NamedTuple):
    """One attempt that was under way when the process ended."""

    name: bytes  # of the actor (`name_of` in `actors/hosting/flight_record.py`)
    what: bytes  # its activity; empty: its turn
    took_s: float  # how long the attempt had been under way
    begun: float  # when it began, in seconds of a clock of the process that ended


class Suspect(NamedTuple):
    """One attempt that was under way at the last end, and perhaps at the ends before."""

    name: bytes
    what: bytes
    ends: int = 1  # ends in a row, up to the last one; of late ends only the near ones
    early: int = 1  # how many of the last ends were early and near
    alone: int = 0  # at how many of the last ends no other suspect was under way
    took_s: float = 0.0  # how long the attempt took until the last end
    tried: bool = False  # it has had the floor in this process

    @property
    def condemned(self) -> bool:
        """Whether this suspect is the culprit."""
        return self.alone >= ALONE_ENDS and (self.early >= EARLY_ENDS or self.ends >= ENDS)

    @property
    def floor_s(self) -> float:
        """How long the other suspects wait for this one."""
        return min(FLOOR_MIN_S + 2 * self.took_s, FLOOR_MAX_S)

    def pause_s(self, chance: float) -> float:
        """How long this suspect waits before it begins.

        Args:
            chance: A random number from 0 to 1, so that regular kills do not coincide with the suspect.
        """
        if self.alone + 1 < ALONE_ENDS:
            return 0.0
        return min(PAUSE_MIN_S + 3 * self.took_s, PAUSE_MAX_S) * (1 + PAUSE_CHANCE * chance)

    def after(self, flight: Flight, *, alone: bool) -> "Suspect":
        """The same suspect after another end at which it was under way.

        Args:
            alone: No other suspect was under way.
        """
        early = flight.took_s <= EARLY_S
        spread_s = NEAR_S + NEAR_SHARE * min(flight.took_s, self.took_s)
        near = abs(flight.took_s - self.took_s) <= spread_s
        return self._replace(
            ends=self.ends + 1 if early or near else 1,
            early=self.early * near + 1 if early else 0,
            alone=self.alone + 1 if alone else 0,
            took_s=flight.took_s,
            tried=False,
        )


def suspects_after(before: Sequence[Suspect], under_way: Sequence[Flight]) -> list[Suspect]:
    """The suspects after an end that was not orderly, in the order in which they are tried.

    Args:
        before: The suspects of the process that has ended, without the ones that it has cleared.
        under_way: The attempts that were under way when it ended.
    """
    known = {(suspect.name, suspect.what): suspect for suspect in before}
    ended = {(flight.name, flight.what) for flight in under_way}
    tried = {flight.name for flight in under_way if (flight.name, flight.what) in known}
    found: list[Suspect] = []
    # The attempt that began last is tried first: it is the likeliest culprit.
    for flight in sorted(under_way, key=lambda flight: flight.begun, reverse=True):
        earlier = known.get((flight.name, flight.what))
        if earlier is None:
            early = flight.took_s <= EARLY_S
            found.append(Suspect(flight.name, flight.what, early=int(early), took_s=flight.took_s))
        else:
            found.append(earlier.after(flight, alone=len(tried) == 1))
    if under_way:
        # This end is no evidence for or against a suspect that waited for others: two culprits would clear each other.
        found.extend(each for each in before if not each.tried and (each.name, each.what) not in ended)
    # The suspect that is nearest to a decision is tried first.
    return sorted(found, key=lambda suspect: suspect.alone, reverse=True)


def reason_of(suspect: Suspect) -> str:
    """Say why an actor is set aside, for people."""
    what = "one of its activities was" if suspect.what else "a turn of its code was"
    return (
        f"set aside: {what} under way at {suspect.ends} ends of the process in a row, each without an orderly stop and "
        f"the last {suspect.alone} with no other suspect under way. Nothing of it begins until it is released "
        "(`perdure repair ID release`, or `perdure store release ID` while no daemon has the store)."
    )
