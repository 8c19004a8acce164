"""Lent jobs: activities that one host performs for instances which are another host's now.

The rule: an activity that is under way when the shard of its instance moves goes on where it is, and its answer goes to
the new owner. That host knows it as lent, and begins it only if the performing host is gone.

`runtime/activities/moving.py` has those of the app, `runtime/workers/lent_work.py` those of workers, and
`runtime/activities/lending.py` what passes between hosts.
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
    holder: str  # the name of the host whose answer is waited for: it performs it, or its worker has it
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
