"""A record or an entry reads back as it was sealed, and a change at any place makes it damaged."""

from typing import Any

import pytest

from perdure.actors.store.tables.checksums import (
    Damaged,
    Unsealed,
    seal_entry,
    seal_record,
    sealed_entries,
    unseal_ends,
    unseal_entry,
    unseal_record,
)

NONE = Unsealed()
ALL = Unsealed(key=2**63 - 1, position=2**63 - 1)


def flips(blob: bytes) -> list[bytes]:
    """Each blob that differs in one bit."""
    return [blob[:at] + bytes([blob[at] ^ 1 << bit]) + blob[at + 1 :] for at in range(len(blob)) for bit in range(8)]


def sealed_entry(key: int, position: int, at_us: int, entry: bytes) -> bytes:
    (*_, blob) = sealed_entries([(key, at_us, entry)], position)
    assert type(blob) is bytearray  # which `sqlite3` binds without a search for an adapter
    return bytes(blob)


def test_what_was_sealed_is_what_comes_back() -> None:
    for content in (b"", b"x", b"\xc1", bytes(range(256)) * 40):
        assert unseal_record(3, "wf", "a", seal_record(3, "wf", "a", content), NONE) == content
        assert unseal_entry(3, 7, 9, sealed_entry(3, 7, 9, content), NONE) == content


def test_every_bit_counts() -> None:
    for blob in flips(seal_record(3, "wf", "a", b"record")):
        with pytest.raises(Damaged):
            unseal_record(3, "wf", "a", blob, NONE)
    for blob in flips(sealed_entry(3, 7, 9, b"entry")):
        with pytest.raises(Damaged):
            unseal_entry(3, 7, 9, blob, NONE)


@pytest.mark.parametrize("bit", range(62))
def test_a_sound_blob_in_another_row_is_found(bit: int) -> None:
    record, entry = seal_record(3, "wf", "a", b"x"), sealed_entry(3, 7, 9, b"x")
    with pytest.raises(Damaged):
        unseal_record(3 ^ 1 << bit, "wf", "a", record, NONE)
    for key, position, at_us in ((3 ^ 1 << bit, 7, 9), (3, 7 ^ 1 << bit, 9), (3, 7, 9 ^ 1 << bit)):
        with pytest.raises(Damaged):
            unseal_entry(key, position, at_us, entry, NONE)


@pytest.mark.parametrize("address", [("wf", "b"), ("vf", "a"), ("wf", "a "), ("w", "fa")])
def test_a_record_under_another_name_is_found(address: tuple[str, str]) -> None:
    with pytest.raises(Damaged):
        unseal_record(3, *address, seal_record(3, "wf", "a", b"x"), NONE)


@pytest.mark.parametrize("blob", [None, 1, 1.5, "text", b"", b"\xc1", b"\xc1\0\0\0", b"bare"])
def test_anything_but_a_sealed_blob_is_damage(blob: Any) -> None:
    with pytest.raises(Damaged):
        unseal_record(3, "wf", "a", blob, NONE)
    with pytest.raises(Damaged):
        unseal_entry(3, 7, 9, blob, NONE)


def test_a_time_that_is_no_number_is_damage() -> None:
    with pytest.raises(Damaged, match="the time of entry 7 of its history is no number"):
        unseal_entry(3, 7, "yesterday", sealed_entry(3, 7, 9, b"x"), NONE)


def test_rows_of_older_releases_are_read_as_they_are_and_no_others() -> None:
    assert unseal_record(3, "wf", "a", b"\x93bare", ALL) == b"\x93bare"
    assert unseal_entry(3, 7, 9, b"", Unsealed(position=7)) == b""
    with pytest.raises(Damaged, match="entry 8 of its history has no checksum"):
        unseal_entry(3, 8, 9, b"bare", Unsealed(position=7))
    with pytest.raises(Damaged, match="does not match"):
        unseal_record(3, "wf", "a", seal_record(4, "wf", "a", b"x"), ALL)


def test_both_ways_to_seal_an_entry_give_the_same() -> None:
    entries = [(3, 9, b"a"), (4, 10, b""), (3, 11, bytes(300))]
    values = sealed_entries(entries, 7)
    assert values[3::4] == [seal_entry(key, 7 + i, at_us, entry) for i, (key, at_us, entry) in enumerate(entries)]
    assert values[:3] == [7, 3, 9]


def test_the_ends_of_a_log_are_its_first_and_its_last_entry() -> None:
    first, last = (7, 9, seal_entry(3, 7, 9, b"a")), (8, 10, seal_entry(3, 8, 10, b"b"))
    assert unseal_ends(3, (*first, *last), NONE) == (b"a", b"b", 10)
    assert unseal_ends(3, (*first, *first), NONE) == (b"a", b"a", 9)
    assert unseal_ends(3, (None,) * 6, NONE) == (None, None, 0)
    for damaged in ((*last, *first[:2], last[2]), (7, 9, last[2], *last)):
        with pytest.raises(Damaged):
            unseal_ends(3, damaged, NONE)
