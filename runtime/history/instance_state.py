"""The state of an instance as callers see it, one frozen value.

The rule: it is read from a committed record, and never changed.

`runtime/history/record.py` makes it; the facade gives it to the doors and to
Python's client.
"""

from msgspec import Struct

from .failure import FailureDetails
from .status import Status


class InstanceState(Struct, frozen=True, kw_only=True):
    """The facts of an instance that a caller may know. Payloads are JSON text as given, never decoded."""

    instance_id: str
    execution_id: str  # of the current generation
    name: str  # the workflow's
    status: Status
    created_us: int  # Unix time, microseconds: when this generation was started
    updated_us: int  # Unix time, microseconds: the newest event
    input: str | None
    output: str | None
    custom_status: str | None
    failure: FailureDetails | None  # FAILED only
    stall: str | None  # STALLED only: why
    parent_id: str | None
    version: str | None = None
    started_us: int | None = None  # Unix time, microseconds: the first turn of this generation; None: there was none
    parent_app: str | None = None  # the id of the parent's app; None: its own, or there is no parent
    set_aside: bool = False  # none of its work begins until it is released; `stall` says why
