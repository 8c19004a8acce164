"""Lent jobs: activities that one host performs for instances that another host owns now.

The rule: an activity that is under way when the shard of its instance moves goes on where it is, and its answer goes to
the new owner. That host notes it as lent, and begins it only if the performing host has exited.

`runtime/activities/moving.py` has the jobs of the app, `runtime/workers/lent_work.py` the jobs of workers, and
`runtime/activities/lending.py` the messages between hosts.
"""

import logging
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from ...actors.address import Address
from ..directory import ACTIVITY

logger = logging.getLogger(__name__)


class LentJob(Struct, frozen=True, array_like=True):
    """A job that another host has. It crosses as an array: a new field goes to the end, and has a default."""

    instance_id: str
    execution_id: str
    task_id: int
    holder: str  # the name of the host that will answer: it performs the job, or its worker has it
    began_us: int | None  # when its body began, or a worker was sent it; Unix time, microseconds
    token: str = ""  # under which a worker has it; "": the app's own code performs it, or its answer is on its way
    stream: str = ""  # the id of the worker's stream at the holder
    ring: str = ""  # of the app that performs it

    @property
    def address(self) -> Address:
        """The address of the activity."""
        return activity_address(self.execution_id, self.task_id)


def activity_address(execution_id: str, task_id: int) -> Address:
    """The address of an activity of a generation."""
    return Address(ACTIVITY, f"{execution_id}:{task_id}")


def pack_jobs(jobs: Iterable[LentJob], ring: str = "") -> Sequence[bytes]:
    """Pack the jobs of a ring, one by one, for the next owner of their shard."""
    return [msgspec.msgpack.encode(msgspec.structs.replace(job, ring=ring) if ring else job) for job in jobs]


def jobs_in(packed: Iterable[bytes], ring: str = "") -> Sequence[LentJob]:
    """Read the jobs of a ring, of another host. One that cannot be read is left out: it is performed once more."""
    jobs = []
    for each in packed:
        try:
            job = msgspec.msgpack.decode(each, type=LentJob)
            if job.ring == ring:
                jobs.append(job)
        except msgspec.MsgspecError as error:
            logger.warning("an activity that another host performs cannot be read, and is begun here: %s", error)
    return jobs
