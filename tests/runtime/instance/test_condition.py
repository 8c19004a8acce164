"""A condition names a state that an instance must still have, and the refusal names its state."""

import pytest

from perdure import Status
from perdure.actors.store.listing import ListFilter
from perdure.runtime.errors import NoMatch, RunChanged
from perdure.runtime.history.facets import facets_of
from perdure.runtime.history.record import InstanceRecord
from perdure.runtime.instance.condition import ANY, Condition, of_run, unmet

RECORD = InstanceRecord(Status.RUNNING, "order", "x1", 1_000)


def refused(condition: Condition, *, stuck_since_us: int | None = None) -> object:
    return unmet(
        condition, "i", RECORD, facets=facets_of(RECORD, 2_000), idle_since_us=None, stuck_since_us=stuck_since_us
    )


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        (ListFilter(), True),
        (ListFilter(statuses=frozenset({"RUNNING"}), names=frozenset({"order"}), root=True, id_prefix="i"), True),
        (ListFilter(statuses=frozenset({"FAILED"})), False),
        (ListFilter(updated_to_us=2_000), False),
        (ListFilter(tags={"region": "eu"}), False),
        (ListFilter(id_prefix="j"), False),
    ],
)
def test_a_filter_must_fit(wanted: ListFilter, holds: bool) -> None:
    error = refused(Condition(filter=wanted))
    assert error is None if holds else isinstance(error, NoMatch)


def test_an_empty_condition_holds_for_all() -> None:
    assert refused(ANY) is None


def test_another_run_is_named_in_the_refusal() -> None:
    assert refused(of_run("x1")) is None
    error = refused(of_run("x0"))
    assert isinstance(error, RunChanged)
    assert str(error) == (
        "instance 'i' is another run by now: the request is for 'x0', and the id belongs to 'x1'. Nothing was done. "
        "Look at the instance again, and decide anew."
    )


@pytest.mark.parametrize(("since_us", "holds"), [(None, False), (0, True), (5, True), (6, False)])
def test_stuck_means_since_then(since_us: int | None, holds: bool) -> None:
    error = refused(Condition(stuck_since_us=5), stuck_since_us=since_us)
    assert error is None if holds else isinstance(error, NoMatch)
