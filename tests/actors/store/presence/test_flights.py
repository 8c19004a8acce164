"""A note is known by its actor and its activity, among those of its host.

`tests/actors/store/test_cluster_conformance.py` tests the notes of the stores.
"""

from perdure.actors.address import Address
from perdure.actors.store.presence.flights import SIGN_OF_LIFE, FlightNote


def test_a_note_is_known_by_its_actor_and_its_activity() -> None:
    note = FlightNote(1, Address("wf", "a"), "a:1", 3, 7, None)
    assert note.key == (Address("wf", "a"), "a:1")
    assert note.ends == 0
    # No actor has the address of the sign of life: its type is empty.
    assert SIGN_OF_LIFE.type == ""
