"""A job goes to the worker that knows its instance, else to a near worker with few jobs."""

from typing import Any

import pytest

from perdure.actors.address import Address
from perdure.journal.journal import Journal
from perdure.runtime.workers.items import Worker
from perdure.runtime.workers.limits import DispatchLimits
from perdure.runtime.workers.room import NEARER_BY, Room
from perdure.runtime.workers.stream import Job, Stream, StreamRoom

from ...support.workflows.remote_workers import call, turn


def stream(jobs: int = 0, *, gate: str | None = None, keeps: bool = False, full: bool = False) -> Stream:
    """A stream with this number of activities, of this host or of another."""
    made = Stream(
        Worker("peer", "agent", stateful=True),
        lambda job: None,
        gate=gate,
        room=StreamRoom(jobs, 0) if full else StreamRoom(100, 100),
        now_us=lambda: 0,
    )
    for number in range(jobs):
        made.activities[Address("activity", str(number))] = Job(Address("activity", str(number)), call(number))
    if keeps:
        made._sent["i"] = ("x", 1)
    return made


def chosen(job: Job, *streams: Stream, **limits: Any) -> int | None:
    """The stream that gets a job."""
    found = Room(DispatchLimits(**limits), streams, Journal()).choose(job)
    return streams.index(found) if found is not None else None


ACTIVITY, TURN = Job(Address("activity", "i::1"), call()), Job(Address("work", "i"), turn())


@pytest.mark.parametrize("job", [ACTIVITY, TURN])
@pytest.mark.parametrize(
    ("streams", "index"),
    [
        ([], None),
        ([stream(3), stream(2)], 1),
        ([stream(3, gate="b"), stream(2, gate="b")], 1),
        ([stream(gate="b"), stream()], 1),
        ([stream(gate="b"), stream(NEARER_BY - 1)], 1),
        ([stream(gate="b"), stream(NEARER_BY + 1)], 0),
        ([stream(full=True), stream(9, gate="b")], 1),
        ([stream(3, full=True), stream(0, gate="b", full=True)], None),
    ],
)
def test_a_worker_of_this_host_is_chosen_unless_it_has_several_jobs_more(
    job: Job, streams: list[Stream], index: int | None
) -> None:
    assert chosen(job, *streams) == index


def test_a_turn_goes_to_the_worker_that_keeps_its_history_wherever_that_is() -> None:
    streams = [stream(), stream(20, gate="b", keeps=True)]
    assert chosen(TURN, *streams) == 1
    assert chosen(ACTIVITY, *streams) == 0


def test_a_stream_whose_host_cannot_be_reached_is_given_nothing() -> None:
    parked = stream(gate="b", keeps=True)
    parked.parked = True
    assert chosen(TURN, parked) is None
    assert chosen(TURN, parked, stream(50)) == 1


@pytest.mark.parametrize(("limit", "hosts", "part"), [(1, 1, 1), (1, 3, 1), (10, 3, 4), (9, 3, 3), (None, 3, None)])
def test_limits_on_all_workers_are_divided_by_the_hosts_and_rounded_up(
    limit: int | None, hosts: int, part: int | None
) -> None:
    by_name = {} if limit is None else {"a": limit}
    limits = DispatchLimits(workflows_max=limit, activities_max=limit, workflow_max=by_name, activity_max=by_name)
    divided = limits.divided(hosts)
    assert (divided.workflows_max, divided.activities_max) == (part, part)
    assert (divided.workflow_max, divided.activity_max) == ({} if part is None else {"a": part},) * 2
    assert divided.activities_per_stream_max == limits.activities_per_stream_max
