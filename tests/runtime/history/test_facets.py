"""Facets: the fields of an instance that lists show, and when they change."""

import pytest

from perdure import Status
from perdure.actors.store.contract import Inspection
from perdure.actors.store.listing import Facets
from perdure.runtime.history.event import EventSent, Parent
from perdure.runtime.history.facets import changed_facets, facets_of, status_word, stored_facets
from perdure.runtime.history.record import AsideMark, InstanceRecord, pack_outbox

RUNNING = InstanceRecord(Status.RUNNING, "w", "x", 17)
ASIDE = AsideMark(Status.RUNNING.value, "poison")
SENT = pack_outbox({bytes(16): EventSent(1, "i", "e", None)})


def test_the_facets_of_an_instance_are_the_parts_of_its_record_that_lists_see() -> None:
    record = RUNNING._replace(parent=Parent("p", "px", 1, "pw"), tags=(("a", "1"),), first_us=5, generation=2)
    assert facets_of(record, 30) == Facets("w", "RUNNING", 5, 30, None, "p", (("a", "1"),))


@pytest.mark.parametrize("status", Status)
def test_an_instance_has_ended_with_its_last_change_if_at_all(status: Status) -> None:
    facets = facets_of(RUNNING._replace(status=status), 30)
    assert facets.status == status.name
    assert facets.ended_us == (30 if status.terminal else None)


@pytest.mark.parametrize(
    ("status", "aside", "word"),
    [
        (Status.RUNNING, None, "RUNNING"),
        (Status.STALLED, None, "STALLED"),
        (Status.STALLED, ASIDE, "SET_ASIDE"),
        (Status.COMPLETED, ASIDE, "COMPLETED"),
        (Status.FAILED, None, "FAILED"),
    ],
)
def test_one_that_is_set_aside_has_a_word_of_its_own_until_it_ends(
    status: Status, aside: AsideMark | None, word: str
) -> None:
    record = RUNNING._replace(status=status, set_aside=aside)
    assert status_word(record) == word
    assert facets_of(record, 30).status == word


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        (None, RUNNING, True),
        (RUNNING, RUNNING._replace(status=Status.SUSPENDED), True),
        (RUNNING, RUNNING._replace(status=Status.COMPLETED), True),
        (RUNNING, RUNNING._replace(custom_status="half"), True),
        (RUNNING, RUNNING._replace(execution_id="y", generation=1), True),
        (RUNNING._replace(status=Status.COMPLETED), RUNNING._replace(status=Status.COMPLETED, execution_id="y"), True),
        (RUNNING._replace(status=Status.STALLED), RUNNING._replace(status=Status.STALLED, set_aside=ASIDE), True),
        # Fields that lists do not show:
        (RUNNING, RUNNING._replace(outbox=SENT), False),
        (RUNNING, RUNNING._replace(has_children=True), False),
        (RUNNING, RUNNING._replace(started_us=18, version="2", remote=True), False),
        (RUNNING._replace(status=Status.STALLED, stall="a"), RUNNING._replace(status=Status.STALLED, stall="b"), False),
        # Activities of a finished instance may still be under way; its end does not change.
        (RUNNING._replace(status=Status.FAILED), RUNNING._replace(status=Status.FAILED, set_aside=ASIDE), False),
    ],
)
def test_they_change_with_the_status_the_custom_status_and_the_generation(
    before: InstanceRecord | None, after: InstanceRecord, changes: bool
) -> None:
    assert changed_facets(before, after, 40) == (facets_of(after, 40) if changes else None)


def test_what_an_earlier_release_wrote_has_changed_with_its_newest_row() -> None:
    ended = RUNNING._replace(status=Status.COMPLETED).pack()
    assert stored_facets(Inspection(ended, b"", b"", 99)) == Facets("w", "COMPLETED", 17, 99, 99)
    assert stored_facets(Inspection(RUNNING.pack(), None, None, 0)) == Facets("w", "RUNNING", 17, 17)


def test_an_instance_that_cannot_be_read_has_no_facets() -> None:
    assert stored_facets(Inspection(b"?", None, None, 5)) is None
