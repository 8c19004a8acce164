"""The flight notes of a host that shares its store: the work under way here, for the next owners of its shards.

The rule: notes are written only when there is a reason. As long as no host has died, no note is written. A shard whose
owner has died is *watched* by the next owner: work of its actors is noted in the store before it begins, and its note
is struck once the work is over. If this host dies too, the next owner finds the work that was under way in the notes.
The actors of that work are suspect and stay noted until they are cleared, and they run one after the other
(`actors/hosting/probation.py`).

`actors/hosting/shards/inquest.py` decides which actors are suspect. `actors/hosting/mailroom.py` and the activities of
the runtime ask whether work has to be noted. Where a host has its store for itself,
`actors/hosting/flight_record.py` does the same in a file. docs/design/flight-record.md has the reasons.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import anyio

from ...address import Address
from ...cluster.placement import Placement
from ...store.errors import as_store_error
from ...store.presence.flights import NO_SHARD, SIGN_OF_LIFE, FlightBook, FlightKey, FlightNote
from ...waiting.signal import Signal
from ..quarantine import EARLY_S, Suspect
from .inquest import Suspected, label_of, suspected

# How long a shard is watched. A takeover begins the work of a shard anew at once: turns in flight, due reminders,
# messages that other hosts send again, and callers that have waited (`WaitingRoom.WAIT_S`).
WATCH_S = 10.0
# How often a host with work under way notes that it lives; and the same if all its work has lasted for over EARLY_S.
SIGN_S = 0.25
LATE_SIGN_S = 5.0
RETRY_S = 0.5  # after the store has failed to write notes
NOTES_AT_ONCE = 1_000  # of work about to begin, with one statement
NOTES_MAX = 10_000  # further work under way is not noted

TURN = ""  # the activity in the note of a turn


class FlightNotes:
    """The work under way on one host, and its suspects.

    Args:
        book: Holds the notes.
    """

    def __init__(self, book: FlightBook) -> None:
        self.types: Collection[str] = ()  # of actors whose turns run code that can end the process
        self.cleared = Signal()  # a suspect was cleared
        self.suspects: list[Suspect] = []
        self._book = book
        self._placement = Placement("")
        self._go_on: Callable[[Address], bool] = lambda address: False
        self._unrecovered: Callable[[], Iterable[Address]] = tuple
        self._watched: dict[int, float] = {}  # shard -> until when, at least
        self._struck: dict[int, int] = {}  # watched shard -> epoch; notes from before it are to be struck
        self._suspected: dict[FlightKey, Suspect] = {}
        self._kept: set[Address] = set()  # the actors of suspects
        self._heard: dict[FlightKey, float] = {}  # suspects that have had the floor -> until when they may still begin
        self._asked: dict[FlightKey, anyio.Event | None] = {}  # work to be noted before it begins; None: a turn
        self._noted: dict[FlightKey, float] = {}  # work under way -> when it was noted
        self._taken: list[Address] = []  # turns of this slice that were noted
        self._slots: dict[int, FlightKey] = {}
        self._next_slot = 0
        self._changed: set[FlightKey] = set()  # suspects whose notes are to be written anew
        self._gone: set[FlightKey] = set()
        self._signed_s = 0.0
        self._work = Signal()

    def attach(
        self, placement: Placement, go_on: Callable[[Address], bool], unrecovered: Callable[[], Iterable[Address]]
    ) -> None:
        """Connect the notes to the host.

        Args:
            placement: The shard of an actor, and the shard's epoch here.
            go_on: Lets an actor take its turn, once it is noted; returns whether it takes one.
            unrecovered: Actors that are still to be woken because they had work in flight.
        """
        self._placement, self._go_on, self._unrecovered = placement, go_on, unrecovered

    # Shards that come and go.

    async def look(self, epochs: Mapping[int, int], lost: Collection[int]) -> Sequence[Suspected]:
        """Find the suspects in shards that are about to be opened, and note them.

        Args:
            epochs: Shard -> epoch.
            lost: The shards among them whose owner has died.

        Raises:
            StoreError: Notes could not be read or written.
        """
        notes = await self._book.flights()
        found = suspected(notes, epochs, lost)
        if found:
            await self._book.note(
                [self._note(each.address, each.suspect, each.shard, epochs[each.shard]) for each in found]
            )
        old = {note.shard for note in notes if note.epoch < epochs.get(note.shard, 0)}
        self._struck.update({shard: epochs[shard] for shard in old})
        return found

    def come(self, epochs: Mapping[int, int], lost: Collection[int], found: Sequence[Suspected]) -> None:
        """Watch shards whose owner has died, as they are opened, and remember their suspects."""
        until_s = anyio.current_time() + WATCH_S
        self._watched.update({shard: until_s for shard in epochs if shard in lost or shard in self._struck})
        for each in found:
            self._suspected[each.address, each.suspect.what.decode()] = each.suspect
        self._settle()
        if self._watched:
            self._work.set()

    def leave(self, has: Callable[[Address], bool], shard: int | None) -> None:
        """Forget the notes of actors whose shards have left. The next owner reads them from the store.

        Args:
            shard: The shard of these actors; None: all shards have left, because this host was taken for dead.
        """
        for key in [key for key in self._asked if has(key[0])]:
            self._release(key)
        for key in [key for key in self._noted if has(key[0])]:
            del self._noted[key]
            if key not in self._suspected:
                self._gone.add(key)
        for key in [key for key in self._suspected if has(key[0])]:
            del self._suspected[key]
            self._heard.pop(key, None)
        if shard is None:
            self._watched.clear()
            self._struck.clear()
            self._gone.clear()
            self._changed.clear()
        else:
            self._watched.pop(shard, None)
            self._struck.pop(shard, None)
        self._changed = {key for key in self._changed if not has(key[0])}
        self._settle()
        self.cleared.set()

    # Work that begins.

    @property
    def watching(self) -> bool:
        """Whether work that begins may have to be noted."""
        return bool(self._watched or self._kept)

    def holds(self, address: Address) -> bool:
        """Whether the turn of an actor has to wait until it is noted; the turn is then taken without another call."""
        key = (address, TURN)
        if address.type not in self.types or not self._is_watched(address) or key in self._noted:
            return False
        if len(self._noted) >= NOTES_MAX:
            return False
        self._ask(key, None)
        return True

    def waits_for(self, address: Address) -> bool:
        """Whether the activities of an actor have to be noted before they begin."""
        return self.watching and self._is_watched(address)

    async def noted(self, address: Address, what: str) -> None:
        """Note an activity that is about to begin. Returns once the note outlives this host."""
        key = (address, what)
        if key not in self._noted and len(self._noted) < NOTES_MAX:
            event = self._asked.get(key)
            if event is None:
                event = anyio.Event()
                self._ask(key, event)
            await event.wait()

    def begin(self, address: Address, what: str) -> int:
        """As in a flight record: note that an activity begins. One that was not noted has no slot."""
        if (address, what) not in self._noted:
            return -1
        self._next_slot += 1
        self._slots[self._next_slot] = (address, what)
        return self._next_slot

    def end(self, slot: int) -> None:
        """As in a flight record: note that an activity has ended, with any outcome."""
        key = self._slots.pop(slot, None)
        if key is not None:
            self._clear(key)
            self._over(key)

    def turn_begins(self, address: Address) -> None:
        """As of a flight record."""
        if self._noted and (address, TURN) in self._noted:
            self._taken.append(address)

    def turns_over(self) -> None:
        """As of a flight record."""
        if self._taken:
            taken, self._taken = self._taken, []
            for address in taken:
                self._over((address, TURN))

    def turn_ended(self, address: Address) -> None:
        """As of a flight record."""
        self._clear((address, TURN))

    # Suspects.

    def tries(self, name: bytes) -> None:
        """Note that a suspect has the floor now."""
        for key, suspect in self._suspected.items():
            if suspect.name == name:
                self._suspected[key] = suspect._replace(tried=True)
                self._changed.add(key)
        self._settle()
        self._work.set()

    def heard(self, name: bytes) -> None:
        """Note that a suspect has had the floor. If none of its work begins soon, the suspect is cleared."""
        until_s = anyio.current_time() + WATCH_S
        self._heard.update({key: until_s for key, suspect in self._suspected.items() if suspect.name == name})
        self._work.set()

    def clear_actor(self, address: Address) -> None:
        """As of a flight record."""
        for key in [key for key in self._suspected if key[0] == address]:
            self._clear(key)

    # The notes.

    async def run(self) -> None:
        """Write the notes, until cancelled."""
        while True:
            await self._work.wait()
            while self._pause_s() > 0:
                if self._is_due():
                    try:
                        await self._write()
                    except Exception as error:
                        as_store_error(error, "noting work under way")
                        await anyio.sleep(RETRY_S)
                        continue
                await self._end_watches()
                if not self._asked:
                    await self._work.wait_for(self._pause_s())

    def _pause_s(self) -> float:
        """How long the loop may wait before it writes again; 0: it writes no more, until it has work to note."""
        if self._noted:
            return self._sign_every_s()
        return WATCH_S / 10 if self._watched or self._heard or self._is_due() else 0.0

    def _sign_every_s(self) -> float:
        latest_s = max(self._noted.values())
        return SIGN_S if anyio.current_time() - latest_s <= EARLY_S else LATE_SIGN_S

    def _is_due(self) -> bool:
        if self._asked or self._changed or self._gone:
            return True
        return bool(self._noted) and anyio.current_time() - self._signed_s >= self._sign_every_s()

    async def _write(self) -> None:
        now = anyio.current_time()
        asked = list(self._asked)[:NOTES_AT_ONCE]
        changed, gone = set(self._changed), set(self._gone)
        put: dict[FlightKey, FlightNote] = {}
        for key in (*changed, *asked):
            address, what = key
            shard = self._placement.shard_of(address)
            begun_s = self._noted.get(key, now if key in self._asked else None)
            suspect = self._suspected.get(key) or Suspect(label_of(address), what.encode(), ends=0, early=0)
            epoch = self._placement.known_epoch(shard)
            put[key] = self._note(address, suspect, shard, epoch, begun_s=begun_s)
        if put or self._noted:
            sign = Suspect(b"", b"", ends=0, early=0)
            put[SIGN_OF_LIFE, TURN] = self._note(SIGN_OF_LIFE, sign, NO_SHARD, 0, begun_s=now)
        struck = [key for key in gone if key not in put]
        self._changed -= changed
        self._gone -= gone
        try:
            await self._book.note(list(put.values()), struck)
        except BaseException:
            self._changed |= changed & self._suspected.keys()
            self._gone |= gone
            raise
        self._signed_s = now
        for key in asked:
            if key in self._asked:  # its shard has not left meanwhile
                self._noted[key] = now
                self._gone.discard(key)
                self._release(key)
            elif key not in self._suspected:
                self._gone.add(key)

    def _release(self, key: FlightKey) -> None:
        """Let work begin that has waited for its note."""
        event = self._asked.pop(key)
        if event is not None:
            event.set()
        elif key in self._noted and not self._go_on(key[0]):
            self._over(key)  # the actor has no turn to take

    async def _end_watches(self) -> None:
        now = anyio.current_time()
        for key in [key for key, until_s in self._heard.items() if until_s <= now and key not in self._noted]:
            del self._heard[key]
            self._clear(key)
        due = [shard for shard, until_s in self._watched.items() if until_s <= now]
        if due:
            waiting = {self._placement.shard_of(address) for address in self._unrecovered()}
            over = [shard for shard in due if shard not in waiting]
            struck = {shard: self._struck[shard] for shard in over if shard in self._struck}
            if struck:
                try:
                    await self._book.strike(struck)
                except Exception as error:
                    as_store_error(error, "striking what was under way")
                    await anyio.sleep(RETRY_S)
                    return
            for shard in over:
                self._watched.pop(shard, None)
                self._struck.pop(shard, None)

    # Inside.

    def _is_watched(self, address: Address) -> bool:
        return address in self._kept or self._placement.shard_of(address) in self._watched

    def _ask(self, key: FlightKey, event: anyio.Event | None) -> None:
        if key not in self._asked:
            self._asked[key] = event
            self._work.set()

    def _over(self, key: FlightKey) -> None:
        """Record that work is not under way any more."""
        if self._noted.pop(key, None) is not None:
            if key in self._suspected:
                self._changed.add(key)
            else:
                self._gone.add(key)
            self._work.set()

    def _clear(self, key: FlightKey) -> None:
        if self._suspected.pop(key, None) is not None:
            self._heard.pop(key, None)
            self._changed.discard(key)
            self._gone.add(key)
            self._settle()
            self._work.set()
            self.cleared.set()

    def _settle(self) -> None:
        self.suspects = list(self._suspected.values())
        self._kept = {address for address, _ in self._suspected}

    def _note(
        self,
        address: Address,
        suspect: Suspect,
        shard: int,
        epoch: int,
        *,
        begun_s: float | None = None,
    ) -> FlightNote:
        return FlightNote(self._book.host, address, suspect.what.decode(), shard, epoch, begun_s, *suspect[2:])
