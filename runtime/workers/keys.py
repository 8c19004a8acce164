"""The keys of the jobs of a dispatcher: an answer names the instance and the task, and not the generation.

The rule: the same work has the same key, dispatched by any host.

`runtime/workers/dispatcher.py` finds jobs by them.
"""

from collections.abc import Mapping

from ...actors.address import Address
from ..directory import ACTIVITY
from ..instance.message import Invoke
from .items import ActivityAnswer, home_id_of
from .stream import Job


def activity_key(home_id: str, task_id: int) -> Address:
    """The key of an activity that the actor with an id has requested."""
    return Address(ACTIVITY, f"{home_id}::{task_id}")


def key_of(answer: ActivityAnswer, jobs: Mapping[Address, Job]) -> Address:
    """The key of the activity that an answer is to."""
    if (key := activity_key(home_id_of(answer), answer.task_id)) in jobs or answer.token:
        return key
    # A worker that returns no tokens: it may answer a call, which has another id.
    for job in jobs.values():
        request = job.request
        if isinstance(request, Invoke) and (request.instance_id, request.task_id) == answer[:2] and job.sent:
            return job.key
    return key


def instance_of(key: Address) -> str:
    """The id of the instance, or of the call, that a job is for."""
    return key.id.rpartition("::")[0] if key.type == ACTIVITY else key.id
