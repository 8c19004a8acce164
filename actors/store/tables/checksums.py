"""Checksums of records, entries and items: a blob that has changed on the disk never leaves the store.

The rule: no blob leaves the store before its checksum is compared. The checksum covers the blob and its row, so that a
sound blob in the wrong row is found too.

From version 3 on there are five bytes before a blob: MARK, and a crc32. No record or entry begins with MARK, because
the MessagePack format has no such byte. Rows of older versions have no checksum, and are read without one; `meta` has
the last row that may be such a row (`Unsealed`). A store on PostgreSQL has no such rows (`ALL_SEALED`). Writers of
rows seal, readers unseal, and `perdure store check` unseals every row.
"""

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Any, NamedTuple
from zlib import crc32

MARK = 0xC1
BEFORE = Struct("<BI")  # MARK, crc32
SEALED_BYTES = BEFORE.size
PLACE = Struct("<qqq")  # of an entry: the key of its actor, its position, its time


class Unsealed(NamedTuple):
    """The last rows that a release without checksums may have written; 0 and 0 if no such release had the store."""

    key: int = 0  # of records
    position: int = 0  # of entries


ALL_SEALED = Unsealed()


class Damaged(Exception):
    """A row differs from the row that was written. The message describes the row and the difference."""


def seal_record(key: int, type_: str, id_: str, record: bytes) -> bytes:
    """Put the checksum of a record before it."""
    return BEFORE.pack(MARK, crc32(record, crc32(f"{key} {type_} {id_}".encode()))) + record


def seal_entry(key: int, position: int, at_us: int, entry: bytes) -> bytes:
    """Put the checksum of an entry of the log before it."""
    return BEFORE.pack(MARK, crc32(entry, crc32(PLACE.pack(key, position, at_us)))) + entry


def sealed_entries(entries: Iterable[tuple[int, int, bytes]], position: int) -> list[Any]:
    """The values of rows of the log for SQLite, one row after the other, each entry with its checksum before it.

    The entries are bytearrays, which `sqlite3` binds directly. For each `bytes` object it looks for an adapter first,
    which takes longer than the rest of the binding.

    Args:
        entries: (key, time, entry) of each.
        position: The position of the first entry; the others follow it.
    """
    values: list[Any] = []
    before, place = BEFORE.pack, PLACE.pack
    # A loop without a function call for each entry, because this runs for every entry that is written.
    for key, at_us, entry in entries:
        checksum = crc32(entry, crc32(place(key, position, at_us)))
        values += (position, key, at_us, bytearray(before(MARK, checksum) + entry))
        position += 1
    return values


def unseal_record(key: int, type_: str, id_: str, blob: Any, unsealed: Unsealed) -> bytes:
    """Compare the checksum of a record, and return the record.

    Raises:
        Damaged: The record differs from the one that was written.
    """
    return _unseal(blob, crc32(f"{key} {type_} {id_}".encode()), "its record", older=key <= unsealed.key)


def unseal_entry(key: int, position: int, at_us: Any, blob: Any, unsealed: Unsealed) -> bytes:
    """Compare the checksum of an entry of the log, and return the entry.

    Raises:
        Damaged: The entry differs from the one that was written.
    """
    what = f"entry {position} of its history"
    if not isinstance(at_us, int):
        raise Damaged(f"the time of {what} is no number")
    return _unseal(blob, crc32(PLACE.pack(key, position, at_us)), what, older=position <= unsealed.position)


def unseal_ends(key: int, columns: Sequence[Any], unsealed: Unsealed) -> tuple[bytes | None, bytes | None, int]:
    """Compare the checksums of the first and the last entry of a log.

    Args:
        columns: Position, time and entry of the first entry and of the last; None without entries.

    Returns:
        Both entries, and the time of writing of the last; 0 without entries.

    Raises:
        Damaged: An entry differs from the one that was written.
    """
    first_position, first_us, first, last_position, last_us, last = columns
    if first_position is None or last_position is None:
        return None, None, 0
    begin = unseal_entry(key, first_position, first_us, first, unsealed)
    if last_position == first_position:
        return begin, begin, last_us
    return begin, unseal_entry(key, last_position, last_us, last, unsealed), last_us


def seal_item(key: int, name: bytes, version: int, expires_us: int, value: bytes) -> bytes:
    """Put the checksum of an item's value before it."""
    return BEFORE.pack(MARK, crc32(value, _place_of_item(key, name, version, expires_us))) + value


def unseal_item(key: int, name: bytes, version: Any, expires_us: Any, blob: Any) -> bytes:
    """Compare the checksum of an item's value, and return the value.

    Raises:
        Damaged: The item differs from the one that was written.
    """
    what = f"its item {name!r}"
    if not isinstance(version, int) or not isinstance(expires_us, int):
        raise Damaged(f"the version or the expiry of {what} is no number")
    return _unseal(blob, _place_of_item(key, name, version, expires_us), what, older=False)


def _place_of_item(key: int, name: bytes, version: int, expires_us: int) -> int:
    return crc32(name, crc32(PLACE.pack(key, version, expires_us)))


def _unseal(blob: Any, place: int, what: str, *, older: bool) -> bytes:
    if not isinstance(blob, bytes):
        raise Damaged(f"{what} is no blob")
    if blob[:1] != b"\xc1":
        if older:
            return blob
        raise Damaged(f"{what} has no checksum")
    if len(blob) < SEALED_BYTES:
        raise Damaged(f"{what} has {len(blob)} bytes, fewer than its checksum")
    content = blob[SEALED_BYTES:]
    if BEFORE.unpack_from(blob)[1] != crc32(content, place):
        raise Damaged(f"{what} does not match its checksum")
    return content
