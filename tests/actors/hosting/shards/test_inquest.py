"""The suspects follow from the notes of a dead host, at the epoch at which it had the shard."""

from typing import Any

from perdure.actors.address import Address
from perdure.actors.hosting.quarantine import Suspect
from perdure.actors.hosting.shards.inquest import label_of, suspect_of, suspected
from perdure.actors.store.presence.flights import NO_SHARD, SIGN_OF_LIFE, FlightNote

ME, DEAD, OTHER = 9, 1, 2
A, B, C = (Address("wf", name) for name in "abc")
ALIVE_S = 20.0


def note(address: Address, what: str = "", **fields: Any) -> FlightNote:
    """A note of the dead host; by default under way for ten seconds, in shard 3 at epoch 7."""
    given = {"host": DEAD, "shard": 3, "epoch": 7, "begun_s": ALIVE_S - 10} | fields
    return FlightNote(address=address, what=what, **given)


def sign(host: int = DEAD, at_s: float = ALIVE_S) -> FlightNote:
    return FlightNote(host, SIGN_OF_LIFE, "", NO_SHARD, 0, at_s)


def found(*notes: FlightNote, lost: bool = True, epochs: dict[int, int] | None = None) -> dict[str, Suspect]:
    epochs = {3: 8} if epochs is None else epochs
    return {each.address.id: each.suspect for each in suspected([sign(), *notes], epochs, epochs if lost else ())}


def test_what_was_under_way_is_suspect_and_how_long_it_took_is_known() -> None:
    suspects = found(note(A, "a:1"), note(B))
    assert suspects == {
        "a": Suspect(label_of(A), b"a:1", ends=1, early=1, took_s=10.0),
        "b": Suspect(label_of(B), b"", ends=1, early=1, took_s=0.0),
    }


def test_two_actors_of_two_apps_with_one_id_are_two_suspects() -> None:
    other = Address("wf@bank", "a")
    suspects = suspected([sign(), note(A), note(other)], {3: 8}, {3})
    assert {each.address for each in suspects} == {A, other}
    assert len({each.suspect.name for each in suspects}) == 2


def test_a_note_of_another_epoch_tells_nothing() -> None:
    # The next owner of the shard after the host of this note has noted nothing, and has died.
    assert found(note(A), epochs={3: 9}) == {}
    # The shard has come from another host.
    assert found(note(A), epochs={3: 7}) == {}
    assert found(note(A), epochs={4: 8}) == {}


def test_a_suspect_that_is_under_way_alone_at_its_ends_is_condemned() -> None:
    known = note(A, "a:1")
    for ends, alone in ((1, 0), (2, 1), (3, 2)):
        suspect = found(known)["a"]
        assert (suspect.ends, suspect.alone, suspect.condemned) == (ends, alone, ends == 3)
        known = note(A, "a:1", ends=ends, early=suspect.early, alone=alone, took_s=suspect.took_s, tried=True)


def test_a_suspect_in_a_shard_that_another_host_takes_was_there_too() -> None:
    # Given two suspects under way on one host, in shards that two hosts take,
    one = note(A, ends=1, early=1, tried=True)
    other = note(B, shard=4, epoch=2, ends=1, early=1, tried=True)
    # then each of the two sees that neither suspect was alone, and has only its own suspect.
    assert found(one, other) == {"a": suspect_of(one)._replace(ends=2, early=2, alone=0, tried=False)}
    assert found(one, other, epochs={4: 3}) == {"b": suspect_of(other)._replace(ends=2, early=2, alone=0, tried=False)}


def test_one_that_had_the_floor_and_was_not_under_way_is_cleared_and_one_that_waited_is_not() -> None:
    heard = note(A, begun_s=None, ends=2, early=2, alone=1, tried=True)
    waits = note(B, begun_s=None, ends=2, early=2, alone=1)
    assert found(heard, waits, note(C)).keys() == {"b", "c"}


def test_an_end_at_which_nothing_was_under_way_clears_all() -> None:
    assert found(note(A, begun_s=None, ends=2, early=2, alone=1)) == {}


def test_one_that_was_condemned_stays_so_until_it_is_set_aside() -> None:
    condemned = note(A, begun_s=None, ends=3, early=3, alone=2, tried=True)
    assert found(condemned)["a"].condemned
    assert found(condemned, note(B))["a"].condemned


def test_a_shard_that_is_given_takes_its_suspects_along_and_nothing_is_counted() -> None:
    suspects = found(note(A, ends=1, early=1, tried=True), note(B), lost=False)
    assert suspects == {"a": Suspect(label_of(A), b"", ends=1, early=1)}


def test_the_one_that_is_nearest_to_a_decision_is_the_first() -> None:
    notes = [sign(), note(A, ends=1, early=1), note(B, begun_s=None, ends=2, early=2, alone=2), note(C)]
    assert next(each.address.id for each in suspected(notes, {3: 8}, {3})) == "b"


def test_the_notes_of_one_host_say_nothing_of_another_one() -> None:
    notes = [sign(), sign(OTHER, 500.0), note(A, "a:1"), note(B, host=OTHER, shard=4, epoch=1, begun_s=100.0)]
    (only,) = suspected(notes, {3: 8}, {3})
    assert (only.address, only.suspect.took_s) == (A, 10.0)
