"""A job names its activity, and the earlier jobs of the same activity."""

from itertools import pairwise

from perdure import App
from perdure.runtime.activities.job import ActivityJob, earlier_of
from perdure.runtime.instance.message import Invoke
from perdure.runtime.workers.lent import activity_address


def test_the_jobs_before_one_come_from_the_newest_to_the_oldest() -> None:
    app = App("test")

    @app.activity
    async def work(ctx: object) -> None: ...

    invoke = Invoke("work", None, "order-1", "x", 3, "key")
    jobs = [ActivityJob(activity_address("x", 3), invoke, app.activities["work"]) for _ in range(3)]
    for earlier, later in pairwise(jobs):
        later.earlier = earlier
    assert earlier_of(jobs[2]) == [jobs[1], jobs[0]]
    assert earlier_of(jobs[0]) == []
    assert str(jobs[0]) == "activity 'work' of 'order-1' (task 3)"
