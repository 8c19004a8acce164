"""A job: one activity that is to be performed, in its lane or elsewhere.

The rule: it is a record, and decides nothing.

`runtime/activities/actors.py` has one for each activity that has no answer yet.
"""

from msgspec import Struct

from ...actors.address import Address, address_of
from ..authoring.app import ActivityDefinition
from ..directory import AppAddresses
from ..instance.message import Invoke
from ..observing.trace_context import TraceContext


class ActivityJob(Struct, eq=False):
    """An activity to be performed."""

    address: Address
    invoke: Invoke
    definition: ActivityDefinition
    began_us: int | None = None  # Unix time, microseconds; None: it waits in its lane
    asked_us: int = 0  # when it was requested; Unix time, microseconds
    # If it hangs and is performed once more, `later` is the next job of the same activity, and `earlier` the one
    # before. The first that ends answers.
    later: "ActivityJob | None" = None
    earlier: "ActivityJob | None" = None
    # For a job in no lane: the host that performs it, or "" while its instance may move to another host.
    holder: str | None = None
    watched: bool = False  # it is noted before it begins, however long it waits in its lane
    foreign: bool = False  # its instance may be another host's, which may repeat the request
    context: TraceContext | None = None  # of its span, once it has begun; None: it has none

    def __str__(self) -> str:
        return f"activity {self.invoke.name!r} of {self.invoke.instance_id!r} (task {self.invoke.task_id})"


def earlier_of(job: ActivityJob) -> list[ActivityJob]:
    """The jobs of the same activity before this one, which are under way."""
    earlier: list[ActivityJob] = []
    while job.earlier is not None:
        job = job.earlier
        earlier.append(job)
    return earlier


def home_of(own: AppAddresses, invoke: Invoke) -> Address:
    """The actor that has requested an activity: an instance, or a call from another app.

    Args:
        own: The addresses of the app that performs it.
    """
    return address_of((own.workflow, invoke.instance_id) if invoke.call is None else (own.call, invoke.call))
