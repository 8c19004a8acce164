"""The flight record: the attempts under way in this process, for the process that follows it.

The rule: the record outlives the process, not the machine. It is a mapped file beside the store that is never flushed;
a power cut is not caused by an attempt under way, and leaves a record that is rejected or out of date.

The turn loop notes the turn under way, and the activities of the runtime note each attempt that runs in this process.
`actors/hosting/probation.py` opens the record, and `actors/hosting/quarantine.py` decides what follows from it.

The file, little endian:

* a header: magic, state (1: in use, 0: ended in order), number of slots, number of suspects, the last sign of life;
* the turn under way;
* a slot for each attempt under way, with the actor that has requested it: by its id, or by its type and its id;
* the suspects with which this process began, and those of them that it has cleared;
* the actors that could not be read, so that the next process tries them only once. These outlive an orderly end.
"""

import hashlib
import logging
import mmap
import os
import struct
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Protocol

import anyio

from ..address import Address
from ..plain_file import FileUnfit, read_plain
from ..store.contract import Store
from ..waiting.signal import Signal
from .quarantine import Flight, Suspect, suspects_after

logger = logging.getLogger(__name__)

MAGIC = b"PDFLT001"
HEADER = struct.Struct("<8sB7xIId")  # magic, state, slots, suspects, alive
STATE = 8  # offset of the state
ALIVE = struct.Struct("<d")
ALIVE_AT = 24
TURN_AT = 64
TURN = struct.Struct("<BxH200s")  # 1: under way; the length of the name, the name
SLOTS_AT = 320
SLOT = struct.Struct("<BxHH2xd200s96s")  # 1: under way; lengths, when it began, name, activity
SUSPECT = struct.Struct(
    "<BxHHHIIId200s96s4x"
)  # 1: suspect, 2: and has had the floor; lengths, ends, early, alone, took, name, activity
TRIED = 2
UNREADABLE_SLOTS = struct.Struct("<I")
UNREADABLE_SLOTS_AT = 32
UNREADABLE = struct.Struct("<BxH200s")  # 1: in use; the length of the name, the name
UNREADABLE_MAX = 64  # beyond it the oldest are forgotten
NAME_BYTES = 200
BYTES_MAX = 64 * 1024 * 1024  # a file larger than this, and than this record, is not a record
WHAT_BYTES = 96
MARK = "\0"  # before and after the type, in a name that has a type

# How often a sign of life is written while an attempt is under way. The last sign shows how long the attempt took.
ALIVE_S = 0.25


def name_of(actor_id: str) -> bytes:
    """The name of an actor in the record: its id, or the beginning and a digest of a long one."""
    name = actor_id.encode("utf-8", "surrogatepass")
    return name if len(name) < NAME_BYTES else name[: NAME_BYTES - 32] + hashlib.sha256(name).digest()


def id_of(name: bytes) -> str | None:
    """The id of the actor with a name; None if the name has only a part of the id."""
    return name.decode("utf-8", "surrogatepass") if len(name) < NAME_BYTES else None


def record_of(store: Store, actor_type: str, slots: int) -> "FlightRecord | None":
    """Make the flight record beside a store that is a file; None for another store."""
    return record_beside(store.path, actor_type=actor_type, slots=slots) if store.path is not None else None


def record_beside(path: str, *, actor_type: str, slots: int) -> "FlightRecord":
    """The record beside a store. A symbolic link to the store's file leads to the same record, and to the same lock."""
    return FlightRecord(f"{os.path.realpath(path)}.flight", actor_type=actor_type, slots=slots)


class Flights(Protocol):
    """Notes all work that begins and ends in a process, and knows which actors are suspect.

    `FlightRecord` implements it, and `actors/hosting/shards/flights.py` where hosts share a store.
    """

    types: Collection[str]  # only turns of actors of these types run code that can end the process
    suspects: list[Suspect]
    cleared: Signal

    def turn_begins(self, address: Address) -> None:
        """Note that an actor takes its turn now."""
        ...

    def turns_over(self) -> None:
        """Note that no turn is being taken."""
        ...

    def turn_ended(self, address: Address) -> None:
        """Clear an actor of the suspicion of its turns: it has taken a turn that had an effect."""
        ...

    def waits_for(self, address: Address) -> bool:
        """Whether an activity that an actor has requested has to be noted before it begins."""
        ...

    async def noted(self, address: Address, what: str) -> None:
        """Note an activity that is about to begin, and return once it may begin."""
        ...

    def begin(self, address: Address, what: str) -> int:
        """Note that an activity begins; return its slot, -1 if it has none."""
        ...

    def end(self, slot: int) -> None:
        """Note that an activity has ended, with any outcome."""
        ...

    def tries(self, name: bytes) -> None:
        """Note that a suspect has the floor now."""
        ...

    def heard(self, name: bytes) -> None:
        """Note that the time for which a suspect has had the floor is over."""
        ...

    def clear_actor(self, address: Address) -> None:
        """Clear an actor of everything."""
        ...

    async def run(self) -> None:
        """Write signs of life while something is under way, until cancelled."""
        ...


class FlightRecord:
    """The record of one process.

    Args:
        path: Its file.
        actor_type: The type of the actors that are named by their id alone. Other names contain the type too.
        slots: How many attempts at once are noted; further ones are not.
    """

    def __init__(self, path: str | os.PathLike[str], *, actor_type: str, slots: int) -> None:
        self.path = os.fspath(path)
        self.actor_type = actor_type
        self.types: Collection[str] = frozenset((actor_type,))
        self.suspects: list[Suspect] = []  # the suspects with which this process began, without the cleared ones
        self.cleared = Signal()  # a suspect was cleared
        self.unreadable: list[bytes] = []  # names of actors that could not be read, in this process or one before
        self._slots = slots
        self._map: mmap.mmap | None = None
        self._descriptor: int | None = None
        self._size = 0
        self._mended = False
        self._free: list[int] = []
        self._keys: dict[int, tuple[bytes, bytes]] = {}  # slot -> name and activity of a suspect attempt
        self._places: dict[tuple[bytes, bytes], int] = {}  # the offset of each suspect in the file
        self._unreadable_at = 0  # the offset of their slots in the file
        self._alive = False  # whether signs of life are being written
        self._work = Signal()

    def name(self, address: Address) -> bytes:
        """The name of an actor in this record."""
        return name_of(address.id if address.type == self.actor_type else f"{MARK}{address.type}{MARK}{address.id}")

    def address_of(self, name: bytes) -> Address | None:
        """The actor with a name; None if the name has only a part of the id."""
        whole = id_of(name)
        if whole is None or not whole.startswith(MARK):
            return Address(self.actor_type, whole) if whole is not None else None
        actor_type, _, actor_id = whole[1:].partition(MARK)
        return Address(actor_type, actor_id)

    # From the start to the end.

    def open(self) -> None:
        """Read the record of the process before, and begin a new one. Without a writable file there is no record.

        To be called when no other process has the store.
        """
        before = self._read()
        self.suspects = suspects_after(*before) if before is not None else []
        self._unreadable_at = SLOTS_AT + SLOT.size * self._slots + SUSPECT.size * len(self.suspects)
        size = self._unreadable_at + UNREADABLE.size * UNREADABLE_MAX
        beginning = f"{self.path}.new"
        try:
            with suppress(FileNotFoundError):
                os.unlink(beginning)
            file = os.open(beginning, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
            try:
                # The file gets its pages before it is mapped: on a full disk, a write into a hole ends the process.
                missing = size
                while missing:  # a full disk may write a part
                    missing -= os.write(file, bytes(missing))
                mapped = mmap.mmap(file, size)
                self._fill(mapped)
                # The file is whole, or that of the process before: this process may end at any moment.
                os.replace(beginning, self.path)
            except BaseException:
                os.close(file)
                raise
        except OSError as error:
            logger.warning(
                "the flight record %s cannot be written (%s): an activity that ends this process will not be found",
                self.path,
                error,
            )
            return
        self._map, self._descriptor, self._size = mapped, file, size
        self._write_unreadable(mapped)
        self._free = list(range(self._slots))
        if self.suspects:
            self._alive = True
            self._work.set()

    def close(self) -> None:
        """End in order: no attempt of this process is suspect. Closing twice is harmless."""
        if self._map is not None:
            self._map[STATE] = 0
            self._map.close()
            self._map = None
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def mend(self) -> bool:
        """Give the file the length of the mapping again if it was cut short, and say whether it was.

        The record begins anew then: attempts under way at that moment are not in it. `mend` is called within an access
        to the mapping, so it touches only the file (`daemon/process/mapped_files.py`).

        Raises:
            OSError: It cannot be written.
        """
        if self._descriptor is None or os.fstat(self._descriptor).st_size >= self._size:
            return False
        content = bytearray(self._size)
        self._fill(content)
        self._write_unreadable(content)
        written = 0
        while written < self._size:
            written += os.pwrite(self._descriptor, memoryview(content)[written:], written)
        self._mended = True
        return True

    async def run(self) -> None:
        """Write signs of life while something is under way, until cancelled."""
        while True:
            await self._work.wait()
            while self._map is not None and (len(self._free) < self._slots or self.suspects):
                ALIVE.pack_into(self._map, ALIVE_AT, time.monotonic())
                if self._mended:
                    self._mended = False
                    logger.warning("the flight record %s was cut short, and has begun anew", self.path)
                await anyio.sleep(ALIVE_S)
            self._alive = False

    # The attempts under way.

    def turn_begins(self, address: Address) -> None:
        """Note that an actor takes its turn now."""
        if self._map is not None and address.type in self.types:
            name = self.name(address)
            TURN.pack_into(self._map, TURN_AT, 1, len(name), name)

    def turns_over(self) -> None:
        """Note that no turn is being taken."""
        if self._map is not None:
            self._map[TURN_AT] = 0

    def turn_ended(self, address: Address) -> None:
        """Clear an actor of the suspicion of its turns: it has taken a turn that had an effect."""
        if self.suspects:
            self._clear((self.name(address), b""))

    def waits_for(self, address: Address) -> bool:
        """False: no attempt waits for its note, because a record in memory is written at once."""
        return False

    async def noted(self, address: Address, what: str) -> None:
        """Return at once; see `waits_for`."""

    def begin(self, address: Address, what: str) -> int:
        """Note that an attempt of an activity begins.

        Args:
            address: The actor that has requested it.
            what: Identifies the activity within its actor; the same when it is performed again after a restart.

        Returns:
            Its slot; -1: no slot is free, or there is no record.
        """
        if self._map is None or not self._free:
            return -1
        slot = self._free.pop()
        name, attempt = self.name(address), what.encode("utf-8", "surrogatepass")[:WHAT_BYTES]
        SLOT.pack_into(
            self._map,
            SLOTS_AT + SLOT.size * slot,
            1,
            len(name),
            len(attempt),
            time.monotonic(),
            name,
            attempt,
        )
        if self.suspects:
            self._keys[slot] = (name, attempt)
        if not self._alive:
            self._alive = True
            self._work.set()
        return slot

    def end(self, slot: int) -> None:
        """Note that an attempt has ended, with any outcome."""
        if slot < 0 or self._map is None:
            return
        self._map[SLOTS_AT + SLOT.size * slot] = 0
        self._free.append(slot)
        if self._keys and (key := self._keys.pop(slot, None)) is not None:
            self._clear(key)

    def clear(self, name: bytes) -> None:
        """Clear an actor of everything, by its name."""
        for suspect in [suspect for suspect in self.suspects if suspect.name == name]:
            self._clear((suspect.name, suspect.what))

    def clear_actor(self, address: Address) -> None:
        """Clear an actor of everything."""
        self.clear(self.name(address))

    def was_unreadable(self, address: Address) -> bool:
        """Whether an actor could not be read before, perhaps by the process before this one."""
        return address.type in self.types and self.name(address) in self.unreadable

    def is_unreadable(self, address: Address) -> None:
        """Note that an actor cannot be read, for the next processes."""
        if address.type in self.types and not self.was_unreadable(address):
            self.unreadable = [*self.unreadable, self.name(address)][-UNREADABLE_MAX:]
            self._write_unreadable(self._map)

    def tries(self, name: bytes) -> None:
        """Note that a suspect has the floor now."""
        for (suspected, _), place in self._places.items():
            if suspected == name and self._map is not None:
                self._map[place] = TRIED

    def heard(self, name: bytes) -> None:
        """Note that a suspect has had the floor. It stays suspect until its attempt or this process has ended."""

    def _clear(self, key: tuple[bytes, bytes]) -> None:
        place = self._places.pop(key, None)
        if place is None or self._map is None:
            return
        self._map[place] = 0
        self.suspects = [suspect for suspect in self.suspects if (suspect.name, suspect.what) != key]
        self.cleared.set()

    # The file.

    def _fill(self, mapped: mmap.mmap | bytearray) -> None:
        HEADER.pack_into(mapped, 0, MAGIC, 1, self._slots, len(self.suspects), time.monotonic())
        place = SLOTS_AT + SLOT.size * self._slots
        for suspect in self.suspects:
            name, what, ends, early, alone, took_s, _ = suspect
            SUSPECT.pack_into(mapped, place, 1, len(name), len(what), 0, ends, early, alone, took_s, name, what)
            self._places[name, what] = place
            place += SUSPECT.size
        UNREADABLE_SLOTS.pack_into(mapped, UNREADABLE_SLOTS_AT, UNREADABLE_MAX)

    def _write_unreadable(self, mapped: mmap.mmap | bytearray | None) -> None:
        if mapped is not None:
            for index, name in enumerate(self.unreadable):
                UNREADABLE.pack_into(mapped, self._unreadable_at + UNREADABLE.size * index, 1, len(name), name)

    def _read(self) -> tuple[Sequence[Suspect], Sequence[Flight]] | None:
        """Read the record of the process before; None if it ended in order, or there is no valid record."""
        try:
            file = read_plain(self.path, bytes_max=max(BYTES_MAX, 2 * SLOT.size * self._slots))
            magic, state, slots, suspects, alive_s = HEADER.unpack_from(file)
            if magic != MAGIC:
                return None
            self.unreadable = _unreadable_in(file, slots, suspects)
            if state == 0:
                return None
            return _suspects_in(file, slots, suspects), _flights_in(file, slots, alive_s)
        except (FileUnfit, struct.error) as error:
            if not os.path.lexists(self.path):
                return None
            logger.warning("the flight record %s cannot be read, and tells nothing: %s", self.path, error)
            return None


def _unreadable_in(file: bytes, slots: int, suspects: int) -> list[bytes]:
    found: list[bytes] = []
    (count,) = UNREADABLE_SLOTS.unpack_from(file, UNREADABLE_SLOTS_AT)  # 0 in a record of an earlier release
    at = SLOTS_AT + SLOT.size * slots + SUSPECT.size * suspects
    for index in range(count):
        state, name_bytes, name = UNREADABLE.unpack_from(file, at + UNREADABLE.size * index)
        if state:
            found.append(name[:name_bytes])
    return found


def _suspects_in(file: bytes, slots: int, suspects: int) -> list[Suspect]:
    found: list[Suspect] = []
    for index in range(suspects):
        at = SLOTS_AT + SLOT.size * slots + SUSPECT.size * index
        state, name_bytes, what_bytes, _, ends, early, alone, took_s, name, what = SUSPECT.unpack_from(file, at)
        if state:
            tried = state == TRIED
            found.append(Suspect(name[:name_bytes], what[:what_bytes], ends, early, alone, took_s, tried))
    return found


def _flights_in(file: bytes, slots: int, alive_s: float) -> list[Flight]:
    found: list[Flight] = []
    for index in range(slots):
        state, name_bytes, what_bytes, begun_s, name, what = SLOT.unpack_from(file, SLOTS_AT + SLOT.size * index)
        if state:
            took_s = max(0.0, alive_s - begun_s)
            found.append(Flight(name[:name_bytes], what[:what_bytes], took_s, begun_s))
    state, name_bytes, name = TURN.unpack_from(file, TURN_AT)
    if state:
        # No other code runs during a turn, so the turn is tried first.
        found.append(Flight(name[:name_bytes], b"", 0.0, float("inf")))
    return found
