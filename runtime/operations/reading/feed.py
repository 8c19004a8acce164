"""The feed of instances: the changes in a list of instances, as they happen, on all hosts.

The rule: a reader gets each change of an instance that fits its filter, each instance that does not fit it any more,
and each purge; or it gets RESET if it has missed changes, and reads the list again.

`http/management/routes/streams.py` writes it out. The changes come from `actors/cluster/changes.py`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

from ....actors.cluster.changes import Change, ChangeFeed, Place
from ....actors.hosting.host import Host
from ....actors.store.listing import Facets, ListFilter, fits
from ....actors.waiting.signal import Signal
from ...directory import AppAddresses

CHANGES_AT_ONCE = 256  # that a reader takes from one host before it gives others a turn


class FeedKind(StrEnum):
    """The kinds of news."""

    CHANGE = "change"  # it fits the filter, and is new in it or has changed
    LEAVE = "leave"  # it fits the filter no more
    GONE = "gone"  # it was purged
    RESET = "reset"  # something was missed


class FeedEvent(NamedTuple):
    """An event for a reader of the feed."""

    kind: FeedKind
    position: str  # behind it; opaque
    id: str = ""
    facets: Facets | None = None  # of a change and a leave
    record: bytes = b""  # of a change


class Feed:
    """The feed of a host's daemon."""

    def __init__(self, host: Host, own: AppAddresses) -> None:
        self._host = host
        self._own = own

    @asynccontextmanager
    async def reading(
        self, wanted: ListFilter, *, only: str | None = None, after: str | None = None
    ) -> AsyncIterator["FeedReader"]:
        """Follow a list until the block ends.

        Args:
            wanted: The filter of the list; for how long an entry is in flight cannot be followed.
            only: The id of the instance that is followed; None: all that fit.
            after: The position of the last event that was read; None: from now on.
        """
        assert wanted.in_flight_since_us is None
        changes = self._host.changes
        async with changes.reading() as signal:
            yield FeedReader(changes, signal, wanted, only, after, self._own.workflow)


class FeedReader:
    """One reader of the feed."""

    def __init__(
        self,
        changes: ChangeFeed,
        signal: Signal,
        wanted: ListFilter,
        only: str | None,
        after: str | None,
        actor_type: str,
    ) -> None:
        self._type = actor_type
        self._changes = changes
        self._signal = signal
        self._wanted = wanted
        # The state of an instance before its change is unknown if an earlier release wrote it; these cannot have
        # changed.
        self._lasting = replace(
            wanted, statuses=None, not_statuses=frozenset(), updated_from_us=None, updated_to_us=None
        )
        self._only = only
        self._places = {name: ring.place for name, ring in changes.rings.items()}
        self._missed = False
        if after is not None:
            known = parse_position(after)
            self._missed = known is None or known.keys() != self._places.keys()
            self._places = self._places if known is None or self._missed else known

    @property
    def position(self) -> str:
        """The position of the reader."""
        return ",".join(f"{name}:{place.start}:{place.number}" for name, place in self._places.items())

    async def next(self) -> list[FeedEvent]:
        """Wait for events and return them; the list may be empty, for example if the host is stopping."""
        if not (found := self._take()):
            await self._signal.wait()
            found = self._take()
        return found

    def _take(self) -> list[FeedEvent]:
        found: list[FeedEvent] = []
        rings = self._changes.rings
        if rings.keys() != self._places.keys():
            # A host has come or left, and shards with it: its last changes may not have arrived here.
            self._places = {name: self._places.get(name, ring.place) for name, ring in rings.items()}
            self._missed = True
        for name, ring in rings.items():
            place = self._places[name]
            news = ring.behind(place, limit=CHANGES_AT_ONCE)
            if news.missed:
                self._missed = True
                self._places[name] = news.place
            for number, change in enumerate(news.changes, place.number + 1):
                self._places[name] = Place(place.start, number)
                if (kind := self._kind(change)) is not None:
                    event = FeedEvent(kind, self.position, change.address.id, change.facets, change.record or b"")
                    found.append(event)
        if len(found) >= CHANGES_AT_ONCE:
            self._signal.set()  # there may be more
        if not self._missed:
            return found
        # Missed changes may be older or newer than the found ones: the list is read again in any case.
        self._missed = False
        return [FeedEvent(FeedKind.RESET, self.position)]

    def _kind(self, change: Change) -> FeedKind | None:
        if change.address.type != self._type or (self._only is not None and change.address.id != self._only):
            return None
        facets = change.facets
        if facets is not None and fits(self._wanted, change.address.id, facets):
            return FeedKind.CHANGE
        if change.created or not self._may_have_fitted(change):
            return None
        return FeedKind.LEAVE if facets is not None else FeedKind.GONE

    def _may_have_fitted(self, change: Change) -> bool:
        """Whether an instance fitted the filter before a change, as far as that is known."""
        if change.before is not None:
            return fits(self._wanted, change.address.id, change.before)
        return change.facets is None or fits(self._lasting, change.address.id, change.facets)


def parse_position(text: str) -> dict[str, Place] | None:
    """Read the position of a reader; None if it is invalid."""
    places: dict[str, Place] = {}
    for part in text.split(","):
        name, _, rest = part.partition(":")
        start, _, number = rest.partition(":")
        if not name or not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        places[name] = Place(start, int(number))
    return places
