"""The inquest: the suspects that follow from the notes of dead hosts, for a host that takes over some of their shards.

The rule: a note counts for a shard at the epoch before the one at which the shard has come. After the end of a host all
its notes are looked at, also those of shards that other hosts take: a suspect was alone only if it was the only one on
the whole host. A shard that was given in order takes its suspects along, and no end is counted.

The module is pure. `actors/hosting/quarantine.py` decides what follows from an end; `actors/hosting/shards/flights.py`
uses this module.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ...address import Address
from ...store.presence.flights import NO_SHARD, SIGN_OF_LIFE, FlightNote
from ..quarantine import Flight, Suspect, suspects_after


class Suspected(NamedTuple):
    """An actor that is suspect, and the shard in which it has come."""

    shard: int
    address: Address
    suspect: Suspect


def label_of(address: Address) -> bytes:
    """The name of an actor as a suspect; no two actors have the same name."""
    return f"{address.type}\0{address.id}".encode("utf-8", "surrogatepass")


def suspected(notes: Sequence[FlightNote], epochs: Mapping[int, int], lost: Collection[int]) -> list[Suspected]:
    """The suspects in shards that have come, in the order in which they are tried.

    Args:
        notes: The notes of all hosts.
        epochs: Shard -> the epoch at which this host owns it.
        lost: The shards among them whose owner has died. The owners of the other shards have given them.
    """
    hosts: dict[int, list[FlightNote]] = {}
    for note in notes:
        hosts.setdefault(note.host, []).append(note)
    found: list[Suspected] = []
    for of_host in hosts.values():
        here = {note.key: note for note in of_host if note.epoch == epochs.get(note.shard, 0) - 1}
        if not here:
            continue
        left = {note.key: note for note in here.values() if note.shard in lost}
        if left:
            by_name = {(label_of(address), what.encode()): note for (address, what), note in left.items()}
            after = ((suspect, by_name.get((suspect.name, suspect.what))) for suspect in _after_end(of_host))
            found += [Suspected(note.shard, note.address, suspect) for suspect, note in after if note is not None]
        given = (note for note in here.values() if note.shard not in lost and note.ends)
        found += [Suspected(note.shard, note.address, suspect_of(note)._replace(tried=False)) for note in given]
    return sorted(found, key=lambda each: each.suspect.alone, reverse=True)


def suspect_of(note: FlightNote) -> Suspect:
    """The suspect that a note describes."""
    name, what = label_of(note.address), note.what.encode()
    return Suspect(name, what, note.ends, note.early, note.alone, note.took_s, note.tried)


def _after_end(notes: Sequence[FlightNote]) -> list[Suspect]:
    """The suspects after the end of a host.

    Args:
        notes: All notes of the host.
    """
    alive_s = max((note.begun_s or 0.0 for note in notes if note.address == SIGN_OF_LIFE), default=0.0)
    flights = [
        # The duration of a turn is unknown: the event loop, which writes signs of life, stood still.
        Flight(
            label_of(note.address),
            note.what.encode(),
            max(0.0, alive_s - note.begun_s) if note.what else 0.0,
            note.begun_s,
        )
        for note in notes
        if note.begun_s is not None and note.shard != NO_SHARD
    ]
    before = [suspect_of(note) for note in notes if note.ends]
    after = suspects_after(before, flights)
    # A suspect that was to be set aside and was not yet: an end with another cause does not clear it.
    known = {(suspect.name, suspect.what) for suspect in after}
    condemned = (suspect for suspect in before if suspect.condemned and (suspect.name, suspect.what) not in known)
    return [*condemned, *after]
