"""Room: which worker gets a job, and whether any may have one more.

The rule: a stream has no more jobs of a kind than its room, and all together have no more than the limits. A worker of
this host is preferred to one of another host unless it has several jobs more, because a hop costs less than the wait
behind them.

`runtime/workers/dispatcher.py` has one. The module chooses and counts; it dispatches nothing.
"""

from collections.abc import Sequence

from ...journal.journal import Journal
from ...journal.vocabulary import WAITING_FOR_ROOM
from ..instance.message import Invoke
from .limits import DispatchLimits
from .stream import Job, Stream, StreamRoom

# A worker of this host may have this many jobs more before one of another host is chosen. A job that waits behind five
# activities of 0.1 ms each loses as much time as the way to another host and back takes.
NEARER_BY = 5


class Room:
    """Counts the jobs that workers have, and chooses streams.

    Args:
        limits: How many jobs one stream, and all streams together, may have at once. They may be replaced.
        streams: All streams.
        journal: Gets lines about jobs that wait for room.
    """

    def __init__(self, limits: DispatchLimits, streams: Sequence[Stream], journal: Journal) -> None:
        self.limits = limits
        self._streams = streams
        self._journal = journal
        self._at_work: dict[str, int] = {}  # the number of jobs that workers have, by kind, and by kind and name

    @property
    def whole(self) -> StreamRoom:
        """The room of a stream that no other host gives jobs to."""
        return StreamRoom(self.limits.activities_per_stream_max, self.limits.workflows_per_stream_max)

    def count(self, job: Job, by: int) -> None:
        """Count a job that a worker has got, or does not have any more."""
        for counter in _counters(job):
            self._at_work[counter] = self._at_work.get(counter, 0) + by
            if self._at_work[counter] == 0:
                del self._at_work[counter]

    def choose(self, job: Job) -> Stream | None:
        """A stream with room: one that keeps the history of the instance, or has little to do; None if all are full."""
        if self._has_full_kind(job):
            return None
        free = [stream for stream in self._streams if not stream.parked and stream.has_room(job)]
        if job.hung_with is not None:
            free = [stream for stream in free if stream is not job.hung_with] or free
        if not isinstance(job.request, Invoke):
            for stream in free:
                if stream.worker.stateful and stream.keeps(job.request.instance_id):
                    return stream
        return min(free, key=_to_do, default=None)

    def has_full_name(self, job: Job) -> bool:
        """Whether workers have as many jobs of this name as they may."""
        by_name = self.limits.activity_max if isinstance(job.request, Invoke) else self.limits.workflow_max
        limit = by_name.get(job.request.name)
        return limit is not None and self._at_work.get(_counters(job)[1], 0) >= limit

    def tell_full(self, job: Job) -> None:
        """Log which limit a job waits for."""
        limits = self.limits
        activity = isinstance(job.request, Invoke)
        if self._has_full_kind(job):
            limit = "max_concurrent_activities" if activity else "max_concurrent_workflows"
            maximum = limits.activities_max if activity else limits.workflows_max
        else:
            limit = "activities_per_worker" if activity else "turns_per_worker"
            maximum = limits.activities_per_stream_max if activity else limits.workflows_per_stream_max
        what = "activities of remote workers" if activity else "turns of remote workers"
        self._journal.write(WAITING_FOR_ROOM, what=what, limit=limit, maximum=maximum)

    def _has_full_kind(self, job: Job) -> bool:
        """Whether workers have as many turns, or as many activities, as they may."""
        limits = self.limits
        limit = limits.activities_max if isinstance(job.request, Invoke) else limits.workflows_max
        return limit is not None and self._at_work.get(_counters(job)[0], 0) >= limit


def _to_do(stream: Stream) -> int:
    """The sort key of streams: how many jobs they have, and how far their workers are."""
    return stream.load if stream.gate is None else stream.load + NEARER_BY


def _counters(job: Job) -> tuple[str, str]:
    kind = "activity" if isinstance(job.request, Invoke) else "workflow"
    return kind, f"{kind}/{job.request.name}"
